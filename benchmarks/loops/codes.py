"""Quantised and categorical latents, and densities of codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from benchmarks.cases import Case
from benchmarks.minimal import Batch, Step, crossed, decoder_of, encoder_of, one_player, sequence
from vaekit.networks import MLP
from vaekit.system import System

Quantise = Callable[[Tensor], tuple[Tensor, Tensor]]


def codebook(system: System, posterior: Any) -> Quantise:
    """z_e -> (straight-through z_q, commitment); the running averages move on the way."""
    book, known = posterior.codebook, system.call["arguments"]
    restart, share = known["restart"], 1 - known["decay"]
    levels, width = book.shape
    counts, sums = torch.zeros(levels), torch.zeros(levels, width)
    started = False

    def quantise(z: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal started
        with torch.no_grad():
            last = z.movedim(1, -1)
            rows = last.reshape(-1, width)
            codes = torch.addmm(0.5 * book.square().sum(1), rows, book.mT, alpha=-1).argmin(1)
            nearest = book[codes].view(last.shape).movedim(-1, 1)
            counts.lerp_(torch.zeros(levels).index_add_(0, codes, torch.ones(len(rows))), share)
            sums.lerp_(torch.zeros(levels, width).index_add_(0, codes, rows), share)
            candidates = rows[torch.randint(len(rows), (levels,))]
            used = counts > 1e-5
            book.copy_(torch.where(used[:, None], sums / counts.where(used, 1.0)[:, None], book))
            mean = counts.mean()
            dead = counts < restart * mean if started else torch.ones(levels, dtype=torch.bool)
            book.copy_(torch.where(dead[:, None], candidates, book))
            sums.copy_(torch.where(dead[:, None], candidates * mean, sums))
            counts.copy_(torch.where(dead, mean, counts))
            started = True
        return z + (nearest - z).detach(), (z - nearest).square().sum() / len(z)

    return quantise


def vq_vae(system: System) -> Step:
    model: Any = system.model
    posterior, decoder = model.posteriors[0], model.likelihood.network
    quantise = codebook(system, posterior)
    beta = system.call["arguments"]["beta"]
    if isinstance(decoder, MLP):
        split = nn.Unflatten(1, posterior.event)
        encode = nn.Sequential(nn.Flatten(), sequence(posterior.network), split)
        decode = nn.Sequential(nn.Flatten(), sequence(decoder))
    else:
        net = posterior.network
        encode = nn.Sequential(*net.reduce, net.residuals, net.output_layer)
        decode = nn.Sequential(
            decoder.first, decoder.residuals, *decoder.restore, decoder.output_layer, nn.Flatten()
        )

    def loss(batch: Batch) -> Tensor:
        z, commitment = quantise(encode(batch["x"]))
        return crossed(decode(z), batch["x"]) + beta * commitment

    return one_player(system, loss)


def vq_vae2(system: System) -> Step:
    model: Any = system.model
    below, above = model.posteriors
    features, decoder = model.features, model.likelihood.network
    at_quarter = nn.Sequential(*features.reduce, features.residuals)
    at_eighth = nn.Sequential(*features.above, features.residuals_above, above.network.output_layer)
    refine = nn.Sequential(
        decoder.first, decoder.residuals, *decoder.restore, decoder.output_layer, nn.Flatten()
    )
    enlarge = decoder.enlarge[0].layers
    top, bottom = codebook(system, above), codebook(system, below)
    beta = system.call["arguments"]["beta"]

    def loss(batch: Batch) -> Tensor:
        h = at_quarter(batch["x"])
        z2, first = top(at_eighth(h))
        z1, second = bottom(below.network.output_layer(torch.cat([h, below.network.decode(z2)], 1)))
        logits = refine(torch.cat([z1, enlarge(z2)], 1))
        return crossed(logits, batch["x"]) + beta * (first + second)

    return one_player(system, loss)


def gumbel_vae(system: System) -> Step:
    model: Any = system.model
    known = system.call["arguments"]
    n, classes = known["latents"], known["classes"]
    encode, decode = encoder_of(model.posteriors[0].network), decoder_of(model.likelihood.network)
    count = 0

    def loss(batch: Batch) -> Tensor:
        nonlocal count
        temperature = max(known["lowest"], known["temperature"] * math.exp(-known["rate"] * count))
        count += 1
        logits = encode(batch["x"]).view(-1, n, classes)
        noise = -torch.empty_like(logits).exponential_().log()
        z = ((logits + noise) / temperature).softmax(-1)
        table = logits.log_softmax(-1)
        rate = (table.exp() * table).sum() / len(logits) + n * math.log(classes)
        return crossed(decode(z.flatten(1)), batch["x"]) + rate

    return one_player(system, loss)


def code_prior(system: System) -> Step:
    """Masked convolutions by padding, two stacks, gates."""
    model: Any = system.model
    net = model.likelihood.network
    rows, columns = net.side

    def seen(layer: Any, x: Tensor) -> Tensor:
        return layer.convolution(pad(x, layer.padding))[..., :rows, :columns]

    def gate(x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        return a.tanh() * b.sigmoid()

    def loss(batch: Batch) -> Tensor:
        codes = batch["x"].long().view(-1, rows, columns)
        v = h = net.embedding(codes).movedim(-1, 1)
        for number, block in enumerate([net.first, *net.blocks]):
            above = seen(block.vertical, v)
            left = block.out(gate(seen(block.horizontal, h) + block.link(above)))
            v, h = gate(above), left if number == 0 else h + left
            if number == 0:
                v, h = v + net.place, h + net.place
        logits = net.output_layer(net.head(h))
        return cross_entropy(logits, codes, reduction="sum") / len(codes)

    return one_player(system, loss)


LOOPS = {"code_prior": code_prior, "gumbel_vae": gumbel_vae, "vq_vae": vq_vae, "vq_vae2": vq_vae2}

CASES = {
    "code_prior": Case({"width": 16, "blocks": 2}, plain=False, dense=True),
    "gumbel_vae": Case({"classes": 10}),
    "vq_vae": Case(wanted=lambda n, hidden: {"codes": 512, "dims": 4 * n, "hidden": hidden}),
    "vq_vae2": Case(wanted=lambda n, _: {"codes": 512, "dims": 4 * n}),
}
