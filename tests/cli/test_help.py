"""Help, lists and options come from signatures and docstrings, and do not wait for torch."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import vaekit
from vaekit import recipes
from vaekit.cli import COMMANDS
from vaekit.cli.catalogue import recipes as listed
from vaekit.cli.parsing import argument_help, known_options, parse
from vaekit.cli.train import _form


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["list", "recipes"], ["list", "data"],
                                   ["list", "reproductions"], ["trian"]], ids=" ".join)  # fmt: skip
def test_help_and_lists_import_nothing_heavy(words):
    code = (
        "import sys; from vaekit.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'numpy', 'sklearn', 'scipy', 'matplotlib', 'rich'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if words == ["trian"] else 0), done.stderr


def test_every_recipe_is_listed_with_its_title():
    assert [name for name, _ in listed()] == recipes.names
    assert all(title.endswith(".") and len(title) > 10 for _, title in listed())


def test_lists(vaekit):
    assert "beta_vae" in vaekit("list", "recipes").out
    assert "fashion_mnist" in vaekit("list", "data").out
    assert "linear_vae_is_ppca" in vaekit("list", "reproductions").out
    said = vaekit("list", "recipe")
    assert said.code == 2
    assert "recipes" in said.err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(vaekit, command):
    said = vaekit(command, "--help")
    assert said.code == 0
    assert f"usage: vaekit {command}" in said.out
    assert command in vaekit().out


@pytest.mark.parametrize("name", recipes.names)
def test_every_argument_of_a_recipe_is_an_option_with_its_help(vaekit, name):
    said = vaekit("train", name, "--help")
    assert said.code == 0
    page = " ".join(said.out.replace("│", " ").split())
    recipe = getattr(recipes, name)
    helps = argument_help(recipe)
    for argument in list(inspect.signature(recipe).parameters)[1:]:
        assert f"--{argument.replace('_', '-')}" in said.out
        assert helps[argument][:40] in page, argument


@pytest.mark.parametrize("name", recipes.names)
def test_no_two_options_share_a_name(name):
    options = known_options(_form(name))
    assert len(options) == len(set(options))
    own = set(list(inspect.signature(getattr(recipes, name)).parameters)[1:])
    assert not own & set(inspect.signature(vaekit.train).parameters)


def test_the_help_of_an_argument_is_read_to_its_end():
    def example(a: int, *, b_c: int) -> None:
        """One line.

        Args:
            a: first,
                and more.
            b_c: second: with a colon.

        Returns:
            c: not an argument.
        """

    assert argument_help(example) == {"a": "first, and more.", "b_c": "second: with a colon."}


@pytest.mark.parametrize(
    "words",
    [
        ["--log", "tensorboard", "wandb", "--seed", "3"],
        ["--log", "tensorboard", "--seed", "3", "--log", "wandb"],
        ["--log=tensorboard", "--seed", "3", "--log=wandb"],
    ],
)
def test_an_option_of_several_values_may_be_repeated(words):
    found = parse(_form("vae"), ["vae", "digits", *words, "--hidden", "8", "--hidden", "7"], "vaekit train")
    assert found.ending.log == ("tensorboard", "wandb")
    assert found.arguments.hidden == (8, 7)
    assert (found.settings.seed, found.data) == (3, "digits")


def test_negative_numbers_are_values_of_such_an_option():
    words = ["overlap_vae", "digits", "--mean", "-0.5", "0.25", "--mean=-.125", "--std", "1", "2", "3"]
    found = parse(_form("overlap_vae"), words, "vaekit train")
    assert found.arguments.mean == (-0.5, 0.25, -0.125)
    assert found.arguments.std == (1.0, 2.0, 3.0)
