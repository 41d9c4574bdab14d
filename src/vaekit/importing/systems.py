"""Pythae's systems as recipes: which recipe, which arguments, and what differs.

C. Chadebec, L. Vincent, S. Allassonniere, Pythae: Unifying Generative Autoencoders in Python, NeurIPS 2022,
https://arxiv.org/abs/2206.08309; the meaning of every setting was read from version 0.1.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vaekit.errors import UserError

Code = Literal["gaussian", "point", "quantised"]


@dataclass(frozen=True)
class Meaning:
    """What a configuration of Pythae is here.

    Args:
        recipe: its name.
        arguments: of the recipe, beside networks, latents and likelihood.
        code: what its encoder returns.
        reconstruction: what its decoder ends in, where the configuration names none: "mse" as a density, or
            "point" for a squared error without one.
        differences: what the recipe does otherwise when it trains; the model is the same.
        dropped: beginnings of the names of weights that the model does not need, such as those of a critic.
    """

    recipe: str
    arguments: dict[str, Any]
    code: Code = "gaussian"
    reconstruction: Literal["mse", "point"] = "mse"
    differences: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Settings:
    """The values of a configuration, checked one by one.

    Args:
        values: what stands in model_config.json.
        path: of the file, for errors.
    """

    def __init__(self, values: Mapping[str, Any], path: object) -> None:
        self.values, self.path = values, path

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(name, value, "a number")
        return float(value)

    def whole(self, name: str, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` to a million."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            raise self.wrong(name, value, f"a whole number of at least {least}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def one_of(self, name: str, default: str, *known: str) -> str:
        """One of some words."""
        value = self.values.get(name, default)
        if value not in known:
            raise self.wrong(name, value, " or ".join(known))
        return str(value)

    def scales(self) -> tuple[float, ...]:
        """Widths of the kernels, in units of the dimensions: C = 2 n s there, as here."""
        width = self.number("kernel_bandwidth", 1.0) ** 2
        if self.one_of("kernel_choice", "imq", "imq", "rbf") == "rbf":
            return (width,)  # one Gaussian kernel, whatever the scales
        found = self.values.get("scales")
        found = [1.0] if found is None else found
        if not isinstance(found, list) or not found or not all(isinstance(s, int | float) for s in found):
            raise self.wrong("scales", found, "numbers")
        return tuple(width * float(scale) for scale in found)

    def wrong(self, name: str, value: Any, expected: str) -> UserError:
        """The error for a value."""
        return UserError(f"{self.path}: {name!r} is {value!r}; expected {expected}")


def meaning_of(settings: Settings) -> Meaning:
    """The recipe of a configuration.

    Raises:
        UserError: for a system that no recipe is the same as, and for values that are none.
    """
    name = settings.values.get("name")
    found = _SYSTEMS.get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(sorted(each.removesuffix("Config").rstrip("_") for each in _SYSTEMS))
        raise UserError(
            f"{settings.path} is of {name!r}, and no recipe of vaekit is the same system: expected one of "
            f"{known}"
        )
    return found(settings)


_BOUND = "the bound is logged there as the weighted mean of log weights, here as the logarithm of their mean"


def _vae(of: Settings) -> Meaning:
    return Meaning("vae", {"activation": "relu"})


def _beta_vae(of: Settings) -> Meaning:
    return Meaning("beta_vae", {"beta": of.number("beta", 1.0)})


def _beta_tcvae(of: Settings) -> Meaning:
    weights = {name: of.number(name, 1.0) for name in ("alpha", "beta", "gamma")}
    return Meaning(
        "beta_tcvae",
        {**weights, "sampling": "mss" if of.flag("use_mss", True) else "mws"},
        differences=("q(z) is estimated with the weights of the paper, not with those of its program",),
    )


def _factor_vae(of: Settings) -> Meaning:
    return Meaning(
        "factor_vae",
        {"gamma": of.number("gamma", 2.0), "critic": (1000,) * 5},
        differences=(
            "both halves of a batch train the VAE here, the first alone there",
            "the critic is left out",
        ),
        dropped=("discriminator.",),
    )


def _info_vae(of: Settings) -> Meaning:
    arguments = {
        "alpha": of.number("alpha", 0.0), "lambda_mmd": of.number("lbd", 1e-3), "scales": of.scales(),
        "kernel": of.one_of("kernel_choice", "imq", "imq", "rbf"),
    }  # fmt: skip
    return Meaning("info_vae", arguments)


def _iwae(of: Settings) -> Meaning:
    arguments = {"samples": of.whole("number_samples", 10), "activation": "relu"}
    return Meaning("iwae", arguments, differences=(_BOUND,))


def _ciwae(of: Settings) -> Meaning:
    arguments = {"samples": of.whole("number_samples", 10), "b": of.number("beta", 0.5), "activation": "relu"}
    return Meaning("ciwae", arguments, differences=(_BOUND,))


def _groups(recipe: str) -> Callable[[Settings], Meaning]:
    def read(of: Settings) -> Meaning:
        arguments = {
            "groups": of.whole("number_gradient_estimates", 5), "samples": of.whole("number_samples", 10),
            "activation": "relu",
        }  # fmt: skip
        return Meaning(recipe, arguments, differences=(_BOUND,))

    return read


def _vamp(of: Settings) -> Meaning:
    rising = of.whole("linear_scheduling_steps", 0, least=0)
    steps = (
        f"the weight of the rate rose over {rising} epochs there, which are no number of steps: warmup is 0"
    )
    arguments = {"prior": "vamp", "components": of.whole("number_components", 50), "warmup": 0}
    return Meaning("vamp_vae", arguments, differences=(steps,) if rising else ())


def _autoencoder(of: Settings) -> Meaning:
    why = "its codes were never held against N(0, I): draws from this prior say nothing of the data"
    return Meaning("wae_mmd", {"lambda_mmd": 0.0}, "point", "point", (why,))


def _wae(of: Settings) -> Meaning:
    scale = of.number("reconstruction_loss_scale", 1.0)
    if scale <= 0:
        raise of.wrong("reconstruction_loss_scale", scale, "a positive number")
    kernel = of.one_of("kernel_choice", "imq", "imq", "rbf")
    weight = of.number("reg_weight", 3e-2) / scale
    return Meaning(
        "wae_mmd", {"lambda_mmd": weight, "kernel": kernel, "scales": of.scales()}, "point", "point"
    )


def _adversarial(of: Settings) -> Meaning:
    point = of.flag("deterministic_posterior", False)
    return Meaning(
        "adversarial_autoencoder",
        {"encoder": "deterministic" if point else "gaussian", "critic": (256,)},
        "point" if point else "gaussian",
        differences=(
            "reconstruction and deception are one weighted step of the encoder there, two steps here",
            "the critic is left out",
        ),
        dropped=("discriminator.", "encoder.log_var.") if point else ("discriminator.",),
    )


def _vq_vae(of: Settings) -> Meaning:
    positions = of.whole("latent_dim")
    averages = of.flag("use_ema", False)
    arguments = {
        # a vector of n numbers is quantised there as n codes of one dimension
        "codes": of.whole("num_embeddings", 512, least=2), "dims": 1, "positions": positions,
        "codebook": "ema" if averages else "gradient", "decay": of.number("decay", 0.99), "restart": 0.0,
        # half of the loss there, whose commitment is a mean over positions
        "beta": of.number("commitment_loss_factor", 0.25) / (2 * positions),
    }  # fmt: skip
    return Meaning(
        "vq_vae", arguments, "quantised",
        differences=(
            "the squared error is that of a Gaussian of unit variance, half of it: all weights are halved",
            "the codebook loss weighs 1, which moves codes alike under Adam",
        ),
    )  # fmt: skip


_SYSTEMS: dict[str, Callable[[Settings], Meaning]] = {
    "AEConfig": _autoencoder,
    "Adversarial_AE_Config": _adversarial,
    "BetaTCVAEConfig": _beta_tcvae,
    "BetaVAEConfig": _beta_vae,
    "CIWAEConfig": _ciwae,
    "FactorVAEConfig": _factor_vae,
    "INFOVAE_MMD_Config": _info_vae,
    "IWAEConfig": _iwae,
    "MIWAEConfig": _groups("miwae"),
    "PIWAEConfig": _groups("piwae"),
    "VAEConfig": _vae,
    "VAMPConfig": _vamp,
    "VQVAEConfig": _vq_vae,
    "WAE_MMD_Config": _wae,
}
