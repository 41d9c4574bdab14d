"""Folders as Pythae writes them, with weights that follow from their names; see pythae_numbers.py."""

from __future__ import annotations

import importlib.util
import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def numbers():
    """What Pythae computed, by case."""
    return json.loads((HERE / "pythae.json").read_text())


@pytest.fixture(scope="session")
def made():
    """The functions that weights, data and noise follow from."""
    about = importlib.util.spec_from_file_location("pythae_numbers", HERE / "pythae_numbers.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


@pytest.fixture
def pythae(numbers, made, tmp_path):
    """Writes the folder of a case: `settings` change its configuration, `change` its weights."""

    def write(case="VAE", settings=None, change=None, content=None):
        folder = tmp_path / "pythae"
        folder.mkdir(exist_ok=True)
        known = numbers[case]
        (folder / "model_config.json").write_text(json.dumps(known["config"] | (settings or {})))
        state = OrderedDict()
        for name, shape in known["state"].items():
            # a critic is left out: what it holds makes no difference
            small = name.startswith("discriminator")
            state[name] = torch.zeros(2) if small else torch.from_numpy(made.weight(name, tuple(shape)))
        if change is not None:
            change(state)
        torch.save({"model_state_dict": state} if content is None else content, folder / "model.pt")
        return folder

    return write
