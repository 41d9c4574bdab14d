"""The Pythae side of the section `pythae`; the Python of an environment that has Pythae runs it.

Tasks and data are those of peer_vaekit.py. Networks, losses and trainer are Pythae's own classes around the
same layers. Its encoder returns a log variance where vaekit's returns ln s, so the rows of that head are
doubled: both start as the same model.
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
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback
from torch import Tensor, nn

arrays = np.load(sys.argv[1], allow_pickle=False)
torch.set_num_threads(int(sys.argv[2]))
logging.disable(logging.CRITICAL)


class Encoder(BaseEncoder):
    def __init__(self, *layers: nn.Module) -> None:
        BaseEncoder.__init__(self)
        self.layers = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.layers(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, *layers: nn.Module) -> None:
        BaseDecoder.__init__(self)
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))


class Batched(BaseDataset):
    """The same data set for a loader that asks for whole batches."""

    def __getitem__(self, index: Any) -> DatasetOutput:
        return DatasetOutput(data=self.data[index], labels=self.labels[index])


class BestTrainer(BaseTrainer):
    """Batches by index instead of datum by datum, and no progress bar."""

    def get_train_dataloader(self, data: Batched) -> torch.utils.data.DataLoader:
        order = torch.utils.data.RandomSampler(data)
        return self._batches(data, order, self.training_config.per_device_train_batch_size)

    def get_eval_dataloader(self, data: Batched) -> torch.utils.data.DataLoader:
        order = torch.utils.data.SequentialSampler(data)
        return self._batches(data, order, self.training_config.per_device_eval_batch_size)

    def _batches(
        self, data: Batched, order: torch.utils.data.Sampler, size: int
    ) -> torch.utils.data.DataLoader:
        sampler = torch.utils.data.BatchSampler(order, size, drop_last=False)
        return torch.utils.data.DataLoader(data, sampler=sampler, batch_size=None)

    def _setup_callbacks(self) -> None:
        self.callback_handler = CallbackHandler([TrainingCallback()], model=self.model)


def make(prefix: str, activation: type[nn.Module]) -> VAE:
    """The model with the weights that both sides start from."""
    weights = [torch.from_numpy(arrays[f"{prefix}_{i}"]) for i in range(len(of(prefix)))]
    halves = []
    for part in (weights[: len(weights) // 2], weights[len(weights) // 2 :]):
        layers: list[nn.Module] = []
        for weight, bias in zip(part[::2], part[1::2], strict=True):
            layer = nn.Linear(*reversed(weight.shape))
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
            layers += [layer, activation()]
        halves.append(layers[:-1])
    latents = halves[1][0].in_features
    with torch.no_grad():
        halves[0][-1].weight[latents:] *= 2
        halves[0][-1].bias[latents:] *= 2
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=latents, reconstruction_loss="bce")
    return VAE(config, Encoder(*halves[0]), Decoder(*halves[1]))


def of(prefix: str) -> list[str]:
    return [name for name in arrays.files if name.startswith(f"{prefix}_")]


def fit(task: dict[str, Any]) -> dict[str, float]:
    """The whole of its `train`, with the folder that it writes."""
    best = task["loader"] == "best"
    kind = Batched if best else BaseDataset
    train, valid = (kind(x, torch.zeros(len(x))) for x in (pictures["train"], pictures["valid"]))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=task["epochs"],
            learning_rate=1e-3,
            per_device_train_batch_size=128,
            per_device_eval_batch_size=128,
            train_dataloader_num_workers=0,
            eval_dataloader_num_workers=0,
            optimizer_cls="Adam",
            no_cuda=True,
        )
        begin = time.perf_counter()
        model = make("step", nn.ReLU)
        trainer = (BestTrainer if best else BaseTrainer)(model, train, valid, config)
        trainer.train()
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "loss": trainer.eval_step(0)}


@torch.no_grad()
def evidence(task: dict[str, Any]) -> dict[str, float]:
    """Its importance-sampled log-likelihood of the first pictures, without gradients."""
    data = pictures["valid"][: task["data"]]
    torch.manual_seed(0)
    begin = time.perf_counter()
    found = burda.get_nll(data, n_samples=task["samples"], batch_size=task["batch"])
    return {"seconds": time.perf_counter() - begin, "nll": -float(found)}


pictures = {name: torch.from_numpy(arrays[name]).float() for name in ("train", "valid")}
burda = make("nll", nn.Tanh).eval()
print(json.dumps({"ready": version("pythae")}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"fit": fit, "nll": evidence}[asked["do"]](asked)), flush=True)
