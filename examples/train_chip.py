"""Train a network that fits a Speck-class chip of nine cores, on MNIST or Fashion-MNIST.

    python examples/train_chip.py mnist|vgg|resnet OUTPUT.safetensors
    spikewright convert examples/train_chip.py:Vgg --weights OUTPUT.safetensors --shape 1,28,28 --readout count ...

``mnist`` is the small CNN of the field's tutorials, on MNIST; ``vgg`` and ``resnet`` are smaller relatives of a VGG and
a ResNet that do not fit, on Fashion-MNIST. SPIKEWRIGHT_DATA names a folder that holds each data set's idx.gz files in a
folder of its name; without it they are fetched once, and checked. Takes some minutes of one core. Inputs are
pixels / 255. The test images are looked at once, at the end. docs/chips.md goes on from here to settings for the chip.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from _training import Recipe, train_and_save

WIDTH = 16
"""Channels of the first convolutions; each pool doubles them."""


def convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """A convolution without bias that keeps the size, and its norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Mnist(nn.Module):
    """Convolution, norm, ReLU and average pool, three times, and one dense layer with a ReLU: four cores.

    The last ReLU is left out while it is trained: a class whose answers it cut off for all pictures would get no
    gradient, and stay so.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (1, 32, 32):
            layers += [nn.Conv2d(channels, 32, 3), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU(), nn.AvgPool2d(2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.layers(x)
        return answers if self.training else torch.relu(answers)


class Vgg(nn.Sequential):
    """Pairs of convolutions with average pools between them, two dense layers: eight cores.

    A kernel takes as many words as its input channels times its output channels times its taps, the latter two rounded
    up to powers of two: 64 channels to 64 with 3x3 are the 65,536 words of the two largest cores. One is the last
    convolution's, the other the first dense layer's, which is a convolution over 3x3.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 1
        for width in (WIDTH, 2 * WIDTH, 4 * WIDTH):
            for _ in range(2):
                layers += [convolution(channels, width), nn.ReLU()]
                channels = width
            layers.append(nn.AvgPool2d(2))
        dense = [nn.Linear(9 * channels, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)]
        super().__init__(*layers, nn.Flatten(), *dense)


class Block(nn.Module):
    """Two convolutions with a shortcut around them, ``relu(second(relu(first(x))) + shortcut(x))``: two cores.

    The layer before sends to both. The second core takes the shortcut's channels behind its own, with the shortcut's
    weights at the centre tap of its kernel; so a stride is not possible, and a pool before the block does its work.
    """

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Sequential(convolution(inputs, inner), nn.ReLU())
        self.second = convolution(inner, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class ResNet(nn.Sequential):
    """A convolution, three residual blocks with pools between them, a dense layer over a global pool: eight cores."""

    def __init__(self) -> None:
        blocks = [
            nn.AvgPool2d(2),
            Block(WIDTH, 2 * WIDTH, 2 * WIDTH),
            nn.AvgPool2d(2),
            Block(2 * WIDTH, 2 * WIDTH, 2 * WIDTH),
            Block(2 * WIDTH, 2 * WIDTH, 4 * WIDTH),
        ]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * WIDTH, 10)]
        super().__init__(convolution(1, WIDTH), nn.ReLU(), *blocks, *head)


NETWORKS = {
    "mnist": (Mnist, Recipe(data="mnist", epochs=4, flips=False)),
    "vgg": (Vgg, Recipe(epochs=6)),
    "resnet": (ResNet, Recipe(epochs=5)),
}


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in NETWORKS:
        raise SystemExit(__doc__)
    make, recipe = NETWORKS[sys.argv[1]]
    train_and_save(make, recipe, sys.argv[2])


if __name__ == "__main__":
    main()
