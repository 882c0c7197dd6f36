"""Train a small MobileNetV2 on Fashion-MNIST: ReLU6, depthwise convolutions, linear bottlenecks.

    SPIKEWRIGHT_DATA=FOLDER python examples/train_mobile.py OUTPUT.safetensors
    spikewright convert examples/train_mobile.py:MobileNet --weights OUTPUT.safetensors --shape 1,28,28 ...

FOLDER/fashion-mnist holds the four idx.gz files of Fashion-MNIST. Takes about ten minutes on two cores. Inputs are
pixels / 255. The test images are looked at once, at the end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import nn

EPOCHS, BATCH, SEED = 8, 128, 0
BLOCKS = ((24, 2), (24, 1), (40, 2), (40, 1), (64, 1))
"""Channels and stride of each bottleneck, from 28x28 down to 7x7."""
EXPANSION = 4
"""How many times as many channels a bottleneck has between its two ends."""


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias and its norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """Widen, one filter a channel, narrow without a rectifier; its input is added where nothing changes size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * inputs
        self.widen = nn.Sequential(convolution(inputs, wide, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(convolution(wide, wide, 3, stride, groups=wide), nn.ReLU6())
        self.narrow = convolution(wide, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.narrow(self.depthwise(self.widen(x)))
        return x + y if self.adds else y


class MobileNet(nn.Sequential):
    """MobileNetV2 for 28x28 grey pictures: ``(B, 1, 28, 28)`` to ten classes."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [convolution(1, 16, 3), nn.ReLU6()]
        channels = 16
        for outputs, stride in BLOCKS:
            layers.append(Bottleneck(channels, outputs, stride))
            channels = outputs
        layers += [convolution(channels, 128, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
        super().__init__(*layers)


def tensors(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels from 0 to 1, ``(N, 1, 28, 28)``, and labels."""
    from spikewright.data import load_data

    data = load_data(str(folder), split=split, shape=(1, 28, 28))
    return torch.tensor(data.x) / 255, torch.tensor(data.y)


def shifted(batch: torch.Tensor) -> torch.Tensor:
    """A batch moved by up to two pixels each way, half of the time mirrored too."""
    if torch.rand(()) < 0.5:
        batch = batch.flip(3)
    y, x = torch.randint(0, 5, (2,)).tolist()
    return nn.functional.pad(batch, (2, 2, 2, 2))[:, :, y : y + 28, x : x + 28]


def train(x: torch.Tensor, y: torch.Tensor) -> MobileNet:
    torch.manual_seed(SEED)
    network = MobileNet().to(memory_format=torch.channels_last)
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=steps)
    for epoch in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            batch = shifted(x[rows]).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(batch), y[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.inference_mode():
        right = sum(int((network(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True))
    return right / len(y)


def main() -> None:
    from safetensors.torch import save_file

    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(os.environ.get("SPIKEWRIGHT_DATA", "data")) / "fashion-mnist"
    network = train(*tensors(folder, "train"))
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, sys.argv[1])
    print(f"accuracy on the test images: {accuracy(network, *tensors(folder, 'test')):.2%}")


if __name__ == "__main__":
    main()
