"""Train the demo's network on Fashion-MNIST, and pack it with some of the images.

    SPIKEWRIGHT_DATA=FOLDER python examples/train_fashion.py [OUTPUT FOLDER]

FOLDER/fashion-mnist holds the four idx.gz files of Fashion-MNIST. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from spikewright.data import load_data
from spikewright.demo.network import DemoNet

EPOCHS, BATCH, SEED = 8, 128, 0


def tensors(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    data = load_data(str(folder), split=split, shape=(1, 28, 28))
    return torch.tensor(data.x), torch.tensor(data.y)


def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        right = sum(
            int((network(a / 255).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True)
        )
    return right / len(y)


def train(x: torch.Tensor, y: torch.Tensor) -> DemoNet:
    torch.manual_seed(SEED)
    network = DemoNet().to(memory_format=torch.channels_last)
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=steps)
    for epoch in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            batch = x[rows] / 255
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            loss = nn.functional.cross_entropy(network(batch), y[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    return network


def main() -> None:
    folder = Path(os.environ.get("SPIKEWRIGHT_DATA", "data")) / "fashion-mnist"
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "src/spikewright/demo")
    x, y = tensors(folder, "train")
    test_x, test_y = tensors(folder, "test")
    network = train(x, y)
    print(f"accuracy on {len(test_y)} test images: {accuracy(network, test_x, test_y):.2%}")
    print(f"accuracy on the first 1,000: {accuracy(network, test_x[:1000], test_y[:1000]):.2%}")
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, output / "network.safetensors")
    packed = {"train": x[:1500], "test": test_x[:1000], "labels": test_y[:1000]}
    np.savez_compressed(output / "fashion.npz", **{k: v.numpy() for k, v in packed.items()})


if __name__ == "__main__":
    main()
