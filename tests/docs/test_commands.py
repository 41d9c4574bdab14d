"""Every command on our pages is one, with options that it has."""

from __future__ import annotations

import functools
import inspect
import re
import shlex
from importlib import import_module

import pytest
import recipe_pages
import snippets

from vaekit import recipes
from vaekit.cli import COMMANDS
from vaekit.cli.parsing import form_of, known_options, parse
from vaekit.cli.train import _form, _recipe_in
from vaekit.errors import UserError

train_form = functools.cache(_form)
"""The options of `vaekit train` with one recipe; making them takes a while."""


@functools.cache
def command_form(name: str) -> type:
    """The options of any other command."""
    module, function, _ = COMMANDS[name]
    command = getattr(import_module(module), function)
    if list(inspect.signature(command).parameters) == ["arguments"]:  # it makes its form itself
        return import_module(module)._form()
    return form_of(command)


def understand(command: str) -> None:
    """Parse a command line as it would be, without carrying it out.

    Raises:
        UserError: if the command or one of its options is none of ours.
    """
    words = shlex.split(command)[1:]
    if not words or words[0].startswith("-") or words[-1] in ("...", "--help"):
        words = words[:1]
    name = words[0] if words else "train"
    if name.startswith("-") or name == "COMMAND":
        return
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}")
    rest = words[1:]
    if name == "train":
        recipe = _recipe_in(rest)
        if recipe.isupper():  # RECIPE stands for any
            recipe, rest = "vae", ["vae", *rest[1:]]
        parse(train_form(recipe), rest, "vaekit train")
        return
    if rest or command == f"vaekit {name}":
        form = command_form(name)
        bare = not rest or rest[0].startswith("-")
        parse(form, [*(["RUN"] if bare and needs_place(form) else []), *rest], f"vaekit {name}")


def needs_place(form) -> bool:
    return any(field.metadata.get("place") for field in form.__dataclass_fields__.values())


def commands(page):
    """Every command of a page, in blocks and in its text."""
    for block in snippets.blocks(page):
        if block.language in ("console", "sh", "bash", ""):
            yield from (command for command, _ in block.commands())
    yield from re.findall(r"^    (?:\$ )?(vaekit .*?)(?: +# .*)?$", page.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(vaekit [^`]+)`", text.replace("\n", " "))


def test_every_command_is_understood(page):
    if page.name == "roadmap.md":
        pytest.skip("the roadmap names what is not there yet")
    for command in commands(page):
        if command.startswith("vaekit"):
            understand(command)


def every_option() -> set[str]:
    found = {"--help", "--version", "--debug"}
    for name in set(COMMANDS) - {"train"}:
        found |= set(known_options(command_form(name)))
    for name in recipes.names:
        found |= set(known_options(train_form(name)))
    return found


@pytest.fixture(scope="module")
def options() -> set[str]:
    return every_option()


ELSEWHERE = {"--no-deps", "--nproc-per-node", "--strict"}
"""Options of other programs that our texts name."""


def test_no_text_mentions_an_option_that_is_not_there(page, options):
    if page.parent.name == "benchmarks" or page.name == "roadmap.md":
        pytest.skip("the benchmarks have options of their own, and the roadmap names what is not there yet")
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", text):
        if not span.startswith(("pip", "python", "mkdocs", "torchrun", "pytest", "kill")):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span):
                assert option in options | ELSEWHERE, f"{page.name}: `{span}`"


def test_wrong_commands_are_noticed():
    understand("vaekit train RECIPE DATA")
    understand("vaekit evaluate RUN --scores modern")
    understand("vaekit list recipes")
    for wrong in (
        "vaekit trian vae",
        "vaekit train vae digits --bta 3",
        "vaekit evaluate RUN --score modern",
    ):
        with pytest.raises(UserError):
            understand(wrong)


@pytest.mark.parametrize("name", recipes.names)
def test_the_command_on_the_page_of_a_recipe_is_understood(name):
    if (command := recipe_pages.command(name)) is not None:
        assert command.split()[:3] == ["vaekit", "train", name]
        options = [word for word in command.split() if word.startswith("--")]
        assert set(options) <= set(known_options(train_form(name)))
