"""Is it copying? Samples beside their nearest training data, and what the distances say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.data.restore import shown
from vaekit.data.spec import Spec
from vaekit.report.codes import Codes
from vaekit.report.columns import Columns
from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, plain_ticks
from vaekit.report.nearest import QUERIES, Closeness, closeness, queries_for
from vaekit.report.parts import Figure, Key, Picture, Table
from vaekit.report.pictures import Pixels
from vaekit.report.texts import text
from vaekit.report.walks import draw_noise, prior_context, source_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEXTS = 8
_SURE = 3.0  # standard errors


@torch.no_grad()
def pictures_beside(pixels: Pixels, codes: Codes, train: Data, held: str) -> Figure:
    """Sampled pictures above the training pictures that are nearest to them."""
    count = max(queries_for(codes, train), QUERIES[0])
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
    return _figure(found, pictures, held, made, f"root of the mean squared difference {unit}", "picture")


@torch.no_grad()
def rows_beside(columns: Columns, codes: Codes, train: Data, held: str) -> Figure:
    """The distances of samples of a table, or of another vector, to their nearest training data."""
    count = max(queries_for(codes, train), QUERIES[0])
    context, said = prior_context(codes, count)
    p = codes.source.generate(count, context)
    noise = draw_noise(p)
    found, _ = closeness(codes, train, p.mean if noise is None else noise, smooth=noise is None)
    spec: Spec = columns.spec
    unit = "of a column, in standard deviations" if spec.scale is not None else "of an element"
    how = "likelihood means" if noise is None else "samples, with the noise of the likelihood,"
    made = f"{count} {how} drawn from the {source_word(codes)}{said}"
    return _figure(found, [], held, made, f"root of the mean squared difference {unit}", "row")


@torch.no_grad()
def texts_beside(spec: Spec, codes: Codes, train: Data, held: str) -> Figure:
    """Sampled sequences beside the training sequences that differ from them at the fewest places."""
    count = max(queries_for(codes, train), QUERIES[0])
    context, said = prior_context(codes, count)
    samples = shown(spec, codes.source.generate(count, context)).long()
    found, nearest = closeness(codes, train, samples, smooth=True)
    first = nearest.distance.argsort(stable=True)[:_TEXTS]
    rows = tuple(
        (
            f"{100 * float(nearest.distance[i]):.0f} % differ",
            text(spec, samples[i]),
            text(spec, nearest.x[i].long(), samples[i]),
        )
        for i in first.tolist()
    )
    table = Table(("", "sample", "nearest training datum"), rows, texts=True)
    made = f"The most probable tokens at {count} draws of the {source_word(codes)}{said}"
    unit = "share of places at which two texts differ: one that is shifted by a place counts as another"
    return _figure(found, [], held, made, unit, "text", table)


def _figure(
    found: Closeness,
    pictures: list[Picture],
    held: str,
    made: str,
    measure: str,
    thing: str,
    beside: Table | None = None,
) -> Figure:
    keys = [Key("samples", "model"), Key(f"{held} data", "data")]
    if found.rebuilt is not None:
        keys.append(Key(f"{held} data, reconstructed", "soft", dashed=True))
    share = f" of {found.of:,}" if found.searched < found.of else ""
    smooth = "Likelihood means are smoother" if beside is None else "The most probable tokens are plainer"
    where = "above" if pictures else "beside"
    return Figure(
        key="nearest",
        title="Is it copying?",
        how=f"Each sample stands {where} the training {thing} that is most like it: a model that learnt "
        f"its training set by heart repeats {thing}s, one that generalises only comes as near to them as "
        "held-out data do."
        if pictures or beside is not None
        else "How near samples come to the training data, beside how near data come that the model never "
        "saw: a line of samples far to the left of both others is a model that repeats its training set.",
        pictures=(*pictures, _distances(found, measure)),
        keys=tuple(keys),
        caption=f"{made}; the nearest among {found.searched:,}{share} training data. Distances are the "
        f"{measure}."
        + (
            ""
            if found.rebuilt is None
            else f" {smooth} than data and lie nearer to everything: hold them against "
            "the reconstructions of held-out data, which are as smooth."
        ),
        tables=(*(() if beside is None else (beside,)), _numbers(found, held)),
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


def _distances(found: Closeness, measure: str) -> Picture:
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
        f"Distributions of distances, the {measure}: median "
        f"{float(sets[0].median()):.3g} for samples, {float(sets[1].median()):.3g} for held-out data"
        + (f", {float(sets[2].median()):.3g} for their reconstructions." if len(sets) > 2 else ".")
    )
    return draw("distances", alt, paint, size=(5.2, 2.2), label="how far it is to the nearest training datum")


def _share(values: Tensor, edges: Array) -> Array:
    import numpy as np

    counts, _ = np.histogram(values.double().numpy(), edges)
    return np.asarray(counts / max(1, len(values)))
