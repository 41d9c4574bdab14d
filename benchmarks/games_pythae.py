"""The Pythae side of the section `pythae-games`; the Python of an environment that has Pythae runs it.

Tasks and data are those of games_vaekit.py. Models and trainers are Pythae's own classes around the same
layers. Its encoders return a log variance where vaekit's return ln s, so the rows of that head are doubled.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from pythae import models, trainers
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback
from torch import Tensor, nn

import by_hand as hand
from by_hand import Losses

arrays = np.load(sys.argv[1], allow_pickle=False)
sizes = json.loads(str(arrays["sizes"]))
torch.set_num_threads(int(sys.argv[2]))
logging.disable(logging.CRITICAL)
SHAPE, N = (1, 28, 28), sizes["latents"]
GAME = 0.5  # its weight of the game in VAE/GAN and AAE


class Encoder(BaseEncoder):
    """Layers -> mean and log variance; where there is no noise the code alone, flat or a map of one place."""

    def __init__(self, layers: nn.Sequential, point: bool, flat: bool = True) -> None:
        BaseEncoder.__init__(self)
        self.layers, self.point, self.flat = layers, point, flat

    def forward(self, x: Tensor) -> ModelOutput:
        found = self.layers(x.flatten(1))
        if not self.flat:
            return ModelOutput(embedding=found.view(*found.shape, 1, 1))
        if self.point:
            return ModelOutput(embedding=found, log_covariance=torch.zeros_like(found))
        mean, log_variance = found.chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, layers: nn.Sequential, squash: bool) -> None:
        BaseDecoder.__init__(self)
        self.layers, self.squash = layers, squash

    def forward(self, z: Tensor) -> ModelOutput:
        found = self.layers(z.flatten(1))
        found = found.sigmoid() if self.squash else found
        return ModelOutput(reconstruction=found.view(-1, *SHAPE))


class Judge(BaseDiscriminator):
    """Linear layers with a nonlinearity before each but the first, and a sigmoid at the end."""

    def __init__(self, layers: list[nn.Module]) -> None:
        BaseDiscriminator.__init__(self)
        self.layers = nn.ModuleList(layers)
        self.depth = len(layers)

    def logit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the last layer before the logit, and the logit."""
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x)
        return x, self.layers[-1](x).squeeze(-1)

    def forward(self, x: Tensor, output_layer_levels: list[int] | None = None) -> ModelOutput:
        features, logit = self.logit(x)
        found = ModelOutput(embedding=logit.sigmoid().unsqueeze(-1))
        if output_layer_levels is not None:
            found[f"embedding_layer_{self.depth - 1}"] = features
        return found


def linears(name: str, network: str) -> list[nn.Linear]:
    """The layers with the weights that both sides start from."""
    found = []
    while (key := f"{name}.{network}.{2 * len(found)}") in arrays.files:
        weight, bias = (torch.from_numpy(arrays[k]) for k in (key, f"{name}.{network}.{2 * len(found) + 1}"))
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        found.append(layer)
    return found


def stacked(layers: list[nn.Linear], between: type[nn.Module], *arguments: float) -> nn.Sequential:
    parts: list[nn.Module] = [layers[0]]
    for layer in layers[1:]:
        parts += [between(*arguments), layer]
    return nn.Sequential(*parts)


