"""How exact conversion is, and how soon the spiking network is as good as the trained one.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/accuracy.py

The models' folder holds ``mnist_cnn.onnx`` (the MNIST network of the ONNX model zoo, which ships in the package qonnx
1.0.0), and ``definitions.py`` with ``fashion_cnn``, ``fashion_vgg`` and ``fashion_resnet.safetensors``; networks that
are not there are left out. Everything is deterministic: constant input, half a threshold to begin with.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

import spikewright as sw
from _data import folder
from spikewright.data import Dataset
from spikewright.forward import run
from spikewright.graph import Graph

STEPS = (4, 8, 16, 32, 64)
METHODS = ("max", "percentile:99.9", "scale:0.5", "percentile:99.9,channels")
RESULT = Path(__file__).parent / "results" / "accuracy.md"


def models() -> Path:
    given = os.environ.get("SPIKEWRIGHT_MODELS")
    if not given:
        raise SystemExit("set SPIKEWRIGHT_MODELS to the folder with the trained networks")
    return Path(given)


def data(name: str, split: str, scale: float = 1.0) -> Dataset:
    steps = sw.Preprocessing(scale=scale)
    return sw.load_data(str(folder(name)), split=split, shape=(1, 28, 28), preprocessing=steps)


def analog_accuracy(graph: Graph, test: Dataset) -> float:
    right = [(run(graph, x)["output"].argmax(1) == y).mean() * len(x) for x, y in test.batches(500)]
    return float(sum(right)) / len(test)


def curves(graph: Graph, train: Dataset, test: Dataset, methods: tuple[str, ...]) -> list[str]:
    """A row of accuracies for each method."""
    folded, _ = sw.prepare(graph)
    parsed = [sw.threshold_method(text) for text in methods]
    statistics = sw.calibrate(folded, train, parsed)
    rows = []
    for method in parsed:
        spiking = sw.convert(graph, statistics.scales(method)).spiking
        found = sw.simulate(spiking, test, max(STEPS))
        right = [100 * (found.output[:, t - 1].argmax(1) == found.labels).mean() for t in STEPS]
        rows.append(f"| {method} | " + " | ".join(f"{r:.2f}" for r in right) + " |")
    return rows


def exactness(spec: str, weights: Path, graph: Graph, train: Dataset, x: np.ndarray) -> str:
    """Largest relative differences of the folded and the normalised graph from the PyTorch module itself."""
    import torch
    from safetensors.torch import load_file

    from spikewright.frontends.torch.module_file import build_module

    module = build_module(spec, None)
    module.load_state_dict(load_file(weights))
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy(x)).numpy()
    made = sw.convert(graph, train, "percentile:99.9,channels")
    both = (made.folded, made.normalised)
    errors = [np.abs(run(g, x)["output"] - expected).max() / np.abs(expected).max() for g in both]
    return f"Largest difference from the module, relative: folded {errors[0]:.1e}, normalised {errors[1]:.1e}."


def table(rows: list[str]) -> list[str]:
    header = "| threshold | " + " | ".join(f"T = {t}" for t in STEPS) + " |"
    return [header, "|---" * (len(STEPS) + 1) + "|", *rows, ""]


def main() -> None:
    here = models()
    lines = ["# Accuracy", ""]
    if (here / "mnist_cnn.onnx").exists():
        graph = sw.load(here / "mnist_cnn.onnx")
        train, test = data("mnist", "train").take(5000), data("mnist", "test")
        lines += [
            "## MNIST network of the ONNX model zoo",
            f"All 10,000 test images, calibrated on 5,000; analog {100 * analog_accuracy(graph, test):.2f} %.",
            "",
            *table(curves(graph, train, test, METHODS[:2])),
        ]
    for name, factory in (("cnn", "Cnn"), ("vgg", "Vgg"), ("resnet", "ResNet")):
        weights = here / f"fashion_{name}.safetensors"
        if not weights.exists():
            continue
        spec = f"{here / 'definitions.py'}:{factory}"
        graph = sw.load(spec, weights=weights, shape=(1, 28, 28))
        train, test = data("fashion-mnist", "train", 1 / 255).take(2000), data("fashion-mnist", "test", 1 / 255)
        x, _ = next(test.batches(100))
        first = test.take(1000)
        lines += [
            f"## Fashion-MNIST, {name}",
            f"The first 1,000 test images, calibrated on 2,000; analog {100 * analog_accuracy(graph, first):.1f} %.",
            exactness(spec, weights, graph, train, x),
            "",
            *table(curves(graph, train, first, METHODS)),
        ]
    text = "\n".join(lines)
    print(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
