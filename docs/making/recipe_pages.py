"""A page for every recipe, from its docstring, its signature and the recorded reproductions."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

from vaekit import recipes, reproductions
from vaekit.cli.parsing import argument_help

FAMILIES = {
    "Bounds and posteriors": [
        "vae", "iwae", "ciwae", "miwae", "piwae", "full_covariance_vae", "dlgm", "ppca",
    ],
    "The weight of the rate": ["beta_vae", "annealed_vae", "control_vae", "gcvae", "info_vae"],
    "Independent latents": ["beta_tcvae", "factor_vae", "dip_vae", "nash_ae", "hierarchical_prior_vae"],
    "Latents from pairs and from likeness": ["ada_gvae", "overlap_vae"],
    "Codes that follow the prior as a whole": ["adversarial_autoencoder", "wae_mmd"],
    "Likelihoods": ["sigma_vae", "structured_vae"],
    "Priors, hierarchies and flows": ["vamp_vae", "hvae", "ladder_vae", "flow_density"],
    "Discrete codes": ["vq_vae", "vq_vae2", "code_prior", "gumbel_vae"],
    "Two stages": ["two_stage_vae", "latent_vae"],
    "Games for sharp pictures": ["vae_gan", "cvae_gan", "id_gan", "id_gan_generator"],
    "Conditions and labels": ["cvae", "m2", "m1_m2"],
}  # fmt: skip
"""Every recipe stands in one family; a test says so."""

EXAMPLES = {
    "ada_gvae": "mini_sprites --pairs 1",
    "code_prior": None,
    "cvae": "digits --context labels",
    "cvae_gan": "digits --context labels --binarise none",
    "flow_density": "table.csv",
    "id_gan_generator": None,
    "latent_vae": None,
    "m1_m2": "digits --labelled 100",
    "m2": "digits --labelled 100",
    "ppca": "table.csv",
}
"""Recipe -> what it can be trained on, where that is not `digits`; None: it is a stage of another."""

_STAGES = {
    "code_prior": "`vq_vae` and `vq_vae2` train it on their codes as a later stage.",
    "id_gan_generator": "`id_gan` trains it as its second stage.",
    "latent_vae": "`two_stage_vae` trains it on its latents as its second stage.",
}
_STATUS = {
    "reproduced": "every recorded claim is shown",
    "partly": "some of the recorded claims are shown",
    "checked": "closed forms and contracts hold; no claim of the paper is recorded yet",
}


def parts(name: str) -> dict[str, Any]:
    """The docstring of a recipe's file, taken apart: title, about, differences, reference.

    Raises:
        ValueError: if it has no section "Differences from the paper", or nothing behind it.
    """
    text = inspect.getdoc(import_module(f"vaekit.recipes.{name}")) or ""
    title, *rest = text.split("\n\n")
    at = next((i for i, paragraph in enumerate(rest) if paragraph.startswith("Differences from")), None)
    if at is None or at == len(rest) - 1:
        raise ValueError(
            f"the docstring of the recipe {name!r} has no paragraph `Differences from the paper: ...` with "
            "the reference behind it: every recipe says both"
        )
    return {"title": title, "about": rest[:at], "differences": rest[at:-1], "reference": rest[-1]}


def command(name: str) -> str | None:
    """A command that trains it, or None if it is a stage of another recipe."""
    data = EXAMPLES.get(name, "digits")
    return None if data is None else f"vaekit train {name} {data}"


def page(name: str) -> str:
    """The page of a recipe, in Markdown; links are those of `docs/recipes/`."""
    found = parts(name)
    first, *others = found["differences"]
    differences = [re.sub(r"^Differences from the papers?:\s*", "", first), *others]
    status = reproductions.status(name)
    lines = [
        f"# {name}",
        "",
        prose(found["title"]),
        "",
        f'!!! abstract "{status}"',
        f"    {_STATUS[status][0].upper()}{_STATUS[status][1:]}. See [what was shown](#what-was-shown).",
        "",
        *_blocks(found["about"]),
        "## Train it",
        "",
        *_training(name),
        "## Arguments",
        "",
        *_arguments(name),
        "",
        "## Differences from the paper",
        "",
        *_blocks([differences[0][:1].upper() + differences[0][1:], *differences[1:]], equation_first=False),
        "## Reference",
        "",
        prose(found["reference"]),
        "",
        "## What was shown",
        "",
        *_shown(name),
        "",
        "## The code",
        "",
        *_source(name),
    ]
    return "\n".join(lines) + "\n"


def index() -> str:
    """The page of all recipes, by family."""
    titles = {name: parts(name)["title"].rstrip(".") for family in FAMILIES.values() for name in family}
    lines = [
        "# Systems",
        "",
        "Every published system is a short recipe over the same core: one file, one function. Its page is "
        "made from its docstring and its signature, and its status from the [recorded experiments]"
        "(../reproductions.md): *reproduced* (every recorded claim shown), *partly* (some), *checked* "
        "(closed forms and contracts only).",
    ]
    for family, names in FAMILIES.items():
        lines += ["", f"## {family}", "", "| recipe | what it is | status |", "| --- | --- | --- |"]
        lines += [
            f"| [`{name}`]({name}.md) | {_cell(prose(titles[name]))} | {reproductions.status(name)} |"
            for name in names
        ]
    return "\n".join(lines) + "\n"


def prose(text: str) -> str:
    """A paragraph of a docstring as Markdown: symbols stay as they are, recipes and papers become links."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(_code(piece) if piece.startswith("`") else _words(piece) for piece in pieces)


def _code(piece: str) -> str:
    name = piece.strip("`")
    return f"[{piece}]({name}.md)" if name in recipes.names else piece