def made(name: str) -> Any:
    """The model with the weights that both sides start from."""
    point = name in ("aae", "wae_mmd", "vq_vae")
    head = linears(name, "encoder")
    if not point:
        with torch.no_grad():
            head[-1].weight[N:] *= 2
            head[-1].bias[N:] *= 2
    squash = name not in ("wae_mmd", "vq_vae")
    decoder = Decoder(stacked(linears(name, "decoder"), nn.ReLU), squash)
    parts = Encoder(stacked(head, nn.ReLU), point, flat=name != "vq_vae"), decoder
    given: dict[str, Any] = {"input_dim": SHAPE, "latent_dim": N}
    if name == "factor_vae":
        config = models.FactorVAEConfig(**given, reconstruction_loss="bce", gamma=sizes["gamma"])
        model = models.FactorVAE(config, *parts)
        model.discriminator.layers = stacked(linears(name, "critic"), nn.LeakyReLU, 0.2)
        return model
    if name == "vae_gan":
        config = models.VAEGANConfig(**given, adversarial_loss_scale=GAME, reconstruction_layer=2, margin=1e6)
        first, *rest = linears(name, "critic")
        return models.VAEGAN(
            config, *parts, Judge([first, *(nn.Sequential(nn.LeakyReLU(0.2), r) for r in rest)])
        )
    if name == "aae":
        config = models.Adversarial_AE_Config(
            **given, reconstruction_loss="bce", adversarial_loss_scale=GAME, deterministic_posterior=True
        )
        first, *rest = linears(name, "critic")
        return models.Adversarial_AE(
            config, *parts, Judge([first, *(nn.Sequential(nn.ReLU(), r) for r in rest)])
        )
    if name == "wae_mmd":
        return models.WAE_MMD(
            models.WAE_MMD_Config(**given, reg_weight=sizes["lambda"], scales=[1.0]), *parts
        )
    if name == "vamp":
        config = models.VAMPConfig(**given, reconstruction_loss="bce", number_components=sizes["components"])
        model = models.VAMP(config, *parts)
        with torch.no_grad():
            model.pseudo_inputs[0].weight.copy_(torch.from_numpy(arrays["vamp.pseudo-inputs.0"]).flatten(1).T)
            model.pseudo_inputs[0].bias.zero_()
        return model
    model = models.VQVAE(models.VQVAEConfig(**given, num_embeddings=sizes["codes"]), *parts)
    with torch.no_grad():
        model.quantizer.embeddings.weight.copy_(torch.from_numpy(arrays["vq_vae.codebook.0"]))
    return model


def trainer_of(name: str, model: Any, folder: str, epochs: int = 1) -> Any:
    """Pythae's own trainer of this model, with batches by index and no progress bar."""
    rate = sizes["rate"]
    common: dict[str, Any] = {"output_dir": folder, "num_epochs": epochs, "no_cuda": True}
    common |= {"per_device_train_batch_size": 128, "per_device_eval_batch_size": 128}
    train, valid = (Batched(x, torch.zeros(len(x))) for x in (pictures["train"], pictures["valid"]))
    if name == "vae_gan":
        parts = ("encoder", "decoder", "discriminator")
        kind, make = (
            trainers.CoupledOptimizerAdversarialTrainer,
            trainers.CoupledOptimizerAdversarialTrainerConfig,
        )
        common |= {f"{part}_learning_rate": rate for part in parts}
        common |= {f"{part}_optimizer_cls": "RMSprop" for part in parts}
    elif name in ("factor_vae", "aae"):
        kind, make = trainers.AdversarialTrainer, trainers.AdversarialTrainerConfig
        common |= {"autoencoder_learning_rate": rate, "discriminator_learning_rate": 1e-4}
    else:
        kind, make = trainers.BaseTrainer, trainers.BaseTrainerConfig
        common |= {"learning_rate": rate}
    config = make(**common)
    return type("Best", (Best, kind), {})(model, train, valid, config)


class Batched(BaseDataset):
    """The same data set for a loader that asks for whole batches."""

    def __getitem__(self, index: Any) -> DatasetOutput:
        return DatasetOutput(data=self.data[index], labels=self.labels[index])


class Best:
    """Batches by index instead of datum by datum, and no progress bar."""

    def get_train_dataloader(self, data: Batched) -> torch.utils.data.DataLoader:
        return self._batches(data, torch.utils.data.RandomSampler(data))

    def get_eval_dataloader(self, data: Batched) -> torch.utils.data.DataLoader:
        return self._batches(data, torch.utils.data.SequentialSampler(data))

    def _batches(self, data: Batched, order: torch.utils.data.Sampler) -> torch.utils.data.DataLoader:
        sampler = torch.utils.data.BatchSampler(order, 128, drop_last=False)
        return torch.utils.data.DataLoader(data, sampler=sampler, batch_size=None)

    def _setup_callbacks(self) -> None:
        self.callback_handler = CallbackHandler([TrainingCallback()], model=self.model)


def networks(model: Any, name: str) -> dict[str, list[nn.Parameter]]:
    found = {"encoder": list(model.encoder.parameters()), "decoder": list(model.decoder.parameters())}
    if name in ("factor_vae", "vae_gan", "aae"):
        found["critic"] = list(model.discriminator.parameters())
    if name == "vamp":
        found["pseudo-inputs"] = list(model.pseudo_inputs.parameters())
    if name == "vq_vae":
        found["codebook"] = list(model.quantizer.parameters())
    return found


