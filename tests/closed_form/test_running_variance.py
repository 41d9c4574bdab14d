"""The running variance of the optimal-variance likelihood."""

from __future__ import annotations

import torch
from torch import nn

from vaekit.conditionals import OptimalGaussian


def likelihood():
    return OptimalGaussian(lambda output: nn.Linear(2, output[0]), (3,)).double()


def step(module, x):
    module.train()
    z = torch.randn(len(x), 2).double()
    p = module(z)
    density = p.log_prob(x)
    module.after_step()
    return p.fitted, density


def test_average_is_free_of_the_bias_of_its_start():
    module = likelihood()
    assert module.variance == 1
    fitted = []
    for _ in range(5):
        fitted.append(step(module, torch.randn(9, 3).double())[0])
        decay = module.decay
        weights = [decay ** (len(fitted) - 1 - i) for i in range(len(fitted))]
        expected = sum(w * v for w, v in zip(weights, fitted, strict=True)) / sum(weights)
        torch.testing.assert_close(module.variance, expected)


def test_training_does_not_read_the_average_and_evaluation_reads_nothing_else():
    module = likelihood()
    step(module, torch.randn(9, 3).double())
    z, x = torch.randn(9, 2).double(), torch.randn(9, 3).double()
    module.train()
    before = module(z).log_prob(x)
    module.eval()
    scored = module(z).log_prob(x)
    alone = module(z[:1]).log_prob(x[:1])
    torch.testing.assert_close(scored[:1], alone)  # a datum does not set its own variance
    module.average.mul_(4)
    assert not torch.equal(module(z).log_prob(x), scored)
    module.train()
    assert torch.equal(module(z).log_prob(x), before)


def test_evaluation_leaves_the_average_alone():
    module = likelihood()
    step(module, torch.randn(9, 3).double())
    before = module.variance.clone()
    module.eval()
    module(torch.randn(9, 2).double()).log_prob(torch.randn(9, 3).double())
    module.after_step()
    assert torch.equal(module.variance, before)


def test_a_second_pass_in_the_same_step_does_not_set_the_running_variance():
    conditional = OptimalGaussian(lambda output: nn.Linear(2, output[0]), (3,))
    x = torch.randn(8, 3)
    first, second = conditional(torch.randn(8, 2)), conditional(100 * torch.randn(8, 2))
    first.log_prob(x)
    second.log_prob(x)
    assert second.fitted > 10 * first.fitted
    conditional.after_step()
    assert torch.allclose(conditional.variance, first.fitted)
    third = conditional(torch.randn(8, 2))
    third.log_prob(x)
    conditional.after_step()
    assert torch.allclose(conditional.average, 0.99 * 0.01 * first.fitted + 0.01 * third.fitted)
