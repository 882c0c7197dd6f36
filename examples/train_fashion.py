"""Train the demo's network on Fashion-MNIST, and pack it with some of the images.

    python examples/train_fashion.py [OUTPUT FOLDER]

SPIKEWRIGHT_DATA names a folder that holds the four idx.gz files of Fashion-MNIST in ``fashion-mnist``; without it they
are fetched once, and checked. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from _training import Recipe, accuracy, pictures, train
from spikewright.demo.network import DemoNet

RECIPE = Recipe(decay=1e-3, shift=0)


def main() -> None:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "src/spikewright/demo")
    x, y = pictures(RECIPE.data, "train")
    test_x, test_y = pictures(RECIPE.data, "test")
    network = train(DemoNet, x, y, RECIPE)
    print(f"accuracy on {len(test_y)} test images: {accuracy(network, test_x, test_y):.2%}")
    print(f"accuracy on the first 1,000: {accuracy(network, test_x[:1000], test_y[:1000]):.2%}")
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, output / "network.safetensors")
    train_bytes, test_bytes = ((255 * images).round().numpy().astype(np.uint8) for images in (x[:1500], test_x[:1000]))
    labels = {"train_labels": y[:1500].numpy().astype(np.uint8), "labels": test_y[:1000].numpy()}
    np.savez_compressed(output / "fashion.npz", train=train_bytes, test=test_bytes, **labels)


if __name__ == "__main__":
    main()
