"""Figures of the latent space: how much each latent is used, and the data as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vaekit.data.spec import Spec
from vaekit.report.codes import ACTIVE, Codes
from vaekit.report.look import (
    CLASSES,
    DATA,
    INK,
    SOFT,
    Array,
    class_colour,
    dots,
    draw,
    label_text,
    plain_ticks,
)
from vaekit.report.parts import Figure, Key, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS = 40


def use(codes: Codes, held: str) -> Figure:
    """Rate and spread of every latent."""
    order = codes.order[:_BARS]
    labels = [codes.labels[i] for i in order]
    active = codes.active[order].cpu().numpy()
    pictures = []
    if codes.rates is not None:
        rates = codes.rates[order].clamp_min(0).cpu().numpy()
        pictures.append(_bars("rates", "rate, nats", labels, rates, active, None))
    spread = codes.spread[order].cpu().numpy()
    pictures.append(_bars("spreads", "variance of the posterior mean", labels, spread, active, ACTIVE))
    total, every = int(codes.active.sum()), codes.means.shape[1]
    caption = f"{total} of {every} latents in use, over {len(codes.means)} {held} data."
    if len(order) < every:
        caption += f" The {len(order)} most used are shown."
    if codes.rates is None:
        caption += (
            " The rate of this posterior and prior does not split by latent, so only the variance is shown."
        )
    else:
        caption += f" The rates of all latents add up to {float(codes.rates.sum()):.4g} nats."
    return Figure(
        key="use",
        title="How much each latent is used",
        how="A latent below the dashed threshold tells the decoder nothing about the datum: it has collapsed "
        "to its prior and could be left away.",
        pictures=tuple(pictures),
        keys=(
            Key("in use", "data"),
            Key("not in use", "soft"),
            Key(f"threshold {ACTIVE:g}", "ink", dashed=True),
        ),
        caption=caption,
    )


def _bars(
    key: str, title: str, labels: list[str], values: Array, active: Array, threshold: float | None
) -> Picture:
    def paint(ax: Axes) -> None:
        from matplotlib.ticker import FuncFormatter, NullLocator

        places = np.arange(len(values))
        shown = values if threshold is None else np.maximum(values, 1e-5)
        ax.bar(places[active], shown[active], width=0.72, color=DATA)
        ax.bar(places[~active], shown[~active], width=0.72, color=SOFT, alpha=0.5)
        if threshold is not None:
            ax.set_yscale("log")
            ax.set_ylim(
                min(1e-3, threshold / 4, max(float(shown.min()), 1e-5)) * 0.7,
                max(2.0, float(shown.max()) * 1.5),
            )
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_locator(NullLocator())
            ax.axhline(threshold, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
        else:
            plain_ticks(ax.yaxis)
        every = max(1, -(-len(labels) // (10 if max(map(len, labels)) > 3 else 18)))
        ax.set_xticks(places[::every], [label.replace(" ", "\u2009") for label in labels[::every]])
        ax.margins(x=0.02)

    most, least = int(values.argmax()), int(values.argmin())
    alt = (
        f"Bars of the {title} of {len(values)} latents: largest {values[most]:.3g} for {labels[most]}, "
        f"smallest {values[least]:.3g} for {labels[least]}; {int(active.sum())} in use."
    )
    return draw(key, alt, paint, size=(4.3, 2.7), label=title)


def scatter(codes: Codes, spec: Spec, held: str) -> Figure:
    """Posterior means of held-out data in two dimensions, coloured by class where there is one."""
    places, said, axes = _plane(codes)
    groups, names, by = _groups(codes, spec)
    keys: list[Key] = []
    few = len(names) <= 2 * CLASSES

    def paint(ax: Axes) -> None:
        size = 8.0 if len(places) < 100 else 5.5 if len(places) < 600 else 4.0
        if groups is None:
            dots(ax, places[:, 0], places[:, 1], DATA, size, 0.6)
        else:
            for number in range(len(names)):
                inside = groups == number
                if inside.any():
                    dots(ax, places[inside, 0], places[inside, 1], class_colour(number), size, 0.8)
            if few:
                _name_clouds(ax, places, groups, names)
        ax.set_xlabel(axes[0], labelpad=6)
        ax.set_ylabel(axes[1], labelpad=6)
        ax.grid(True, axis="both")
        ax.spines[:].set_visible(False)
        ax.set_aspect("equal", adjustable="datalim")
        plain_ticks(ax.xaxis, 6)
        plain_ticks(ax.yaxis, 6)

    colours = "" if groups is None else f", coloured by {by}"
    alt = f"{len(places)} {held} data as points, {axes[0]} across and {axes[1]} upwards{colours}."
    if groups is None:
        keys.append(Key(f"{held} datum", "data", point=True))
    elif len(names) <= CLASSES:
        keys += [Key(label_text(name), f"class-{i}", point=True) for i, name in enumerate(names)]
    how = "Data that lie close together look alike to the model" + (
        ": where a colour keeps to itself, the latents tell that class apart." if groups is not None else "."
    )
    return Figure(
        key="map",
        title="The data as the latents see them",
        how=how,
        pictures=(draw("scatter", alt, paint, size=(5.6, 4.8)),),
        keys=tuple(keys),
        caption=f"Posterior means of {len(places)} {held} data{colours}; {said}."
        + (" Names stand at the median of their points." if groups is not None and few else ""),
    )


def _plane(codes: Codes) -> tuple[Array, str, tuple[str, str]]:
    means = codes.means.double().cpu().numpy()
    labels = codes.labels
    if means.shape[1] == 1:
        other = codes.draws.double().cpu().numpy()
        return (
            np.column_stack([means[:, 0], other[:, 0]]),
            "the one latent, its mean against a draw",
            (
                labels[0],
                f"{labels[0]}, one draw",
            ),
        )
    if means.shape[1] == 2:
        return means, "the two latents themselves", (labels[0], labels[1])
    directions, share = principal(means)
    said = (
        f"the two principal components of all {means.shape[1]} latents, {100 * share:.0f} % of their variance"
    )
    places = (means - means.mean(0)) @ directions.T
    return places, said, ("first principal component", "second principal component")


def principal(means: Array) -> tuple[Array, float]:
    """The two principal components of codes, as rows (2, K), and their share of the variance.

    Args:
        means: (N, K), K of two or more; fewer than two data leave rows of zeros.
    """
    _, scales, found = np.linalg.svd(means - means.mean(0), full_matrices=False)
    directions = np.zeros((2, means.shape[1]))
    directions[: len(found[:2])] = found[:2]
    # the sign of a component is arbitrary: fix it, so that the same run gives the same picture everywhere
    strongest = np.abs(directions).argmax(1)
    directions = directions * np.where(directions[np.arange(2), strongest] < 0, -1, 1)[:, None]
    total = float((scales**2).sum())
    return directions, float((scales[:2] ** 2).sum()) / total if total > 0 else 0.0


def _groups(codes: Codes, spec: Spec) -> tuple[Array | None, list[str], str]:
    """Number of the group of every datum, names of the groups, and what they are groups of."""
    y: Tensor | None = codes.batch.get("y")
    if y is not None and y.dim() == 1:
        return y.cpu().numpy(), spec.class_labels(int(y.max()) + 1), "class"
    factors = codes.batch.get("factors")
    if factors is not None and spec.factors:
        sizes = {name: i for i, (name, n) in enumerate(spec.factors.items()) if n > 1}
        if sizes:
            name = min(sizes, key=lambda name: (spec.factors or {})[name])
            values = factors[:, sizes[name]]
            return (
                values.cpu().numpy(),
                [str(i) for i in range((spec.factors or {})[name])],
                f"the factor {name}",
            )
    return None, [], ""


def _name_clouds(ax: Axes, places: Array, groups: Array, names: list[str]) -> None:
    """Names at the middle of their points: the picture reads without its colours."""
    for number, name in enumerate(names):
        inside = places[groups == number]
        if len(inside):
            x, y = np.median(inside, axis=0)
            text = label_text(name, 16)
            # the page's style gives bold text an outline, so that it stands out from the points
            ax.text(x, y, text, ha="center", va="center", fontsize=13, fontweight="bold", color=INK)
