"""Labels as an enumerated axis: the bounds of M2 by hand, by a loop, and in a world where all is exact."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import distributions as td
from torch.nn.functional import cross_entropy

from vaekit import conditionals as c
from vaekit.data import ArrayData, Spec
from vaekit.distributions import OneHot
from vaekit.errors import UnsupportedError
from vaekit.metrics import (
    bayes_classes,
    elbo,
    error_rate,
    evaluate,
    latent_use,
    log_evidence,
    mutual_information,
    nll,
)
from vaekit.metrics.ais import annealed_weights
from vaekit.models import Chain, Flat, LabelMarginal, TopDown
from vaekit.networks import MLP
from vaekit.objective import Objective
from vaekit.terms import (
    Classification,
    Distortion,
    ImportanceBound,
    Rate,
    effective_sample_size,
    log_class_weight,
    log_weight,
    per_datum,
)
from vaekit.testing import check_term, select

DATA, BITS, CLASSES = 6, 5, 3
MIXED = torch.tensor([0, -1, 2, -1, 1, 1])


pytestmark = pytest.mark.usefixtures("double")


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(7,), activation="tanh")


def inner(kind, classes=CLASSES):
    k = classes
    if kind == "flat":
        return Flat(
            c.Gaussian(network(BITS, k), (2,)), c.StandardGaussian((2,)), c.Bernoulli(network(2, k), (BITS,))
        )
    if kind == "conditional prior":
        return Flat(
            c.Gaussian(network(BITS, k), (2,)),
            c.Gaussian(network(k), (2,)),
            c.Bernoulli(network(2, k), (BITS,)),
        )
    if kind == "chain":
        return Chain(
            [c.Gaussian(network(BITS, k), (2,)), c.Gaussian(network(2, k), (3,))],
            [c.Gaussian(network(3, k), (2,)), c.Gaussian(network(k), (3,))],
            c.Bernoulli(network(2, k), (BITS,)),
        )
    return TopDown(
        [c.Gaussian(network(BITS, 3, k), (2,)), c.Gaussian(network(BITS, k), (3,))],
        [c.Gaussian(network(3, k), (2,)), c.Gaussian(network(k), (3,))],
        c.Bernoulli(network(2, 3, k), (BITS,)),
    )


MODELS = ["flat", "conditional prior", "chain", "top-down"]
P = [0.5, 0.2, 0.3]


def model_of(kind="flat", prior=None):
    made = LabelMarginal(inner(kind), c.OneHot(network(BITS), CLASSES), CLASSES, prior)
    return made.double()


def bits(rows=DATA):
    return torch.randint(2, (rows, BITS)).double()


def bound(trace, rate="auto"):
    """-(distortion + rate), one value per datum."""
    return -Distortion()(trace) - Rate(rate)(trace)


def on_noise(model, batch, samples=None, seed=3):
    torch.manual_seed(seed)
    return model(batch, samples)


# -- the bounds ---


@pytest.mark.parametrize("samples", [None, 4])
@pytest.mark.parametrize(
    ("kind", "rate"),
    [(kind, rate) for kind in MODELS for rate in ("auto", "sample")] + [("flat", "stl")],
)
def test_unknown_labels_are_a_loop_over_known_ones(kind, samples, rate):
    """U(x) = sum_y q(y|x) L(x, y) + H(q(y|x)) on the same draws, where L is what a known label gives."""
    model, x = model_of(kind, c.ClassFrequencies(CLASSES, P)), bits()
    each = torch.stack(
        [bound(on_noise(model, {"x": x, "y": torch.full((DATA,), k)}, samples), rate) for k in range(CLASSES)]
    )
    q = model.classifier(x)
    table = q.logits.log_softmax(-1).mT
    expected = (table.exp() * (each - table)).sum(0)
    for batch in ({"x": x}, {"x": x, "y": torch.full((DATA,), -1)}):
        torch.testing.assert_close(bound(on_noise(model, batch, samples), rate), expected, rtol=0, atol=1e-10)
    mixed = bound(on_noise(model, {"x": x, "y": MIXED}, samples), rate)
    known = each[MIXED.clamp_min(0), torch.arange(DATA)]
    torch.testing.assert_close(mixed, torch.where(MIXED < 0, expected, known), rtol=0, atol=1e-10)


def test_the_bound_of_mixed_labels_by_hand():
    """Nothing of vaekit but the networks and the draws."""
    model, x = model_of(), bits()
    trace = on_noise(model, {"x": x, "y": MIXED})
    encoder, decoder = model.model.posteriors[0].network, model.model.likelihood.network
    lower = []
    for k in range(CLASSES):
        y = torch.eye(CLASSES)[k].expand(DATA, CLASSES)
        mean, log_std = encoder(x, y).chunk(2, 1)
        z = trace.latents["z"].value[k]
        crossed = td.Bernoulli(logits=decoder(z, y)).log_prob(x).sum(1)
        rate = td.kl_divergence(td.Normal(mean, log_std.exp()), td.Normal(0.0, 1.0)).sum(1)
        lower.append(crossed - rate - math.log(CLASSES))
    lower = torch.stack(lower, 1)
    q = td.Categorical(logits=model.classifier.network(x))
    unknown = (q.probs * lower).sum(1) + q.entropy()
    known = lower[torch.arange(DATA), MIXED.clamp_min(0)]
    expected = torch.where(MIXED < 0, unknown, known)
    torch.testing.assert_close(bound(trace), expected, rtol=0, atol=1e-12)


def test_every_class_has_noise_of_its_own():
    trace = on_noise(model_of(), {"x": bits()})
    latent = trace.latents["z"]
    noise = (latent.value - latent.q.mean) / latent.q.stddev
    assert trace.axes == ("y", "batch")
    assert noise.shape == (CLASSES, DATA, 2)
    assert len(noise.flatten().unique()) == noise.numel()


def test_u_is_below_the_sum_over_classes_and_meets_it_at_the_best_q():
    """U <= LSE_y L(x, y), with equality at q = softmax(L)."""
    model, x = model_of(), bits()
    trace = on_noise(model, {"x": x})
    each = torch.stack(
        [bound(on_noise(model, {"x": x, "y": torch.full((DATA,), k)})) for k in range(CLASSES)]
    )
    most = each.logsumexp(0)
    assert (bound(trace) < most).all()
    best = OneHot(each.mT)
    label = replace(trace.latents["y"], q=best)
    at_best = replace(trace, latents={**trace.latents, "y": label}, weights=best.probs.mT)
    torch.testing.assert_close(bound(at_best), most, rtol=0, atol=1e-12)


def test_one_class_is_the_elbo():
    model = LabelMarginal(inner("flat", 1), c.OneHot(network(BITS), 1), 1).double()
    x = bits()
    plain = on_noise(model.model, {"x": x, "c": torch.ones(DATA, 1)})
    for y in (0, -1):
        trace = on_noise(model, {"x": x, "y": torch.full((DATA,), y)})
        torch.testing.assert_close(bound(trace), bound(plain), rtol=0, atol=1e-12)


def test_a_certain_classifier_is_a_known_label():
    model, x = model_of(), bits()
    with torch.no_grad():
        model.classifier.network.output_layer.weight.zero_()
        model.classifier.network.output_layer.bias.copy_(torch.tensor([0.0, 1e4, 0.0]))
    known = on_noise(model, {"x": x, "y": torch.ones(DATA, dtype=torch.long)})
    torch.testing.assert_close(bound(on_noise(model, {"x": x})), bound(known), rtol=0, atol=1e-12)


# -- a world where all of it is exact ---


class LinearM2:
    """p(y) = P, p(z) = N(0, I), p(x|y,z) = N(A z + b_y, s^2 I), with the exact q(z|x,y) and a free q(y|x)."""

    def __init__(self, centres=None):
        d, k, sigma = BITS, 2, 0.7
        weight, self.p = torch.randn(d, k), torch.tensor(P)
        self.centres = torch.randn(CLASSES, d) if centres is None else centres
        covariance = weight @ weight.mT + sigma**2 * torch.eye(d)
        self.components = td.MultivariateNormal(self.centres, covariance)
        precision = torch.eye(k) + weight.mT @ weight / sigma**2
        encode = torch.linalg.solve(precision, weight.mT) / sigma**2
        factor = torch.linalg.cholesky(torch.linalg.inv(precision))
        decoder, encoder = MLP([(k,), (CLASSES,)], (d,), hidden=()), MLP([(d,), (CLASSES,)], (5,), hidden=())
        with torch.no_grad():
            decoder.output_layer.weight.copy_(torch.cat([weight, self.centres.mT], 1))
            decoder.output_layer.bias.zero_()
            encoder.output_layer.weight.zero_()
            encoder.output_layer.weight[:k] = torch.cat([encode, -encode @ self.centres.mT], 1)
            constants = torch.cat([torch.zeros(k), factor.diagonal().log(), factor[1, :1]])
            encoder.output_layer.bias.copy_(constants)
        likelihood = c.FixedGaussian(lambda _: decoder, (d,), sigma)
        likelihood.log_std.fill_(math.log(sigma))
        world = Flat(c.CholeskyGaussian(lambda _: encoder, (k,)), c.StandardGaussian((k,)), likelihood)
        self.classifier = c.OneHot(network(d), CLASSES)
        self.model = LabelMarginal(world, self.classifier, CLASSES, c.ClassFrequencies(CLASSES, P)).double()

    def joint(self, x):
        """log p(x, y), (B, C)."""
        return self.components.log_prob(x.unsqueeze(1)) + self.p.log()


def test_linear_world_has_exact_bounds():
    world = LinearM2()
    x = torch.randn(DATA, BITS)
    joint = world.joint(x)
    trace = world.model({"x": x, "y": MIXED})
    exact = joint.logsumexp(1)
    q = world.classifier(x)
    table = q.logits.log_softmax(-1)
    unknown = (table.exp() * (joint - table)).sum(1)  # log p(x) - KL(q(y|x) || p(y|x))
    expected = torch.where(MIXED < 0, unknown, joint[torch.arange(DATA), MIXED.clamp_min(0)])
    torch.testing.assert_close(bound(trace, "sample"), expected, rtol=0, atol=1e-10)
    # at the exact q(y|x) the bound is the log-likelihood of the mixture
    best = OneHot(joint)
    trace = world.model({"x": x})
    label = replace(trace.latents["y"], q=best)
    trace = replace(trace, latents={**trace.latents, "y": label}, weights=best.probs.mT)
    torch.testing.assert_close(bound(trace, "sample"), exact, rtol=0, atol=1e-10)


def test_a_decoder_that_ignores_the_label_pays_for_guessing_it():
    """U(x) = ELBO(x) - KL(q(y|x) || p(y)), and the ELBO is log p(x) here."""
    world = LinearM2(centres=torch.zeros(CLASSES, BITS))
    x = torch.randn(DATA, BITS)
    elbo_of_x = world.components.log_prob(x.unsqueeze(1))[:, 0]
    q = td.Categorical(logits=world.classifier(x).logits)
    penalty = td.kl_divergence(q, td.Categorical(probs=world.p))
    torch.testing.assert_close(
        bound(world.model({"x": x}), "sample"), elbo_of_x - penalty, rtol=0, atol=1e-10
    )


def test_evidence_sums_labels_out_and_never_asks_the_classifier():
    world = LinearM2()
    x = torch.randn(DATA, BITS)
    joint = world.joint(x)
    exact = joint.logsumexp(1)
    for samples in (1, 3):
        found = log_evidence(world.model, {"x": x}, samples=samples)
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-10)
    known = log_evidence(world.model, {"x": x, "y": MIXED}, samples=2)
    expected = torch.where(MIXED < 0, exact, joint[torch.arange(DATA), MIXED.clamp_min(0)])
    torch.testing.assert_close(known, expected, rtol=0, atol=1e-10)
    iwae = -ImportanceBound()(world.model({"x": x}, 4))
    torch.testing.assert_close(iwae, exact, rtol=0, atol=1e-10)
    miwae = -ImportanceBound(groups=2)(world.model({"x": x}, 4))
    torch.testing.assert_close(miwae, exact, rtol=0, atol=1e-10)
    weights = log_weight(world.model({"x": x}, 4))
    assert weights.shape == (4, DATA)
    torch.testing.assert_close(effective_sample_size(weights), torch.full((DATA,), 4.0))
    slope = torch.autograd.grad(iwae.sum(), world.classifier.parameters(), allow_unused=True)
    assert all(each is None for each in slope)


def test_bayes_classes_are_the_posterior_of_the_label():
    world = LinearM2()
    x = torch.randn(DATA, BITS)
    for samples in (1, 5):
        found = bayes_classes(world.model, {"x": x, "y": MIXED}, samples=samples)
        torch.testing.assert_close(found, world.joint(x).softmax(1), rtol=0, atol=1e-10)


def data_of(world, rows=40, labelled=None):
    x, y = torch.randn(rows, BITS), torch.randint(CLASSES, (rows,))
    if labelled is not None:
        y[labelled:] = -1
    return ArrayData(Spec("toy", (BITS,), "real", rows, classes=CLASSES, labelled=labelled), x, y)


def test_metrics_do_not_see_the_labels_of_held_out_data():
    world = LinearM2()
    data = data_of(world)
    x = data.x
    assert nll(world.model, data, samples=3).nll == pytest.approx(-float(world.joint(x).logsumexp(1).mean()))
    found = elbo(world.model, data, samples=2, seed=5)
    table = world.classifier(x).logits.log_softmax(-1).detach()
    rate = (table.exp() * (table - world.p.log())).sum(1).mean()
    assert found.rates["y"] == pytest.approx(float(rate))
    assert found.estimators == {"z": "closed", "y": "closed"}
    without = ArrayData(replace(data.spec, classes=None), x)
    assert elbo(world.model, without, samples=2, seed=5).elbo == found.elbo
    record = evaluate(world.model, data, samples=2)
    wrong = world.classifier(x).logits.argmax(1) != data.y
    assert record["error"] == pytest.approx(float(wrong.double().mean()))
    assert record["error_n"] == 40
    assert "axes" in record["notes"]["mutual_information"]
    assert "error" in evaluate(world.model, without, samples=0)["notes"]


def test_error_rates():
    world = LinearM2()
    data = data_of(world, labelled=10)
    found = error_rate(world.model, data)
    wrong = (world.model.classify({"x": data.x}).argmax(1) != data.y)[:10]
    assert (found.error, found.n) == (float(wrong.double().mean()), 10)
    assert found.error_se == pytest.approx(math.sqrt(found.error * (1 - found.error) / 10))
    bayes = error_rate(world.model, data, samples=2)
    wrong = (world.joint(data.x).argmax(1) != data.y)[:10]
    assert (bayes.error, bayes.method) == (float(wrong.double().mean()), "bayes")
    with pytest.raises(UnsupportedError, match="classifies nothing"):
        error_rate(world.model.model, data)
    with pytest.raises(UnsupportedError, match="has no labels"):
        error_rate(world.model, ArrayData(Spec("toy", (BITS,), "real", 40), data.x))


def test_rates_of_dimensions_are_expected_over_labels():
    model = model_of()
    data = ArrayData(Spec("toy", (BITS,), "binary", DATA, classes=CLASSES), bits(), MIXED.clamp_min(0))
    use = latent_use(model, data)
    trace = model({"x": data.x})
    q = trace.latents["z"].q
    each = 0.5 * (q.loc.square() + q.variance - 1) - q.log_std
    expected = (model.classify({"x": data.x}).mT.unsqueeze(-1) * each).sum(0).mean(0)
    torch.testing.assert_close(torch.tensor(use.rates["z"]), expected)
    assert use.size == {"z": 2, "y": CLASSES}
    assert use.rates["y"] is None


# -- gradients ---


def test_the_bound_moves_the_classifier_by_hand():
    """dU/dl_y = q_y (L_y - log q_y - U): q is neither cut off nor left without its entropy."""
    model, x = model_of(), bits()
    trace = on_noise(model, {"x": x, "y": MIXED})
    logits = trace.predicted["y"].p.logits
    (slope,) = torch.autograd.grad(bound(trace).sum(), logits)
    each = torch.stack(
        [bound(on_noise(model, {"x": x, "y": torch.full((DATA,), k)})) for k in range(CLASSES)], 1
    )
    table = logits.log_softmax(-1)
    u = (table.exp() * (each - table)).sum(1, keepdim=True)
    expected = torch.where((MIXED < 0).unsqueeze(1), table.exp() * (each - table - u), 0.0)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-10)
    assert (slope[MIXED >= 0] == 0).all()


def test_classification_is_the_weighed_cross_entropy_of_known_labels():
    model, x = model_of(), bits()
    trace = model({"x": x, "y": MIXED})
    values = Classification()(trace)
    known = MIXED >= 0
    logits = trace.predicted["y"].p.logits
    expected = cross_entropy(logits[known], MIXED[known], reduction="none")
    torch.testing.assert_close(values[known], expected)
    assert (values[~known] == 0).all()
    alpha, total, labelled = 0.1, 1000, 50
    objective = Objective({"classification": (alpha * total / labelled, Classification())})
    slope = torch.autograd.grad(objective(trace).total, list(model.classifier.parameters()))
    loss = cross_entropy(model.classifier.network(x[known]), MIXED[known], reduction="sum")
    by_hand = torch.autograd.grad(loss * alpha / labelled * total / DATA, list(model.classifier.parameters()))
    for mine, theirs in zip(slope, by_hand, strict=True):
        torch.testing.assert_close(mine, theirs)
    with pytest.raises(UnsupportedError, match="predicts no label"):
        Classification()(model.model({"x": x, "c": torch.eye(CLASSES)[MIXED]}))


def test_batches_of_an_epoch_add_up_to_the_whole_objective():
    """N times the mean of the batches is sum_l L + sum_u U + (alpha N / N_l) sum_l log q, all exact."""
    world = LinearM2()
    rows, labelled, size, alpha = 60, 12, 10, 0.1
    data = data_of(world, rows, labelled)
    weight = alpha * rows / labelled
    objective = Objective(
        {"d": (1.0, Distortion()), "r": (1.0, Rate("sample")), "c": (weight, Classification())}
    )
    batches = list(data.batches(size, seed=0))
    assert [int((batch["y"] >= 0).sum()) for batch in batches] == [2] * 6  # N_l / N of every batch
    totals = [objective(world.model({"x": b["x"].double(), "y": b["y"]})).total for b in batches]
    joint, table = world.joint(data.x), world.classifier(data.x.double()).logits.log_softmax(-1)
    unknown = (table.exp() * (joint - table)).sum(1)[labelled:].sum()
    known = joint[torch.arange(labelled), data.y[:labelled]].sum()
    told = table[torch.arange(labelled), data.y[:labelled]].sum()
    expected = unknown + known + weight * told
    torch.testing.assert_close(-sum(totals) / len(totals) * rows, expected)
    # the weights of section 1.4: N_l / B_l = N_u / B_u = N / B in every batch
    assert rows / size == labelled / 2 == (rows - labelled) / 8


# -- the axis ---


def test_values_are_reduced_by_the_names_of_their_axes():
    model = model_of()
    trace = model({"x": bits()}, 4)
    w = trace.weights
    full, labels, plain = torch.randn(4, CLASSES, DATA), torch.randn(CLASSES, DATA), torch.randn(DATA)
    torch.testing.assert_close(per_datum(full, trace), (full.mean(0) * w).sum(0))
    torch.testing.assert_close(per_datum(labels, trace), (labels * w).sum(0))
    assert per_datum(plain, trace) is plain
    torch.testing.assert_close(w.sum(0), torch.ones(DATA))
    with pytest.raises(UnsupportedError, match="weights"):
        per_datum(full, replace(trace, weights=None))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("samples", [None, 4])
@pytest.mark.parametrize(
    "term",
    [Distortion(), Rate(), Rate("sample"), Classification()],
    ids=["distortion", "rate", "sample", "class"],
)
def test_terms_keep_their_contract(kind, samples, term):
    check_term(term, model_of(kind)({"x": bits(), "y": MIXED}, samples))


def test_an_importance_bound_keeps_its_contract_or_is_refused():
    trace = model_of()({"x": bits(), "y": MIXED}, 6)
    check_term(ImportanceBound(), trace)
    for term in (ImportanceBound(b=0.5), ImportanceBound(gradient="stl"), ImportanceBound(gradient="dreg")):
        with pytest.raises(UnsupportedError, match="enumerates labels"):
            term(trace)
    with pytest.raises(UnsupportedError, match="sample axis"):
        ImportanceBound()(model_of()({"x": bits()}))


def test_a_known_label_leaves_one_class():
    trace = model_of()({"x": bits(), "y": MIXED}, 2)
    weights = log_class_weight(trace)
    assert weights.shape == (2, CLASSES, DATA)
    assert (weights.isfinite().sum(1) == torch.where(MIXED < 0, CLASSES, 1)).all()
    torch.testing.assert_close(log_weight(trace), weights.logsumexp(1))


def test_a_trace_with_labels_is_cut_down():
    model, x = model_of(), bits()
    trace = on_noise(model, {"x": x, "y": MIXED}, 3)
    part = select(trace, "batch", torch.tensor([4, 1]))
    torch.testing.assert_close(bound(part), bound(trace)[[4, 1]])
    torch.testing.assert_close(Classification()(part), Classification()(trace)[[4, 1]])


# -- the model ---


@pytest.mark.parametrize("kind", MODELS)
def test_codes_are_those_of_a_label(kind):
    model, x = model_of(kind), bits()
    best = model.classify({"x": x}).argmax(1)
    for batch, y in (({"x": x}, best), ({"x": x, "y": MIXED}, torch.where(MIXED < 0, best, MIXED))):
        codes = model.encode(batch)
        one_hot = torch.eye(CLASSES)[y]
        assert list(codes) == list(model.names)
        assert torch.equal(codes["y"], one_hot)
        for name, value in model.model.encode({"x": x, "c": one_hot}).items():
            assert torch.equal(codes[name], value)
    drawn = model.encode({"x": x.repeat(2000, 1)}, sample=True)["y"].view(2000, DATA, CLASSES).mean(0)
    torch.testing.assert_close(drawn, model.classify({"x": x}), rtol=0, atol=0.06)


def test_labels_are_not_looked_at_by_the_classifier():
    model, x = model_of(), bits()
    assert torch.equal(model.classify({"x": x}), model.classify({"x": x, "y": MIXED}))
    torch.testing.assert_close(model.classify({"x": x}).sum(1), torch.ones(DATA))


def test_decoding_and_generating_with_a_class():
    model = model_of("chain", c.ClassFrequencies(CLASSES, P))
    z, y = torch.randn(4, 2), torch.eye(CLASSES)[[0, 1, 2, 1]]
    expected = model.model.decode({"z1": z}, y).mean
    assert torch.equal(model.decode({"z1": z, "y": y}).mean, expected)
    assert torch.equal(model.decode({"z1": z}, y).mean, expected)
    assert torch.equal(model.decode({"y": y}).mean, model.model.decode({}, y).mean)
    anything = torch.tensor(P).expand(4, CLASSES)
    torch.testing.assert_close(model.decode({"z1": z}).mean, model.decode({"z1": z, "y": anything}).mean)
    torch.manual_seed(1)
    first = model.generate(4, y).mean
    torch.manual_seed(1)
    assert torch.equal(first, model.model.generate(4, y).mean)
    with pytest.raises(ValueError, match="given twice"):
        model.decode({"z1": z, "y": y}, y)


def test_new_data_have_the_classes_of_the_prior():
    model = model_of(prior=c.ClassFrequencies(CLASSES, P))
    seen = []
    original = model.model.generate
    model.model.generate = lambda n, context: seen.append(context) or original(n, context)
    model.generate(5000)
    torch.testing.assert_close(seen[0].mean(0), torch.tensor(P), rtol=0, atol=0.03)


def test_what_cannot_be_is_refused():
    model, x = model_of(), bits()
    with pytest.raises(UnsupportedError, match="brings a condition"):
        model({"x": x, "c": torch.eye(CLASSES)[MIXED]})
    with pytest.raises(ValueError, match="no branch"):
        model({"x": x}, None, ("prior",))
    with pytest.raises(ValueError, match="named 'y'"):
        LabelMarginal(model, c.OneHot(network(BITS), CLASSES), CLASSES)
    with pytest.raises(ValueError, match="`classes` is 0"):
        LabelMarginal(inner("flat"), c.OneHot(network(BITS), CLASSES), 0)

    class Blind(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.own = c.Gaussian(network(BITS), (2,))

        def forward(self, x, y):
            return self.own(x)

    blind = Flat(Blind(), c.StandardGaussian((2,)), c.Bernoulli(network(2, CLASSES), (BITS,)))
    with pytest.raises(UnsupportedError, match="give its posterior the condition"):
        LabelMarginal(blind, c.OneHot(network(BITS), CLASSES), CLASSES)({"x": x})
    with pytest.raises(UnsupportedError, match="labels are enumerated"):
        annealed_weights(model, {"x": x})
    data = ArrayData(Spec("toy", (BITS,), "binary", DATA), x)
    with pytest.raises(UnsupportedError, match="one draw for every datum"):
        mutual_information(model, data)
