"""Train a small MobileNetV2 on Fashion-MNIST: ReLU6, depthwise convolutions, linear bottlenecks.

    python examples/train_mobile.py OUTPUT.safetensors
    spikewright convert examples/train_mobile.py:MobileNet --weights OUTPUT.safetensors --shape 1,28,28 ...

SPIKEWRIGHT_DATA names a folder that holds the four idx.gz files of Fashion-MNIST in ``fashion-mnist``; without it they
are fetched once, and checked. Takes about ten minutes on two cores. Inputs are pixels / 255. The test images are looked
at once, at the end.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from _training import Recipe, train_and_save

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


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    train_and_save(MobileNet, Recipe(), sys.argv[1])


if __name__ == "__main__":
    main()
