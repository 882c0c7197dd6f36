"""The tutorial as a notebook: its cells are cut from ann2snn_tutorial.py, and run.

    python examples/make_notebook.py [--weights FILE]

Running it needs nbclient, nbformat and ipykernel; without ``--weights`` the network is trained, which takes minutes.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
from pathlib import Path

import ann2snn_tutorial as tutorial

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "ann2snn_tutorial.ipynb"
WEIGHTS = "SPIKEWRIGHT_TUTORIAL_WEIGHTS"
"""A variable of the environment: the file of weights."""


def cells() -> list[tuple[str, str]]:
    """Kind and text of every cell, "markdown" or "code"."""
    text = Path(tutorial.__file__).read_text(encoding="utf-8")
    imports = re.search(r"^import torch\n.*?(?=^T = )", text, re.MULTILINE | re.DOTALL)
    settings = re.search(r'^T = .*?(?=\n""")', text, re.MULTILINE | re.DOTALL)
    assert imports is not None
    assert settings is not None
    return [
        (
            "markdown",
            "# From a trained network to spikes, as in SpikingJelly's tutorial\n\n"
            "The code is that of `ann2snn_tutorial.py`; only the module that is imported is another than in "
            "SpikingJelly's own.\n\nFirst the experiment that it begins with: integrate-and-fire neurons with constant "
            "input fire at a rate that is ReLU of the input, up to one spike a timestep.",
        ),
        ("code", f"import os\nfrom pathlib import Path\n\n{imports[0].strip()}"),
        ("code", "sw.plot.if_experiment()"),
        ("markdown", "The network, trained on MNIST."),
        ("code", f"{settings[0].strip()}\n\n\n{_source(tutorial.ANN)}\n\n\n{_source(tutorial.trained)}"),
        (
            "code",
            f'weights = os.environ.get("{WEIGHTS}")  # trained before; else training takes some minutes\n'
            "ann = trained(Path(weights) if weights else None)\n"
            'train_images, _ = pictures("mnist", "train")\n'
            'images, labels = (part[:500] for part in pictures("mnist", "test"))\n'
            "with torch.no_grad():\n"
            "    analog = float((ann(images).argmax(1) == labels).float().mean())\n"
            'print(f"trained network: {analog:.2%} of {len(labels)} test images")',
        ),
        (
            "markdown",
            "Converted in six modes, each run for T timesteps: the largest activation, the 99.9th percentile, and "
            "parts of the largest one.",
        ),
        ("code", "\n\n\n".join(_source(one) for one in (tutorial.accuracies, tutorial.label, tutorial.by_mode))),
        ("code", "curves = by_mode(ann, train_images[:10000].split(100), images, labels, T)"),
        ("code", "sw.plot.accuracy(curves, trained=analog, linear=True)"),
        (
            "markdown",
            "Layer by layer: what normalising by the 99.9th percentile makes of activations and weights, from "
            "histograms that were counted while the images passed by.",
        ),
        (
            "code",
            "graph, _ = sw.prepare(sw.load(ann, example=images[:1]))\n"
            'statistics = sw.calibrate(graph, train_images[:2000], "percentile:99.9")\n'
            'sw.plot.before_and_after(sw.convert(graph, statistics, "percentile:99.9"), statistics)',
        ),
    ]


def _source(what: object) -> str:
    return inspect.getsource(what).strip()  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    asked = parser.parse_args()
    from make_tutorials import write

    if asked.weights is not None:
        os.environ[WEIGHTS] = str(asked.weights.resolve())
    write(NOTEBOOK, cells(), HERE, seconds=3600)


if __name__ == "__main__":
    main()
