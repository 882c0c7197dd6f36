"""A small trained network and real pictures that come with the package, so that everything can be tried at once.

The pictures are the first 1,500 training and the first 1,000 test images of Fashion-MNIST (Zalando SE, MIT licence);
the network is ``DemoNet``, trained by ``examples/train_fashion.py``.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from spikewright.data import ArrayDataset, Preprocessing
from spikewright.graph import Graph

PREPROCESSING = Preprocessing(scale=1 / 255)
CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def demo_graph() -> Graph:
    """The trained network, as the PyTorch frontend reads it."""
    import torch
    from safetensors.torch import load_file

    from spikewright.demo.network import DemoNet
    from spikewright.frontends.torch import from_torch

    module = DemoNet()
    with as_file(files(__name__) / "network.safetensors") as path:
        module.load_state_dict(load_file(path))
    return from_torch(module, torch.zeros(1, 1, 28, 28))


def demo_data(*, labelled: bool = False) -> tuple[ArrayDataset, ArrayDataset]:
    """Training images to calibrate with, and labelled test images.

    Args:
        labelled: whether the training images have their labels, to train a network of one's own on them.
    """
    with as_file(files(__name__) / "fashion.npz") as path, np.load(path, allow_pickle=False) as file:
        train, test, labels = file["train"], file["test"], file["labels"]
        known = file["train_labels"].astype(np.int64) if labelled else None
    return (
        ArrayDataset(train, known, PREPROCESSING, classes=CLASSES),
        ArrayDataset(test, labels, PREPROCESSING, classes=CLASSES),
    )
