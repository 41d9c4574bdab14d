"""The contract of every network: leading axes, independence of data, dtype, state, compilation, refusals."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest
import torch
from torch import nn

from vaekit.networks import (
    MLP,
    Conv28Decoder,
    Conv28Encoder,
    GatedMLP,
    ResidualDecoder,
    ResidualEncoder,
    StudyDecoder,
    StudyEncoder,
    set_output_bias,
)
from vaekit.networks.axes import joined
from vaekit.networks.mlp import tanh

Z, C = (3,), (2,)

# name -> (class, first event, output event, further arguments)
FAMILY: dict[str, tuple[type[nn.Module], tuple[int, ...], tuple[int, ...], dict[str, object]]] = {
    "mlp": (MLP, (5,), (4,), {"hidden": (7, 6)}),
    "mlp, image to image": (MLP, (1, 3, 3), (2, 3, 3), {"hidden": (7,)}),
    "mlp, affine": (MLP, (5,), (4,), {"hidden": ()}),
    "gated": (GatedMLP, (1, 3, 3), (2, 2), {"hidden": (7, 6)}),
    "study encoder": (StudyEncoder, (1, 64, 64), (6,), {}),
    "study decoder": (StudyDecoder, Z, (1, 64, 64), {}),
    "conv28 encoder": (Conv28Encoder, (1, 28, 28), (2, 3), {}),
    "conv28 decoder": (Conv28Decoder, Z, (2, 28, 28), {}),
    "residual encoder": (ResidualEncoder, (3, 32, 32), (6,), {"width": 8}),
    "residual decoder": (ResidualDecoder, Z, (3, 32, 32), {"width": 8}),
}


def build(name: str, *further: tuple[int, ...]) -> nn.Module:
    kind, first, output, arguments = FAMILY[name]
    return kind((first, *further), output, **arguments).double()


@pytest.fixture(params=FAMILY)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_any_leading_axes_equal_a_loop_over_them(name: str) -> None:
    net = build(name)
    x = randn(2, 3, *net.inputs[0])
    loop = torch.stack([torch.stack([net(x[s, b]) for b in range(3)]) for s in range(2)])
    assert loop.shape == (2, 3, *net.output)
    assert loop.dtype == torch.float64
    torch.testing.assert_close(net(x), loop)
    torch.testing.assert_close(net(x[1]), loop[1])
    torch.testing.assert_close(net(x[None]), loop[None])
    assert net(x[:, :0]).shape == (2, 0, *net.output)
    assert not torch.allclose(loop[0, 0], loop[1, 2])


def test_leading_axes_broadcast(name: str) -> None:
    net = build(name, C)
    x, c = randn(2, 3, *net.inputs[0]), randn(3, *C)
    repeated = net(x, c.expand(2, 3, *C))
    loop = torch.stack([torch.stack([net(x[s, b], c[b]) for b in range(3)]) for s in range(2)])
    torch.testing.assert_close(repeated, loop)
    torch.testing.assert_close(net(x, c), loop)
    torch.testing.assert_close(net(x[1], c[2]), net(x[1], c[2].expand(3, 2)))
    torch.testing.assert_close(
        net(x[0], randn(4, 1, *C) * 0 + c[:1]), net(x[0], c[:1]).expand(4, 3, *net.output)
    )
    assert not torch.allclose(net(x, c), net(x, c + 1))


def test_context_with_event_axes_is_flattened(name: str) -> None:
    flat, grid = build(name, (6,)), build(name, (1, 2, 3))
    grid.load_state_dict(flat.state_dict())
    x, c = randn(2, *flat.inputs[0]), randn(2, 6)
    torch.testing.assert_close(grid(x, c.view(2, 1, 2, 3)), flat(x, c))


def test_each_datum_stands_alone(name: str) -> None:
    net = build(name)
    x = randn(4, *net.inputs[0])
    other = torch.cat([x[:1], 100 * randn(3, *net.inputs[0])])
    net.train()
    torch.testing.assert_close(net(x)[0], net(other)[0])
    torch.testing.assert_close(net.eval()(x), net.train()(x))
    assert not list(net.buffers())


def test_gradients_reach_every_parameter(name: str) -> None:
    net = build(name, C)
    net(randn(8, *net.inputs[0]), randn(8, *C)).square().sum().backward()
    for parameter, value in net.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.abs().max() > 0, parameter


def test_state_dict_restores_the_network(name: str) -> None:
    net, other = build(name), build(name)
    x = randn(2, *net.inputs[0])
    assert not torch.allclose(net(x), other(x))
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(x), other(x), rtol=0, atol=0)


def test_the_global_generator_decides_the_weights(name: str) -> None:
    torch.manual_seed(3)
    first = build(name).state_dict()
    torch.manual_seed(3)
    second = build(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_no_graph_break(name: str) -> None:
    net = build(name, C)
    x, c = randn(2, 3, *net.inputs[0]), randn(3, *C)
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, c), net(x, c))
    torch.testing.assert_close(compiled(x[0], c), net(x[0], c))


def test_calls_that_do_not_fit_are_refused(name: str) -> None:
    net = build(name, C)
    event = net.inputs[0]
    with pytest.raises(ValueError, match=r"got 1 inputs; expected 2"):
        net(randn(2, *event))
    with pytest.raises(ValueError, match=r"input 0 has shape .*expected leading axes followed by the event"):
        net(randn(2, *event[:-1], event[-1] + 1), randn(2, *C))
    with pytest.raises(ValueError, match=r"input 1 has shape \(2, 3\)"):
        net(randn(2, *event), randn(2, 3))
    with pytest.raises(ValueError, match=r"leading axes \[\(2,\), \(3,\)\] of the inputs do not broadcast"):
        net(randn(2, *event), randn(3, *C))


def test_events_that_make_no_sense_are_refused(name: str) -> None:
    kind, first, output, _ = FAMILY[name]
    with pytest.raises(TypeError, match=r"`inputs` is .*expected one event shape for each input"):
        kind(first, output)
    with pytest.raises(ValueError, match="`inputs` is empty"):
        kind((), output)
    with pytest.raises(ValueError, match=r"`inputs\[1\]` is \(0,\)"):
        kind((first, (0,)), output)
    with pytest.raises(ValueError, match=r"`output` is \(\)"):
        kind((first,), ())
    with pytest.raises(TypeError, match="`output` is 5"):
        kind((first,), 5)


def test_output_bias_shifts_the_output(name: str) -> None:
    net = build(name)
    x = randn(2, *net.inputs[0])
    set_output_bias(net, torch.tensor(0.0))
    before = net(x)
    # one value for each first index of the event is exact in dense and in convolutional last layers
    value = randn(net.output[0]).view(-1, *[1] * (len(net.output) - 1))
    set_output_bias(net, value)
    torch.testing.assert_close(net(x), before + value)
    whole = randn(*net.output)
    set_output_bias(net, whole)
    shift = net(x) - before
    if isinstance(net.output_layer, nn.Linear):
        torch.testing.assert_close(shift, whole.expand_as(shift))
    else:
        torch.testing.assert_close(shift, whole.mean((1, 2), keepdim=True).expand_as(shift))


def test_output_bias_refusals() -> None:
    net = MLP([(3,)], (4,))
    with pytest.raises(ValueError, match=r"`value` has shape \(3,\); expected one that broadcasts to \(4,\)"):
        set_output_bias(net, torch.zeros(3))
    with pytest.raises(ValueError, match="clip the mean"):
        set_output_bias(net, torch.tensor([0.0, 1.0, 0.5, 0.5]).logit())
    with pytest.raises(TypeError, match="Identity has no last layer with a bias"):
        set_output_bias(nn.Identity(), torch.zeros(3))


@pytest.mark.parametrize(
    "lead", [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (3,)), ((), (3,))]
)
def test_joined_is_the_linear_map_of_the_concatenation(lead: tuple[tuple[int, ...], ...]) -> None:
    layer = nn.Linear(9, 5).double()
    parts = [randn(*lead[0], 4), randn(*lead[1], 3), randn(2)]
    shape = torch.broadcast_shapes(*lead)
    together = torch.cat([part.expand(*shape, part.shape[-1]) for part in parts], -1)
    torch.testing.assert_close(joined(layer, parts), together @ layer.weight.T + layer.bias)


def test_a_flat_input_is_not_touched_on_its_way_to_the_layers() -> None:
    """Fast path of the step: the first layer gets the tensor of the call itself, the last one returns it."""
    net, seen = MLP([(784,)], (20,), hidden=(8,)), []
    net.hidden[0].register_forward_hook(lambda _m, given, _r: seen.append(given[0]))
    net.output_layer.register_forward_hook(lambda _m, _g, result: seen.append(result))
    x = torch.randn(128, 784)
    result = net(x)
    assert seen[0] is x
    assert seen[1] is result


@pytest.mark.parametrize("lead", [(6,), (2, 6)])
def test_what_a_rectifier_does_in_place_copies_nothing_on_the_way_back(lead: tuple[int, ...]) -> None:
    """Behind a change in the place of a view autograd puts a copy of the whole: CopySlices."""
    x = torch.randn(*lead, 4)
    nodes = [MLP([(4,)], (3,), hidden=(8, 8))(x).grad_fn]
    for node in nodes:
        nodes += [parent for parent, _ in node.next_functions if parent is not None]
    names = {node.name() for node in nodes}
    assert any("Relu" in name for name in names)
    assert not any("CopySlices" in name for name in names)


@pytest.mark.parametrize(
    ("kind", "event"),
    [(StudyDecoder, 64), (Conv28Decoder, 28), (ResidualDecoder, 32), (ResidualDecoder, 128)],
)
@pytest.mark.parametrize("channels", [1, 3, 2 * 3])
def test_images_of_any_channels_come_out(kind: Callable[..., nn.Module], event: int, channels: int) -> None:
    with torch.no_grad():
        assert kind([Z], (channels, event, event))(torch.zeros(1, *Z)).shape == (1, channels, event, event)


@pytest.mark.parametrize(
    ("kind", "event"),
    [(StudyEncoder, 64), (Conv28Encoder, 28), (ResidualEncoder, 32), (ResidualEncoder, 128)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_channels_go_in(kind: Callable[..., nn.Module], event: int, channels: int) -> None:
    with torch.no_grad():
        assert kind([(channels, event, event)], (20,))(torch.zeros(1, channels, event, event)).shape == (
            1,
            20,
        )


def test_every_network_names_its_events_in_repr(name: str) -> None:
    kind, first, output, _ = FAMILY[name]
    assert f"inputs={(first,)}, output={output}" in repr(build(name))
    assert prod(output) > 0
    assert kind.__name__ in repr(build(name))


def test_tanh_without_gradients_is_tanh_to_rounding():
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([0.0, 90.0, -90.0, 1e-6])])
    exact = torch.tanh(x.double())
    assert torch.equal(tanh(x), torch.tanh(x))
    with torch.no_grad():
        assert float((tanh(x).double() - exact).abs().max()) < 2.5e-7
        assert torch.equal(tanh(x.double()), torch.tanh(x.double()))
