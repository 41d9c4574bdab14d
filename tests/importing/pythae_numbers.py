"""Makes what the tests of importing compare with: numbers that Pythae 0.1.2 computed, and a folder it saved.

Run in an environment with Pythae: `python tests/importing/pythae_numbers.py`. Weights, data and noise follow
from a name, so that pythae.json needs to hold results alone; `trained/` is one real run folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SHAPE, LATENTS, COUNT, DRAWS = (1, 2, 3), 3, 4, 8

KERNEL = {"alpha": 0.2, "lbd": 2.0, "kernel_choice": "rbf", "kernel_bandwidth": 1.5}
CASES = {
    "VAE": ("VAE", {}),
    "VAE bce": ("VAE", {"reconstruction_loss": "bce"}),
    "BetaVAE": ("BetaVAE", {"beta": 3.0, "reconstruction_loss": "bce"}),
    "BetaTCVAE": ("BetaTCVAE", {"beta": 2.0, "use_mss": False}),
    "FactorVAE": ("FactorVAE", {"gamma": 3.0}),
    "INFOVAE_MMD": (
        "INFOVAE_MMD",
        KERNEL,
    ),
    "IWAE": ("IWAE", {"number_samples": 4}),
    "CIWAE": ("CIWAE", {"number_samples": 4, "beta": 0.25}),
    "MIWAE": ("MIWAE", {"number_samples": 4, "number_gradient_estimates": 2}),
    "PIWAE": ("PIWAE", {"number_samples": 4, "number_gradient_estimates": 2}),
    "VAMP": ("VAMP", {"number_components": 5}),
    "Adversarial_AE": ("Adversarial_AE", {}),
    "Adversarial_AE point": ("Adversarial_AE", {"deterministic_posterior": True}),
    "AE": ("AE", {}),
    "WAE_MMD": ("WAE_MMD", {"reg_weight": 4.0, "reconstruction_loss_scale": 2.0, "kernel_bandwidth": 0.5}),
    "VQVAE": ("VQVAE", {"num_embeddings": 6}),
    "VQVAE ema": ("VQVAE", {"num_embeddings": 6, "use_ema": True}),
}


def drawn(name: str, shape: tuple[int, ...], uniform: bool = False) -> np.ndarray:
    """The same numbers everywhere: MT19937 keeps its streams."""
    stream = np.random.RandomState(zlib.crc32(name.encode()))
    found = stream.random_sample(shape) if uniform else stream.standard_normal(shape)
    return found.astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight or a bias of about the size that makes outputs of about 1."""
    size = shape[-1] if len(shape) > 1 else 4
    return drawn(name, tuple(shape)) / np.float32(np.sqrt(size))


def data() -> np.ndarray:
    return drawn("x", (COUNT, *SHAPE), uniform=True)


def main() -> None:
    import pythae.models as pythae
    import torch
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    def rounded(tensor):
        return np.round(tensor.detach().double().numpy(), 7).tolist()

    def numbers(model, x, noise):
        """What a model makes of data, by its own methods, with given noise."""
        found = {}
        code = model.encoder(x)
        found["embedding"] = rounded(code.embedding)
        # every draw of z is with this noise, whatever the shape that is asked for
        model._sample_gauss = lambda mu, std: (mu + noise[: len(mu)].view_as(mu) * std, noise)
        if "log_covariance" in code:
            found["log_covariance"] = rounded(code.log_covariance)
            std = (0.5 * code.log_covariance).exp()
            z = code.embedding + noise[: len(x)] * std
            back = model.decoder(z)["reconstruction"]
            arguments = (code.embedding, code.log_covariance, z)
            loss = pythae.VAE.loss_function
            if type(model).__name__ == "VAMP":
                loss, arguments = type(model).loss_function, (*arguments, 100)
            parts = [
                loss(
                    model,
                    back[i : i + 1],
                    x[i : i + 1],
                    *(value[i : i + 1] if isinstance(value, torch.Tensor) else value for value in arguments),
                )
                for i in range(len(x))
            ]
            found["reconstruction"] = rounded(back)
            found["recon_loss"] = [float(part[1]) for part in parts]
            found["kld"] = [float(part[2]) for part in parts]
            if hasattr(model, "get_nll") and not getattr(model, "deterministic_posterior", False):
                with torch.no_grad():
                    found["nll"] = float(model.get_nll(x, n_samples=DRAWS, batch_size=DRAWS))
        else:
            parts = [model({"data": x[i : i + 1]}) for i in range(len(x))]
            found["reconstruction"] = rounded(torch.cat([part.recon_x for part in parts]))
            if hasattr(parts[0], "quantized_indices"):
                found["codes"] = [part.quantized_indices.flatten().tolist() for part in parts]
            found["recon_loss"] = [
                float(part.recon_loss if hasattr(part, "recon_loss") else part.loss) for part in parts
            ]
        return found

    x, noise = torch.from_numpy(data()), torch.from_numpy(drawn("noise", (DRAWS, LATENTS)))
    cases = {}
    for name, (kind, settings) in CASES.items():
        ends = ("Config", "_Config")
        config = next(getattr(pythae, kind + end) for end in ends if hasattr(pythae, kind + end))
        model = getattr(pythae, kind)(config(input_dim=SHAPE, latent_dim=LATENTS, **settings)).eval()
        state = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict({key: torch.from_numpy(weight(key, shape)) for key, shape in state.items()})
        with tempfile.TemporaryDirectory() as folder:
            model.save(folder)
            saved = json.loads((Path(folder) / "model_config.json").read_text())
        cases[name] = {"config": saved, "state": state, **numbers(model, x, noise)}

    torch.manual_seed(0)
    model = pythae.VAE(pythae.VAEConfig(input_dim=SHAPE, latent_dim=LATENTS))
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(output_dir=folder, num_epochs=20, learning_rate=1e-3, no_cuda=True)
        TrainingPipeline(training_config=training, model=model)(train_data=drawn("train", (64, *SHAPE), True))
        [final] = Path(folder).glob("*/final_model")
        shutil.rmtree(HERE / "trained", ignore_errors=True)
        shutil.copytree(final, HERE / "trained")
        about = json.loads((HERE / "trained" / "training_config.json").read_text())
        (HERE / "trained" / "training_config.json").write_text(json.dumps(about | {"output_dir": "runs"}))
        model = pythae.VAE.load_from_folder(str(HERE / "trained")).eval()
    cases["trained"] = numbers(model, x, noise)
    (HERE / "pythae.json").write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
