"""Sequences of tokens: what they are, how an encoder sees them, what is shown of them."""

from __future__ import annotations

import pytest
import torch

from vaekit.data import Spec, load, shown, texts
from vaekit.data.text import tokens_of
from vaekit.distributions import Categorical
from vaekit.errors import UserError
from vaekit.networks import Tokens
from vaekit.recipes import vae

SPEC = Spec("words", (3,), "categorical", 10, levels=4, vocabulary=("a", "b", "c", " "))


def test_text_becomes_numbers_and_text_again():
    tokens = tokens_of("abc cab", SPEC.vocabulary, 3)
    assert tokens.tolist() == [[0, 1, 2], [3, 2, 0]]  # what is left over is dropped
    assert texts(SPEC, tokens.tolist()) == ["abc", " ca"]


def test_an_encoder_sees_tokens_one_hot():
    seen = []

    class Network(torch.nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    Tokens(Network(12, 2), 4)(torch.tensor([[0.0, 3.0, 1.0]]))
    assert seen[0].tolist() == [[1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]]


def test_relabelling_tokens_is_relabelling_weights():
    """Names, not amounts: with the columns of the first layer permuted, permuted tokens are the same data."""
    model = vae(SPEC, latents=2).model.eval()
    x, order = torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([2, 0, 3, 1])
    before = model.encode({"x": x})["z"]
    weight = next(p for p in model.posteriors.parameters() if p.ndim == 2 and p.shape[1] == 12)
    with torch.no_grad():
        renamed = torch.empty_like(weight).view(-1, 3, 4)
        renamed[..., order] = weight.view(-1, 3, 4)
        weight.copy_(renamed.view_as(weight))
    after = model.encode({"x": order[x.long()].float()})["z"]
    torch.testing.assert_close(after, before)


def test_what_is_shown_of_tokens_is_the_most_probable():
    logits = torch.tensor([[[0.0, 1.0, 5.0, 4.0], [9.0, 0.0, 0.0, 8.5], [0.0, 0.0, 0.0, 1.0]]])
    p = Categorical(logits, 1)
    assert shown(SPEC, p).tolist() == [[2, 0, 3]]
    levels = Spec("levels", (3,), "categorical", 10, levels=4)  # ordered levels have a mean
    torch.testing.assert_close(shown(levels, p), p.mean)


@pytest.mark.parametrize("wrong", [{"kind": "count", "levels": None}, {"shape": (1, 3)}, {"levels": 5}])
def test_a_vocabulary_that_does_not_fit_is_refused(wrong):
    about = {"name": "words", "shape": (3,), "kind": "categorical", "size": 10, "levels": 4, **wrong}
    with pytest.raises(ValueError, match="as many levels as tokens"):
        Spec(**about, vocabulary=SPEC.vocabulary)


def test_the_plays(data_root):
    splits = load("tiny_shakespeare")
    spec = splits.spec
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (14901, 784, 1743)
    assert (spec.kind, spec.levels, spec.shape) == ("categorical", 65, (64,))
    assert Spec.from_json(spec.to_json()) == spec
    first = texts(spec, splits.test.take(torch.arange(1))["x"].tolist())[0]
    assert first.startswith("who comes here?")
    with pytest.raises(UserError, match="leave both out"):
        load("tiny_shakespeare", kind="real")
