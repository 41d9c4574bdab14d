"""A run folder of Pythae as a run: what its files hold, without running anything of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.files import disk_errors, read_json
from vaekit.importing.archive import read_archive, tensors_of
from vaekit.importing.systems import Meaning, Settings, meaning_of

CONFIG, MODEL, TRAINING = "model_config.json", "model.pt", "training_config.json"
_JSON = 1 << 20  # bytes of a configuration


@dataclass(frozen=True)
class Source:
    """What a folder of Pythae says of its model.

    Args:
        folder: where it lies.
        settings: of the model.
        training: of the training, or {}.
        meaning: what the system is here.
        shape: of a datum.
        latents: dimensions of z.
    """

    folder: Path
    settings: Settings
    training: dict[str, Any]
    meaning: Meaning
    shape: tuple[int, ...]
    latents: int

    @property
    def loss(self) -> str:
        """How the decoder is judged: mse, bce or point."""
        if self.meaning.reconstruction == "point":
            return "point"
        return self.settings.one_of("reconstruction_loss", "mse", "mse", "bce")

    @property
    def system(self) -> str:
        """Pythae's name of the system, such as VAE."""
        return str(self.settings.values["name"]).removesuffix("Config").rstrip("_")

    def spec(self) -> Spec:
        """What data without a name are taken for: pictures or vectors with values in [0, 1]."""
        size = 1  # not known
        if self.meaning.code == "quantised":  # enough for all codes to have been in use
            size = ceil(self.meaning.arguments["codes"] / self.latents)
        return Spec("unknown", self.shape, "unit", size)

    def arguments(self, spec: Spec, hidden: int) -> dict[str, Any]:
        """All arguments of the recipe for these data.

        Raises:
            UserError: if the data are of a kind that the decoder was not trained for.
        """
        if self.loss != "bce" and spec.kind == "binary":
            raise UserError(
                f"{self.folder} was trained by squared error, and {spec.name} is binary: add --binarise "
                "none, or --kind unit"
            )
        if spec.kind not in ("unit", "binary") and (self.loss == "bce" or spec.kind != "real"):
            raise UserError(
                f"the decoder of {self.folder} ends in [0, 1], and {spec.name} is {spec.kind}: add --kind "
                "unit"
            )
        likelihood = {
            "mse": "gaussian_bounded", "point": "point_bounded",
            "bce": "bernoulli" if spec.kind == "binary" else "cross_entropy",
        }[self.loss]  # fmt: skip
        found: dict[str, Any] = {"likelihood": likelihood, "architecture": "mlp", "hidden": (hidden,)}
        if self.meaning.code != "quantised":
            found["latents"] = self.latents
        rate = self.training.get("learning_rate")
        if isinstance(rate, float) and 0 < rate < 1:
            found["learning_rate"] = rate
        return found | self.meaning.arguments

    def trained(self) -> dict[str, Any]:
        """What the folder says of the training, under the names of vaekit's."""
        names = {"epochs": "num_epochs", "batch_size": "per_device_train_batch_size"}
        found = {ours: self.training.get(theirs) for ours, theirs in names.items()}
        return {name: value for name, value in found.items() if isinstance(value, int)}

    def differences(self) -> list[str]:
        """What is not as it was there."""
        found = list(self.meaning.differences)
        if self.meaning.code == "gaussian":
            found.append("ln s of the posterior is held in [-8, 4] here, and free there")
        optimizer = self.training.get("optimizer_cls", "Adam")
        if isinstance(optimizer, str) and optimizer != "Adam":
            found.append(f"it was trained with {optimizer[:40]}, the recipe trains with Adam")
        return found


def is_pythae(folder: Path) -> Path | None:
    """The folder with the model: this one, or its `final_model`; None if there is none."""
    return next((f for f in (folder, folder / "final_model") if (f / CONFIG).is_file()), None)


def read_source(folder: Path) -> Source:
    """Read what a folder of Pythae says of its model.

    Raises:
        UserError: if it is damaged, of a system that no recipe is the same as, or has networks of its own.
    """
    settings = Settings(_read_config(folder / CONFIG), folder / CONFIG)
    meaning = meaning_of(settings)
    for part in ("encoder", "decoder"):
        if not settings.flag(f"uses_default_{part}", True):
            raise UserError(
                f"{folder} has its own {part}, which Pythae keeps as a Python object in {part}.pkl: reading "
                "it would run code, so only Pythae's standard networks are read"
            )
    shape = settings.values.get("input_dim")
    if not (
        isinstance(shape, list)
        and 1 <= len(shape) <= 4
        and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in shape)
        and prod(shape) <= 1 << 24
    ):
        raise settings.wrong("input_dim", shape, "1 to 4 sizes of a datum, such as [1, 28, 28]")
    training = _read_config(folder / TRAINING) if (folder / TRAINING).is_file() else {}
    return Source(folder, settings, training, meaning, tuple(shape), settings.whole("latent_dim", 10))


def read_state(folder: Path) -> dict[str, Any]:
    """The named tensors of the model.

    Raises:
        UserError: if the file holds anything else.
    """
    if not (folder / MODEL).is_file():
        raise UserError(f"{folder} holds no {MODEL}: it is no model of Pythae that was saved to its end")
    return tensors_of(read_archive(folder / MODEL), "model_state_dict", folder / MODEL)


def _read_config(path: Path) -> dict[str, Any]:
    with disk_errors(path, "read"):
        size = path.stat().st_size
    if size > _JSON:
        raise UserError(f"{path} has {size:,} bytes; expected a configuration of at most {_JSON:,}")
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: expected a JSON object")
    return found
