"""Samples beside their nearest training data, held against how near held-out data come to these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaekit.data.batch import Batch, Data
from vaekit.data.spec import Spec
from vaekit.report.codes import Codes, evenly, take
from vaekit.report.columns import Columns
from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, plain_ticks
from vaekit.report.parts import Figure, Key, Picture, Table
from vaekit.report.pictures import Pixels
from vaekit.report.walks import draw_noise, prior_context, source_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORK = 2e10  # products of a query's element and a training datum's: about two seconds of one core
_QUERIES = (60, 300)  # of each kind: fewest and most
_BLOCK = 1000
_SURE = 3.0  # standard errors


@dataclass(frozen=True)
class Nearest:
    """The nearest training datum of each of Q data.

    Args:
        distance: sqrt of the mean squared difference of an element, (Q,).
        rows: its number in the training set, (Q,).
        x: the datum as it was drawn when it was compared, (Q, *event).
        c: its condition, (Q, *context), if there are any.
    """

    distance: Tensor
    rows: Tensor
    x: Tensor
    c: Tensor | None = None


@dataclass(frozen=True)
class Closeness:
    """How near to the training data samples lie, and data that the model never saw.

    Args:
        samples: distances of samples to their nearest training data, (Q,).
        held: those of held-out data, (R,).
        rebuilt: those of the reconstructions of these, (R,): as smooth as samples are; None where the
            samples have the noise of data, or there are no reconstructions.
        searched: number of training data that were looked at.
        of: number of training data.
    """

    samples: Tensor
    held: Tensor
    rebuilt: Tensor | None
    searched: int
    of: int

    @property
    def reference(self) -> Tensor:
        """What the samples are to be compared with."""
        return self.held if self.rebuilt is None else self.rebuilt

    @property
    def nearer(self) -> float:
        """The chance that a sample lies nearer to its training datum than a held-out one; a tie is half."""
        a, b = self.samples.double().unsqueeze(1), self.reference.double().unsqueeze(0)
        return float((a < b).double().mean() + 0.5 * (a == b).double().mean())

    @property
    def nearer_se(self) -> float:
        """Its standard error where both are distributed alike (Mann and Whitney 1947)."""
        n, m = len(self.samples), len(self.reference)
        return math.sqrt((n + m + 1) / (12 * n * m))


@torch.no_grad()
def find_nearest(queries: Tensor, data: Data, rows: Tensor, codes: Codes) -> Nearest:
    """The nearest of some training data in squared error, by looking at all of them.

    Args:
        queries: (Q, *event).
        data: training data.
        rows: numbers of those that are looked at, (M,).
        codes: of the model, which says where to compute.
    """
    flat = queries.flatten(1).float()
    best = flat.new_full((len(flat),), math.inf)
    place = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    kept: Batch = {}  # the data themselves: taken again, pixels that are drawn by grey levels would differ
    for part in rows.split(_BLOCK):
        batch = {name: v for name, v in take(data, part, codes.model).items() if name in ("x", "c")}
        x = batch["x"].flatten(1).float()
        found, which = (x.square().sum(1) - 2 * flat @ x.mT).min(1)
        better = found < best
        best[better] = found[better]
        place[better] = part.to(place.device)[which[better]]
        for name, values in batch.items():
            if name not in kept:
                kept[name] = values[which]
            kept[name][better] = values[which[better]]
    # by differences, which leave equal data at zero
    distance = (flat - kept["x"].flatten(1).float()).square().mean(1).sqrt()
    return Nearest(distance, place, kept["x"], kept.get("c"))


def closeness(codes: Codes, train: Data, samples: Tensor, smooth: bool) -> tuple[Closeness, Nearest]:
    """Distances of samples and of held-out data to their nearest training data.

    Args:
        codes: held-out data.
        train: training data.
        samples: (Q, *event).
        smooth: whether the samples are likelihood means: then the reconstructions of held-out data, which
            are means too, are what they are compared with.
    """
    queries = queries_for(codes, train)
    x = codes.batch["x"][:queries]
    sets = [samples, x]
    if smooth and codes.shapes:
        sets.append(codes.decode(codes.means[: len(x)], codes.context(slice(0, len(x)))).mean)
    most = max(1000, int(_WORK / (sum(map(len, sets)) * x[0].numel())))
    count = min(len(train), most)
    rows = evenly(len(train), count)
    found = find_nearest(torch.cat([part.reshape(-1, *x.shape[1:]) for part in sets]), train, rows, codes)
    parts = found.distance.cpu().split([len(part) for part in sets])
    rebuilt = parts[2] if len(parts) > 2 else None
    own = slice(0, len(samples))
    beside = Nearest(parts[0], found.rows[own], found.x[own], None if found.c is None else found.c[own])
    return Closeness(parts[0], parts[1], rebuilt, count, len(train)), beside


def queries_for(codes: Codes, train: Data) -> int:
    """How many samples, and how many held-out data, are held against all training data."""
    least, most = _QUERIES
    room = _WORK / (3 * len(train) * codes.batch["x"][0].numel())
    return int(min(max(room, least), most, len(codes.means)))


@torch.no_grad()
def pictures_beside(pixels: Pixels, codes: Codes, train: Data, held: str) -> Figure:
    """Sampled pictures above the training pictures that are nearest to them."""
    count = max(queries_for(codes, train), _QUERIES[0])
    context, said = prior_context(codes, count)
    samples = codes.source.generate(count, context).mean
    found, nearest = closeness(codes, train, samples, smooth=True)
    columns = min(pixels.columns(12), count)
    order = nearest.distance.argsort(stable=True)
    strips = [("the samples that lie nearest to a training picture", order[:columns])]
    if pixels.room() >= 4 * columns:
        strips.append(("the first samples, as they come", torch.arange(columns)))
    pictures = []
    for label, chosen in strips:
        picked = chosen.to(nearest.x.device)
        theirs = None if nearest.c is None else nearest.c[picked]
        given = None if context is None else context[picked]
        tiles = torch.cat([
            pixels.values(samples[picked], given), pixels.values(nearest.x[picked], theirs),
        ])  # fmt: skip
        far = nearest.distance[chosen]
        alt = (
            f"{len(chosen)} sampled pictures above their nearest training pictures, at distances from "
            f"{float(far.min()):.3g} to {float(far.max()):.3g}."
        )
        span = f"{float(far.min()):.3g} to {float(far.max()):.3g} away"
        pictures.append(pixels.grid(tiles, columns, alt, label=f"{label}: {span}"))
    unit = "of a pixel, where black is 0 and white is 1" if pixels.high - pixels.low == 1 else "of a pixel"
    made = f"{count} likelihood means, drawn from the {source_word(codes)}{said}"
    if pixels.spec.binarised == "dynamic":
        made += ", and training pictures of which every pixel was drawn once"
    return _figure(found, pictures, held, made, unit, "picture")


@torch.no_grad()
def rows_beside(columns: Columns, codes: Codes, train: Data, held: str) -> Figure:
    """The distances of samples of a table, or of another vector, to their nearest training data."""
    count = max(queries_for(codes, train), _QUERIES[0])
    context, said = prior_context(codes, count)
    p = codes.source.generate(count, context)
    noise = draw_noise(p)
    found, _ = closeness(codes, train, p.mean if noise is None else noise, smooth=noise is None)
    spec: Spec = columns.spec
    unit = "of a column, in standard deviations" if spec.scale is not None else "of an element"
    how = "likelihood means" if noise is None else "samples, with the noise of the likelihood,"
    made = f"{count} {how} drawn from the {source_word(codes)}{said}"
    return _figure(found, [], held, made, unit, "row")


def _figure(found: Closeness, pictures: list[Picture], held: str, made: str, unit: str, thing: str) -> Figure:
    keys = [Key("samples", "model"), Key(f"{held} data", "data")]
    if found.rebuilt is not None:
        keys.append(Key(f"{held} data, reconstructed", "soft", dashed=True))
    share = f" of {found.of:,}" if found.searched < found.of else ""
    return Figure(
        key="nearest",
        title="Is it copying?",
        how=f"Each sample stands above the training {thing} that is most like it: a model that learnt its "
        f"training set by heart repeats {thing}s, one that generalises only comes as near to them as "
        "held-out data do."
        if pictures
        else "How near samples come to the training data, beside how near data come that the model never "
        "saw: a line of samples far to the left of both others is a model that repeats its training set.",
        pictures=(*pictures, _distances(found, unit)),
        keys=tuple(keys),
        caption=f"{made}; nearest in squared error among {found.searched:,}{share} training data. Distances "
        f"are the root of the mean squared difference {unit}."
        + (
            ""
            if found.rebuilt is None
            else " Likelihood means are smoother than data and lie nearer to everything: hold them against "
            "the reconstructions of held-out data, which are as smooth."
        ),
        tables=(_numbers(found, held),),
        found=verdict(found, held),
    )


def verdict(found: Closeness, held: str) -> str:
    """What the distances say, with the numbers."""
    other = f"{held} data" if found.rebuilt is None else "reconstructions of held-out data"
    share, error = found.nearer, found.nearer_se
    said = (
        f"A sample is the nearer one in {100 * share:.0f} ± {100 * error:.0f} % of its comparisons with "
        f"{other}, where 50 % is no copying and 100 % all copying. "
    )
    if share - 0.5 > _SURE * error:
        said += (
            "Samples lie nearer to the training data than unseen data do: they repeat what the model was "
            "shown, or lack the detail that sets data apart."
        )
    elif 0.5 - share > _SURE * error:
        said += (
            "Samples lie farther from the training data than unseen data do: there is no sign of copying, "
            "and some samples are unlike any datum."
        )
    else:
        said += "There is no sign of copying."
    if copies := int((found.samples == 0).sum()):
        said += (
            f" {copies} of {len(found.samples)} samples equal a training datum exactly; of the {held} data, "
            f"{int((found.held == 0).sum())} of {len(found.held)} do."
        )
    return said


def _numbers(found: Closeness, held: str) -> Table:
    sets = [("samples", found.samples), (f"{held} data", found.held)]
    if found.rebuilt is not None:
        sets.append((f"{held} data, reconstructed", found.rebuilt))
    rows = tuple(
        (name, f"{float(v.min()):.3g}", f"{float(v.median()):.3g}", f"{float(v.max()):.3g}", str(len(v)))
        for name, v in sets
    )
    return Table(("distance of", "least", "median", "most", "number"), rows)


def _distances(found: Closeness, unit: str) -> Picture:
    import numpy as np

    sets = [found.samples, found.held, *([] if found.rebuilt is None else [found.rebuilt])]
    high = float(torch.cat(sets).quantile(0.995))
    edges: Array = np.linspace(0.0, high if high > 0 else 1.0, 36)
    shares = [_share(values, edges) for values in sets]

    def paint(ax: Axes) -> None:
        ax.stairs(shares[1], edges, fill=True, color=DATA, alpha=0.3, linewidth=0)
        ax.stairs(shares[0], edges, color=MODEL, linewidth=1.8)
        if len(shares) > 2:
            ax.stairs(shares[2], edges, color=SOFT, linewidth=1.4, linestyle=(0, (4, 2)))
        ax.set_yticks([])
        ax.set_ylim(0, 1.08 * max(float(share.max()) for share in shares))
        ax.grid(False)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("distance to the nearest training datum")
        plain_ticks(ax.xaxis, 6)

    alt = (
        f"Distributions of distances, root mean squared difference {unit}: median "
        f"{float(sets[0].median()):.3g} for samples, {float(sets[1].median()):.3g} for held-out data"
        + (f", {float(sets[2].median()):.3g} for their reconstructions." if len(sets) > 2 else ".")
    )
    return draw("distances", alt, paint, size=(5.2, 2.2), label="how far it is to the nearest training datum")


def _share(values: Tensor, edges: Array) -> Array:
    import numpy as np

    counts, _ = np.histogram(values.double().numpy(), edges)
    return np.asarray(counts / max(1, len(values)))
