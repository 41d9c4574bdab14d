"""The scikit-learn estimator: any recipe that needs no condition, behind `fit`, `transform` and their kin.

It trains in memory with the one loop of `vaekit.trainer`, and leaves no run directory. For records, resuming
and reports use `vaekit.train`.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, final, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from vaekit.api import pick_device
from vaekit.data.arrays import ArrayData, Splits
from vaekit.data.batch import mix
from vaekit.data.kinds import check, scan
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.metrics.evidence import log_evidence
from vaekit.metrics.passes import evaluating, home_of
from vaekit.models import Model
from vaekit.randomness import own_stream
from vaekit.runs import Recipe, build_system, find_recipe
from vaekit.staged import default_epochs, refuse_heirs, stages_in_memory
from vaekit.system import System
from vaekit.trainer import Fit, Progress, Show, Training

Array = NDArray[Any]
Seed = int | np.random.RandomState | None
ChosenKind = Literal["auto", "real", "unit", "binary", "count"]

FEW_ROWS = 10
"""Fewer rows than this are not split: there is nothing to hold out."""
_ROWS = 1_024  # in one pass: bounds the memory
_FLOATS = [np.float64, np.float32]


@final
class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A variational autoencoder as a scikit-learn estimator.

    Densities are in nats per datum and in the units of `X`. Codes and densities of a datum do not depend on
    the rows beside it, and are computed in the precision of `X` (float32 or float64).

    Args:
        recipe: the name of a recipe, or a function made by `vaekit.recipe`.
        latents: dimensions of z; None, here as in the next three, for the recipe's own default.
        hidden: widths of the hidden layers of a fully connected network.
        likelihood: p(x|z), by name; most recipes go by the kind of the data.
        learning_rate: of the optimiser.
        arguments: further arguments of the recipe, such as {"beta": 4.0}.
        kind: what the values are. "real": each column is standardised with the mean and standard deviation of
            `X` in `fit` (a constant column is only centred), and everything that is handed out is back in the
            units of `X`; densities carry the Jacobian term -sum ln scale. "binary" ({0, 1}), "unit" ([0, 1])
            and "count" (0, 1, 2, ...) are taken as they are, and values that contradict them are refused.
            "auto" is binary if all values in `fit` are 0 or 1, else real: values that merely lie in [0, 1],
            or are integers, are treated as real unless `kind` says otherwise.
        epochs: passes over the training rows; None for what the recipe says, but at least 2,000 steps, and no
            more than two million data seen.
        batch_size: data per step; None for what the recipe says.
        validation_fraction: share of the rows, 0 <= f < 1, held out to choose the best epoch. With 0, or with
            fewer than ten rows, the training rows themselves choose.
        patience: stop after this many epochs without a better held-out loss.
        clip: largest gradient norm.
        n_importance: draws per datum in `score_samples` and `score`.
        device: cpu, cuda, mps, or auto for the fastest that is there.
        random_state: of initial weights, rows held out, order and noise; torch's own stream stays as it was.
        verbose: print a line every so many epochs; 0 prints nothing.

    Attributes:
        model_: the trained model with its best weights, a plain `nn.Module` in eval mode.
        spec_: what was found out about the data: shape, kind, number of training rows; for real data also the
            mean (`offset`) and standard deviation (`scale`) of the columns.
        call_: {"recipe": name, "arguments": {...}}, all of them.
        history_: one dict for every epoch, with the parts of the bound on training and held-out rows.
        n_iter_: number of epochs.
        seed_: drawn from `random_state`; of the training, and of the noise in `score_samples`.
        n_features_in_, feature_names_in_: as in scikit-learn.

    `X` is (rows, features), or an array (rows, *event) of another shape, such as images (rows, channels,
    height, width).

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> vae = VAE(latents=2, hidden=(16,), epochs=3, random_state=0).fit(X)
        >>> vae.transform(X).shape, vae.sample(5).shape
        ((150, 2), (5, 4))
    """

    model_: Model
    spec_: Spec

    def __init__(
        self,
        recipe: str | Recipe = "vae",
        *,
        latents: int | Sequence[int] | None = None,
        hidden: Sequence[int] | None = None,
        likelihood: str | None = None,
        learning_rate: float | None = None,
        arguments: dict[str, Any] | None = None,
        kind: ChosenKind = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        clip: float | None = None,
        n_importance: int = 100,
        device: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.recipe = recipe
        self.latents = latents
        self.hidden = hidden
        self.likelihood = likelihood
        self.learning_rate = learning_rate
        self.arguments = arguments
        self.kind = kind
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.clip = clip
        self.n_importance = n_importance
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting -------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train on `X`, (rows, *event), with two rows or more; `y` is ignored.

        Raises:
            ValueError: if `X` or a parameter cannot be used.
            UserError: if there is no such recipe, argument or device, or training diverged.
        """
        recipe = find_recipe(self.recipe) if isinstance(self.recipe, str) else self.recipe
        arguments = self._recipe_arguments()
        rows = validate_data(self, X, dtype=_FLOATS, allow_nd=True, ensure_min_samples=2)
        self._check_settings()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        train, valid = self._split(len(rows), seed)
        spec = self._describe(rows, len(train))
        _check_kind(rows, spec)
        stored = torch.from_numpy(_store(rows, spec, np.float32))
        held_out = ArrayData(spec, stored[valid])
        splits = Splits(ArrayData(spec, stored[train]), held_out, held_out)
        device = pick_device(self.device)
        with own_stream(device, seed):
            system = build_system(recipe, spec, arguments, device)
            refuse_heirs(system)
            training = self._training(system, len(train), seed)
            show = _printer(self.verbose, training.epochs)
            loop = Fit(system, splits, training, save=lambda *_: None, show=show)
            loop.run()
            self._source = stages_in_memory(system, loop)
        self.spec_, self.model_, self.call_, self.seed_ = spec, system.model, system.call, seed
        self.history_, self.n_iter_ = loop.rows, loop.at.epoch
        codes = self._codes(rows[:1], None)
        self._latent_shapes = {name: tuple(code.shape[1:]) for name, code in codes.items()}
        self._discrete = {name for name, code in codes.items() if not code.is_floating_point()}
        self._n_features_out = sum(map(math.prod, self._latent_shapes.values()))
        return self

    def _recipe_arguments(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in ("latents", "hidden", "likelihood", "learning_rate")}
        named = {name: value for name, value in named.items() if value is not None}
        further = self.arguments or {}
        if twice := named.keys() & further.keys():
            raise ValueError(f"`{min(twice)}` is given twice, also in `arguments`: leave one of them out")
        return {**named, **further}

    def _check_settings(self) -> None:
        if self.kind not in get_args(ChosenKind):
            raise ValueError(f"`kind` is {self.kind!r}; expected one of {', '.join(get_args(ChosenKind))}")
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(f"`validation_fraction` is {self.validation_fraction}; expected 0 <= f < 1")
        if self.n_importance < 1:
            raise ValueError(f"`n_importance` is {self.n_importance}; expected 1 draw or more")

    def _describe(self, rows: Array, size: int) -> Spec:
        chosen = self.kind
        if chosen == "auto":
            chosen = "binary" if ((rows == 0) | (rows == 1)).all() else "real"
        names = getattr(self, "feature_names_in_", None)
        columns = None if names is None else tuple(map(str, names))
        mean, scale = _standardisation(rows) if chosen == "real" else (None, None)
        return Spec("X", rows.shape[1:], chosen, size, columns=columns, offset=mean, scale=scale)

    def _split(self, count: int, seed: int) -> tuple[Array, Array]:
        order = np.random.RandomState(seed).permutation(count)
        if count < FEW_ROWS or self.validation_fraction == 0:
            return order, order
        held_out = min(max(1, round(self.validation_fraction * count)), count - 1)
        return order[held_out:], order[:held_out]

    def _training(self, system: System, count: int, seed: int) -> Training:
        size = system.batch_size if self.batch_size is None else self.batch_size
        epochs = self.epochs
        if epochs is None:
            epochs = default_epochs(system, count, size)
        return Training(epochs=epochs, batch_size=size, seed=seed, patience=self.patience, clip=self.clip)

    # -- through the model ---------------------------------------------------------------------------------

    def _read(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        rows: Array = validate_data(self, X, dtype=_FLOATS, allow_nd=True, reset=False)
        if rows.shape[1:] != self.spec_.shape:
            raise ValueError(f"`X` holds data of shape {rows.shape[1:]}; the fit was on {self.spec_.shape}")
        _check_kind(rows, self.spec_)
        return rows

    def _model(self, dtype: Any) -> Model:
        """The model in the precision of the data.

        In float32 a product over many rows rounds otherwise than one over few, by more than a float64 result
        may depend on the batch.
        """
        device, _ = home_of(self.model_)
        if dtype == np.float32 or device.type == "mps":  # which has no float64
            return self.model_
        return copy.deepcopy(self.model_).double()

    def _passes(self, rows: Array, model: Model) -> Iterator[Tensor]:
        device, dtype = home_of(model)
        for begin in range(0, len(rows), _ROWS):
            stored = _store(rows[begin : begin + _ROWS], self.spec_, rows.dtype)
            yield torch.from_numpy(stored).to(device, dtype)

    def _codes(self, rows: Array, seed: int | None) -> dict[str, Tensor]:
        """Latent name -> (rows, *event): posterior means, or draws where there is a seed."""
        model = self._model(rows.dtype)
        if not model.names:
            return {}
        with evaluating(model, 0 if seed is None else seed):
            found = [model.encode({"x": x}, sample=seed is not None) for x in self._passes(rows, model)]
        return {name: torch.cat([codes[name] for codes in found]) for name in found[0]}

    # -- using ---------------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Array:
        """Posterior means E_q[z|x], (rows, latents). Several groups of latents lie side by side."""
        return self.encode(X)

    def encode(self, X: ArrayLike, *, sample: bool = False, random_state: Seed = None) -> Array:
        """Codes of data, (rows, latents).

        Args:
            X: (rows, *event).
            sample: one draw of z ~ q(z|x) each, instead of the means.
            random_state: of the draws; None for that of the estimator.
        """
        rows = self._read(X)
        if not self._latent_shapes:
            raise UnsupportedError(
                f"the recipe {self.call_['recipe']} has no latents, so there is nothing to encode to: "
                "`sample` and `score_samples` are what it offers"
            )
        codes = self._codes(rows, self._draw_seed(random_state) if sample else None)
        return torch.cat([code.flatten(1) for code in codes.values()], dim=1).cpu().numpy().astype(rows.dtype)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """The likelihood's mean E[x|z] for codes `X`, (rows, latents): (rows, *event), in the fit's units."""
        check_is_fitted(self)
        codes = check_array(X, dtype=_FLOATS)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(f"`X` has {codes.shape[1]} columns; expected codes with {self._n_features_out}")
        model = self._model(codes.dtype)
        device, dtype = home_of(model)
        sizes = [math.prod(shape) for shape in self._latent_shapes.values()]
        found = []
        with evaluating(model, 0):
            for begin in range(0, len(codes), _ROWS):
                parts = torch.tensor(codes[begin : begin + _ROWS]).to(device, dtype).split(sizes, dim=1)
                named = zip(self._latent_shapes.items(), parts, strict=True)
                values = {
                    name: (part.round().long() if name in self._discrete else part).unflatten(1, shape)
                    for (name, shape), part in named
                }
                found.append(model.decode(values).mean)
            return _restore(torch.cat(found), self.spec_, codes.dtype)

    def sample(self, n_samples: int = 1, *, random_state: Seed = None) -> Array:
        """Draws from the model, z ~ p(z), x ~ p(x|z), in units of the fit: (n_samples, *event), float64.

        Where the recipe has later stages (a prior over codes, a second VAE), they draw z.

        The draws carry the noise of the likelihood. For means without it, decode draws of your own by
        `inverse_transform`.

        Args:
            n_samples: number of draws.
            random_state: of the draws; None for that of the estimator: where this is an integer, every call
                returns the same draws.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"`n_samples` is {n_samples}; expected 1 or more")
        sizes = [min(_ROWS, n_samples - begin) for begin in range(0, n_samples, _ROWS)]
        with evaluating(self._source, self._draw_seed(random_state)):
            found = [self._source.generate(size).sample() for size in sizes]
            return _restore(torch.cat(found), self.spec_, np.float64)

    def score_samples(self, X: ArrayLike) -> Array:
        """ln p(x) of every row by importance sampling, (rows,) float64, nats, in the units of `X`.

        ln 1/K sum_k p(x, z_k) / q(z_k|x) - sum_j ln scale_j,  z_k ~ q(z|x),  K = `n_importance`

        The last sum is there for real data alone. The expectation is a lower bound that rises with K to
        ln p(x). The noise of a row is seeded by `seed_` and its own values: equal rows get equal numbers.

        Raises:
            UnsupportedError: if the recipe's likelihood or posterior has no density.
        """
        rows = self._read(X)
        model = self._model(rows.dtype)
        jacobian = 0.0 if self.spec_.scale is None else float(np.log(self.spec_.scale).sum())
        values = []
        each = (x for part in self._passes(rows, model) for x in part.split(1))
        for row, x in zip(rows, each, strict=True):
            seed = mix(self.seed_, _fingerprint(row))
            values.append(log_evidence(model, {"x": x}, samples=self.n_importance, seed=seed))
        found: Array = torch.cat(values).cpu().numpy() - jacobian
        return found

    def score(self, X: ArrayLike, y: object = None) -> float:
        """The mean of `score_samples`, nats per datum; `y` is ignored."""
        return float(self.score_samples(X).mean())

    def _draw_seed(self, random_state: Seed) -> int:
        chosen = self.random_state if random_state is None else random_state
        return int(check_random_state(chosen).randint(2**31 - 1))

    def __getstate__(self) -> dict[str, Any]:
        """On the CPU, so that it can be loaded where there is no accelerator."""
        state = dict(super().__getstate__())
        if "model_" in state and home_of(state["model_"])[0].type != "cpu":
            pair = copy.deepcopy([state["model_"], state["_source"]])  # together: they share the decoder
            state["model_"], state["_source"] = (model.cpu() for model in pair)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _standardisation(rows: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and scale of every element; the scale of a constant one is 1."""
    with np.errstate(all="ignore"):
        scaler = StandardScaler().fit(rows.reshape(len(rows), -1).astype(np.float64))
    if not (np.isfinite(scaler.mean_).all() and np.isfinite(scaler.scale_).all()):
        raise ValueError("`X` holds values too large for their variance to be computed: rescale them")
    return tuple(map(float, scaler.mean_)), tuple(map(float, scaler.scale_))


def _check_kind(rows: Array, spec: Spec) -> None:
    if spec.kind == "real":  # any finite number, and that has been seen to
        return
    try:
        check(rows, scan(rows, "X"), spec.kind, "X")
    except UserError as error:
        raise ValueError(str(error)) from None  # what scikit-learn expects of wrong values


def _constants(spec: Spec) -> tuple[Array, Array] | None:
    if spec.offset is None or spec.scale is None:
        return None
    return np.asarray(spec.offset).reshape(spec.shape), np.asarray(spec.scale).reshape(spec.shape)


def _store(rows: Array, spec: Spec, dtype: Any) -> Array:
    """(rows, *event) as the model sees them."""
    constants = _constants(spec)
    if constants is None:
        return rows.astype(dtype)
    mean, scale = constants
    with np.errstate(over="ignore"):
        stored: Array = ((rows.astype(np.float64) - mean) / scale).astype(dtype)
    if not np.isfinite(stored).all():
        raise ValueError("`X` holds values that are out of reach once standardised: rescale or remove them")
    return stored


def _restore(values: Tensor, spec: Spec, dtype: Any) -> Array:
    """The inverse of `_store`."""
    array: Array = values.double().cpu().numpy()
    constants = _constants(spec)
    if constants is not None:
        mean, scale = constants
        array = array * scale + mean
    return array.astype(dtype)


def _fingerprint(row: Array) -> int:
    """A number that depends on the values of a row alone, in whatever precision or sign of zero they came."""
    content = (row.astype(np.float64) + 0.0).tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def _printer(every: int, epochs: int) -> Show | None:
    def show(at: Progress, batches: int, means: Any) -> None:
        if at.batch == batches and (at.epoch + 1) % every == 0:
            values = ", ".join(f"{name} {value:.4g}" for name, value in means().items())
            print(f"[VAE] epoch {at.epoch + 1}/{epochs}: {values}")

    return show if every else None
