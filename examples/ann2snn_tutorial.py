"""SpikingJelly's ann2snn tutorial with our module: a CNN on MNIST, converted in six modes, accuracy against timesteps.

    python examples/ann2snn_tutorial.py [PICTURE] [--weights FILE] [--epochs 3] [--samples 2000]

What follows "import" is the tutorial's own code, but for the loop that gathers accuracy at every step. The pictures are
those of SPIKEWRIGHT_DATA, else downloaded once. Figures need matplotlib: pip install 'spikewright[plots]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import spikewright as sw
from _training import Recipe, pictures, train
from spikewright.compat import spikingjelly as ann2snn

T = 50
MODES: tuple[str | float, ...] = ("max", "99.9%", 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5)
RECIPE = Recipe(data="mnist", epochs=3, seed=2, rate=3e-3, smoothing=0.0, flips=False, shift=0)
"""With this seed no class is lost: behind a last ReLU a class whose outputs are all negative learns nothing."""


class ANN(nn.Module):
    """The tutorial's network."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for before in (1, 32, 32):
            parts += [nn.Conv2d(before, 32, 3, 1), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU(), nn.AvgPool2d(2, 2)]
        self.network = nn.Sequential(*parts, nn.Flatten(), nn.Linear(32, 10), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def trained(weights: Path | None, epochs: int = RECIPE.epochs, images: int | None = None) -> ANN:
    """The network from a file of weights; trained, and written there, where it does not exist yet."""
    if weights is not None and weights.exists():
        net = ANN()
        net.load_state_dict(load_file(weights))
        return net.eval()
    recipe = Recipe(**{**vars(RECIPE), "epochs": epochs})
    net = train(ANN, *(part[:images] for part in pictures("mnist", "train")), recipe)
    assert isinstance(net, ANN)
    if weights is not None:
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, weights)
    return net


@torch.no_grad()
def accuracies(net: nn.Module, images: Tensor, labels: Tensor, steps: int = T) -> list[float]:
    """The share of images that a spiking network knows after each step."""
    right = torch.zeros(steps)
    for x, y in zip(images.split(500), labels.split(500), strict=True):
        for m in net.modules():
            if hasattr(m, "reset"):
                m.reset()
        for t in range(steps):
            if t == 0:
                out = net(x)
            else:
                out += net(x)
            right[t] += (out.argmax(1) == y).sum()
    return (right / len(labels)).tolist()


def label(mode: str | float) -> str:
    """A mode as the tutorial writes it."""
    return mode if isinstance(mode, str) else f"1.0/{round(1 / mode)}"


def by_mode(
    ann: ANN, train_data_loader: object, images: Tensor, labels: Tensor, steps: int = T
) -> dict[str, list[float]]:
    """Accuracy at every timestep, by mode."""
    curves = {}
    for mode in MODES:
        model_converter = ann2snn.Converter(mode=mode, dataloader=train_data_loader)
        snn_model = model_converter(ann)
        name = label(mode)
        curves[name] = accuracies(snn_model, images, labels, steps)
        shown = [t for t in (1, 5, 10, 20, 50) if t <= steps]
        print(f"{name:>6}  " + ", ".join(f"T={t}: {curves[name][t - 1]:.2%}" for t in shown), flush=True)
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=Path("docs/images/ann2snn_tutorial.png"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--images", type=int, help="how many training images; all by default")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--timesteps", type=int, default=T)
    asked = parser.parse_args()

    ann = trained(asked.weights, asked.epochs, asked.images)
    train_images, _ = pictures("mnist", "train")
    images, labels = (part[: asked.samples] for part in pictures("mnist", "test"))
    with torch.no_grad():
        analog = float((ann(images).argmax(1) == labels).float().mean())
    print(f"trained network: {analog:.2%} of {len(labels)} test images")
    curves = by_mode(ann, train_images[:10000].split(100), images, labels, asked.timesteps)
    sw.plot.save(sw.plot.accuracy(curves, trained=analog, linear=True), asked.picture, force=True)


if __name__ == "__main__":
    main()
