"""What the training scripts share: pictures, augmentation, one loop over epochs, accuracy, and the command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))  # where _data says which files are official


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        data: "mnist" or "fashion-mnist".
        epochs, batch, seed: of the training images, of one step, of every draw.
        rate: the highest learning rate of one cycle (Smith 2018).
        decay: AdamW's weight decay.
        smoothing: of labels.
        flips: whether half of the batches are mirrored.
        shift: by how many pixels a batch is moved at most, each way.
    """

    data: str = "fashion-mnist"
    epochs: int = 8
    batch: int = 128
    seed: int = 0
    rate: float = 1e-2
    decay: float = 1e-2
    smoothing: float = 0.05
    flips: bool = True
    shift: int = 2


def pictures(data: str, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels from 0 to 1, ``(N, 1, 28, 28)``, and labels: from SPIKEWRIGHT_DATA, else from a cache, filled once."""
    from _data import folder
    from spikewright.data import load_data

    found = load_data(str(folder(data)), split=split, shape=(1, 28, 28))
    images = torch.cat([torch.from_numpy(batch) for batch, _ in found.batches(1000)])
    return images / 255, torch.tensor(found.labels)


def augmented(batch: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """A batch as the recipe moves and mirrors it, of the same shape."""
    if recipe.flips and torch.rand(()) < 0.5:
        batch = batch.flip(3)
    if recipe.shift:
        y, x = torch.randint(0, 2 * recipe.shift + 1, (2,)).tolist()
        height, width = batch.shape[2:]
        batch = nn.functional.pad(batch, (recipe.shift,) * 4)[:, :, y : y + height, x : x + width]
    return batch.contiguous(memory_format=torch.channels_last)


def train(make: Callable[[], nn.Module], x: torch.Tensor, y: torch.Tensor, recipe: Recipe) -> nn.Module:
    """A network of random weights, trained, in evaluation mode; the same for the same seed on the same machine."""
    torch.manual_seed(recipe.seed)
    network = make().to(memory_format=torch.channels_last)
    rows_used = len(x) // recipe.batch * recipe.batch
    steps = recipe.epochs * (rows_used // recipe.batch)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=recipe.rate, total_steps=steps)
    started = time.perf_counter()
    for epoch in range(recipe.epochs):
        network.train()
        for rows in torch.randperm(len(x))[:rows_used].split(recipe.batch):
            answers = network(augmented(x[rows], recipe))
            loss = nn.functional.cross_entropy(answers, y[rows], label_smoothing=recipe.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1} of {recipe.epochs}: loss {loss.item():.3f}, {seconds:.0f} s", flush=True)
    return network.eval()


def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of pictures that a network in evaluation mode knows."""
    with torch.inference_mode():
        right = sum(int((network(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True))
    return right / len(y)


def train_and_save(make: Callable[[], nn.Module], recipe: Recipe, output: str) -> None:
    """Train on the training images, write the weights, and look at the test images once, at the end.

    Args:
        make: gives the network.
        recipe: how it is trained, and on which pictures.
        output: a ``.safetensors`` file.
    """
    from safetensors.torch import save_file

    network = train(make, *pictures(recipe.data, "train"), recipe)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, output)
    print(f"accuracy on the test images: {accuracy(network, *pictures(recipe.data, 'test')):.2%}")