def _words(piece: str) -> str:
    address = r"https?://[^\s,;)]+"
    found = []
    for word in re.split(rf"({address}|arXiv \d{{4}}\.\d{{4,5}})", piece):
        if re.fullmatch(address, word):
            found.append(f"<{word}>")
        elif word.startswith("arXiv "):
            found.append(f"[{word}](https://arxiv.org/abs/{word[6:]})")
        else:
            found.append(re.sub(r"([\\*_<\[\]])", r"\\\1", word))
    return "".join(found)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _blocks(paragraphs: list[str], *, equation_first: bool = True) -> list[str]:
    """Paragraphs: equations, which are what is aligned by hand, stay letter for letter."""
    lines: list[str] = []
    for number, paragraph in enumerate(paragraphs):
        equation = (equation_first and number == 0) or re.search(r"^    |\S {2,}\S", paragraph)
        if equation:
            lines += ["```text", textwrap.dedent(paragraph), "```", ""]
        else:
            lines += [prose(paragraph), ""]
    return lines


def _training(name: str) -> list[str]:
    typed = command(name)
    if typed is None:
        return [f"It is a stage of other systems: {_linked(_STAGES[name])}", ""]
    data = typed.split()[3]
    return [
        "```console",
        f"$ {typed}",
        "```",
        "",
        f'In Python: `vaekit.train("{name}", "{data}")`, with the arguments below and those of '
        f"`vaekit.train`. All options: `vaekit train {name} --help`.",
        "",
    ]


def _linked(text: str) -> str:
    return "".join(_code(piece) if piece.startswith("`") else piece for piece in re.split(r"(`[^`]*`)", text))


def _arguments(name: str) -> list[str]:
    recipe = getattr(recipes, name)
    helps, hints = argument_help(recipe), typing.get_type_hints(recipe)
    lines = ["| argument | default | values | what it is |", "| --- | --- | --- | --- |"]
    for parameter in list(inspect.signature(recipe).parameters.values())[1:]:
        default = "needed" if parameter.default is parameter.empty else f"`{parameter.default!r}`"
        cells = [f"`{parameter.name}`", default, kind(hints[parameter.name]), prose(helps[parameter.name])]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return lines


def kind(hint: Any) -> str:
    """What may be given for a type, in words: the names of a choice, a number, a row of numbers."""
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"one or more of: {kind(typing.get_args(hint)[0])}"
    if options := typing.get_args(hint):
        known = [kind(option) for option in options if option is not type(None)]
        return " or ".join(known) + (" or None" if type(None) in options else "")
    names = {int: "whole number", float: "number", bool: "yes or no", str: "text"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(name: str) -> list[str]:
    recorded = reproductions.results()
    lines = []
    for known, _ in reproductions.names():
        if name not in reproductions.get(known).recipes:
            continue
        for key in (known, f"{known} --full"):
            if key in recorded:
                anchor = key.lower().replace(" ", "-")
                claim, verdict = prose(recorded[key]["claim"]), recorded[key]["verdict"]
                lines.append(f"- **{verdict}**: {claim} [`{key}`](../reproductions.md#{anchor})")
        if known not in recorded:
            claim = prose(reproductions.get(known).claim)
            lines.append(f"- not recorded yet: {claim} (`vaekit reproduce {known}`)")
    return lines or [
        "No experiment of its own yet. It passes the contracts that every recipe passes "
        "(`vaekit.testing.check_recipe`), and its parts are tested against closed forms."
    ]


def _source(name: str) -> list[str]:
    path = Path(inspect.getsourcefile(import_module(f"vaekit.recipes.{name}")) or "")
    text = path.read_text(encoding="utf-8").rstrip()
    lines = text.splitlines()[
        ast.parse(text).body[0].end_lineno :
    ]  # behind the docstring, which stands above
    while lines and not lines[0]:
        lines.pop(0)
    block = textwrap.indent("\n".join(["```python", *lines, "```"]), "    ")
    return [f'??? note "src/vaekit/recipes/{path.name}, {len(lines)} lines below its docstring"', "", block]
