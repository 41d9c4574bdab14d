"""Draws of a stack are those of single training."""

from __future__ import annotations

import pytest
import torch

from vaekit import UnsupportedError
from vaekit.stacked.noise import Recorded, Replayed, Streams


def several():
    return [
        torch.randn(4, 3), torch.rand((5,)), torch.randint(2, 9, (6,)), torch.randint(7, (2, 2)),
        torch.randn_like(torch.zeros(2, 5, dtype=torch.float64)), torch.rand_like(torch.zeros(3)),
        torch.randint(5, size=(3,)), torch.randint(high=4, low=1, size=(9,)),
        torch.randn(20, dtype=torch.float64),
    ]  # fmt: skip


def test_recorded_and_made_again():
    torch.manual_seed(3)
    start = torch.get_rng_state()
    expected = several()
    torch.set_rng_state(start)
    with Recorded() as recorded:
        seen = several()
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))  # it only looks
    streams = Streams([start], torch.device("cpu"))
    made = streams.draw(recorded.draws)
    assert [tuple(value.shape) for value in made] == [(1, *value.shape) for value in expected]
    assert all(torch.equal(a[0], b) and a.dtype == b.dtype for a, b in zip(made, expected, strict=True))
    assert torch.equal(streams.state(0), torch.get_rng_state())
    with Replayed([value[0] for value in made]):
        assert all(torch.equal(a, b) for a, b in zip(several(), expected, strict=True))


def test_own_generators_are_left_alone():
    generator = torch.Generator().manual_seed(1)
    with Recorded() as recorded:
        torch.randn(3, generator=generator)
    assert recorded.draws == []
    with Replayed([]):
        torch.randn(3, generator=generator)
        with pytest.raises(UnsupportedError, match="more than"):
            torch.randn(3)


def test_streams_at_one_place_are_one():
    states = []
    for seed in (5, 6, 5, 5):
        torch.manual_seed(seed)
        states.append(torch.get_rng_state())
    streams = Streams(states, torch.device("cpu"))
    assert streams.of == [0, 1, 0, 0]
    with Recorded() as recorded:
        torch.randn(4)
    for _ in range(2):
        (drawn,) = streams.draw(recorded.draws)
        assert torch.equal(drawn[0], drawn[2])
        assert torch.equal(drawn[0], drawn[3])
        assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(6)
    torch.randn(4)
    assert torch.equal(drawn[1], torch.randn(4))
