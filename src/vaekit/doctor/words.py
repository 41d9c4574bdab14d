"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[object], most: int = 6) -> str:
    """'a, b and c', or the first so many 'and 12 more'."""
    words = [str(name) for name in names]
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def several(count: int, one: str, more: str) -> str:
    """'1 row is', '1,200 rows are'."""
    return f"{count:,} {one if count == 1 else more}"


def share(part: int, whole: int) -> str:
    """'3 of 60 (5 %)'."""
    return f"{part:,} of {whole:,} ({percent(part / whole)})"


def percent(fraction: float) -> str:
    """'5 %', '0.03 %'."""
    value = 100 * fraction
    if 0 < value < 0.01:
        return "less than 0.01 %"
    return f"{value:.3g} %" if value < 99.95 or fraction == 1 else f"{value:.2f} %"


def number(value: float) -> str:
    """'1,234', '0.0312', '1.2e-07'."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1e4 else f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
