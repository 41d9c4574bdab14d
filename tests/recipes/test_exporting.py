"""Every recipe leaves as graphs that give what its model gives, or is refused with the reason."""

from __future__ import annotations

import pytest
import torch

from vaekit.errors import UnsupportedError
from vaekit.exporting import export_graphs
from vaekit.models import without_withheld
from vaekit.runs import find_recipe

WITHOUT_LATENTS = ("code_prior", "flow_density")
WITHOUT_ENCODER = {"ppca": "no counterpart for: aten.linalg_cholesky_ex"}  # the exact posterior is solved for


def test_encode_takes_the_means_of_the_posterior(name, small, fitting, batch_of):
    spec = fitting(name)
    model = find_recipe(name)(spec, **small[name]).model.eval()
    batch = without_withheld(model, batch_of(spec))
    codes, posterior = model.encode(batch), model.posterior(batch)
    assert list(codes) == list(posterior)
    for latent, value in codes.items():
        if value.is_floating_point() and latent != "y":  # of a class the most probable one is taken
            assert torch.equal(value, posterior[latent].mean)


@pytest.mark.slow
def test_graphs_give_what_the_model_gives_or_the_reason_is_said(name, small, fitting):
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    torch.set_default_dtype(torch.float32)  # the fixture of float64 puts it back
    spec = fitting(name)
    model = find_recipe(name)(spec, **small[name]).model
    if name in WITHOUT_LATENTS:
        with pytest.raises(UnsupportedError, match="no latents"):
            export_graphs(model, spec)
        return
    graphs = export_graphs(model, spec)  # which compares, and raises
    assert graphs.worst <= 1e-5
    if name in WITHOUT_ENCODER:
        assert graphs.encoder is None
        assert WITHOUT_ENCODER[name] in graphs.notes[0]
    else:
        assert graphs.encoder is not None, graphs.notes
        assert {key.split()[0] for key in graphs.deviations} == {"decoder", "encoder"}