def expected(name: str, model: Any, x: Tensor, draws: list[Tensor]) -> Losses:
    """What each network is to make small, by hand, with the noise that the step drew."""

    def encode(rows: Tensor) -> Any:
        found = model.encoder(rows)
        return (
            found.embedding.flatten(1) if name == "vq_vae" else (found.embedding, 0.5 * found.log_covariance)
        )

    def decode(z: Tensor) -> Tensor:
        rebuilt: Tensor = model.decoder(z).reconstruction
        return rebuilt.flatten(1)

    if name == "factor_vae":
        order, first, second, *columns = draws
        half = len(x) // 2
        other = hand.drawn(*encode(x[order[:half]]), second)
        other = torch.stack([other[column, i] for i, column in enumerate(columns)], 1)
        rows = x[order[half:]]
        critic = model.discriminator
        return hand.factor_vae(encode, decode, critic, rows, first, other, sizes["gamma"], len(rows))
    if name == "vae_gan":
        critic = model.discriminator.logit
        return hand.vae_gan(encode, decode, critic, x, draws[0], draws[1], weight=1 - GAME, game=GAME)
    if name == "aae":
        prior = draws[-1].detach()
        critic = lambda z: model.discriminator.logit(z)[1]  # noqa: E731
        return hand.aae(encode, decode, critic, x, prior, weight=1.0, game=GAME, test=1.0)
    if name == "wae_mmd":
        return hand.wae_mmd(encode, decode, x, draws[-1], sizes["lambda"])
    if name == "vamp":
        return hand.vamp(encode, decode, lambda: model.pseudo_inputs(model.idle_input.double()), x, draws[0])
    return hand.vq_vae(encode, decode, model.quantizer.embeddings.weight, x, beta=0.25, half=1.0)


def gradients(task: dict[str, Any]) -> dict[str, Any]:
    """What one step of its trainer brings to each network, against what it should bring."""
    name = task["system"]
    model = made(name)
    # its quantiser makes single precision of what it is given
    precision = torch.float32 if name == "vq_vae" else torch.float64
    x = torch.from_numpy(arrays["train"][: task["batch"]]).to(precision)
    reached: dict[int, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(name, model, folder)
        trainer.prepare_training()
        model.to(precision)  # the trainer tries it once in single precision
        if name == "vamp":
            model.idle_input = model.idle_input.double()
        optimizers = [value for value in vars(trainer).values() if isinstance(value, torch.optim.Optimizer)]
        for optimizer in optimizers:

            def note(*_: Any, optimizer: Any = optimizer) -> None:
                for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                    reached[id(parameter)] = parameter.grad.clone()

            optimizer.step = note
        torch.set_default_dtype(precision)
        torch.manual_seed(0)
        model.train()
        with hand.recorded() as draws:
            output = model(DatasetOutput(data=x, labels=torch.zeros(len(x))), epoch=1, dataset_size=len(x))
        trainer._optimizers_step(output)
    parameters = networks(model, name)
    for parts in parameters.values():
        for parameter in parts:
            parameter.grad = None
    losses = expected(name, model, x.flatten(1), draws)
    got = {key: torch.cat([reached[id(p)].flatten() for p in parts]) for key, parts in parameters.items()}
    torch.set_default_dtype(torch.float32)
    return hand.compared(got, losses, parameters)


def fit(task: dict[str, Any]) -> dict[str, float]:
    """The whole of its `train`, and the squared error of held-out reconstructions."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        model = made(task["system"])
        trainer = trainer_of(task["system"], model, folder, task["epochs"])
        trainer.train()
        seconds = time.perf_counter() - begin
    model = model.eval()
    x = pictures["valid"]
    with torch.no_grad():
        code = model.encoder(x).embedding
        if task["system"] == "vq_vae":
            code = model.quantizer(code.permute(0, 2, 3, 1)).quantized_vector
        rebuilt = model.decoder(code).reconstruction
    return {"seconds": seconds, "error": float((rebuilt - x).square().flatten(1).sum(1).mean())}


pictures = {name: torch.from_numpy(arrays[name]).float() for name in ("train", "valid")}
print(json.dumps({"ready": version("pythae")}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"gradients": gradients, "fit": fit}[asked["do"]](asked)), flush=True)
