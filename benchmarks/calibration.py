"""What calibration costs: memory against the number of images, time against the bare forward pass.

    SPIKEWRIGHT_DATA=FOLDER python benchmarks/calibration.py

Memory: one process calibrates 60,000 Fashion-MNIST images, another the first 2,000 of the same array; their peaks
are compared. Time: calibrating and the forward pass alone take turns over the same images; the ratio is of medians.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import spikewright as sw
from _data import folder
from spikewright.data import Dataset
from spikewright.forward import Forward
from spikewright.graph import Graph

ROUNDS, BATCH = 7, 256
RESULT = Path(__file__).parent / "results" / "calibration.md"


def cnn(width: int = 32) -> nn.Module:
    """The small CNN of the field's MNIST tutorials."""
    layers: list[nn.Module] = []
    channels = 1
    for _ in range(3):
        layers += [nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 10))


def vgg() -> nn.Module:
    """Six convolutions, two linear layers."""
    layers: list[nn.Module] = []
    channels = 1
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers.append(nn.AvgPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1152, 256), nn.ReLU(), nn.Linear(256, 10))


def folded(make: Callable[[], nn.Module]) -> Graph:
    torch.manual_seed(0)
    graph, _ = sw.prepare(sw.load(make(), shape=(1, 28, 28)))
    return graph


def images() -> Dataset:
    data = folder("fashion-mnist")
    return sw.load_data(str(data), split="train", shape=(1, 28, 28), preprocessing=sw.Preprocessing(scale=1 / 255))


def peak(samples: int, answer: multiprocessing.connection.Connection) -> None:
    """Peak resident memory, in MB, of calibrating so many images."""
    sw.calibrate(folded(cnn), images().take(samples), batch_size=BATCH)
    answer.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peaks() -> dict[int, float]:
    found = {}
    for samples in (2_000, 60_000):
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=peak, args=(samples, there))
        process.start()
        found[samples] = here.recv()
        process.join()
    return found


def forward_only(graph: Graph, data: Dataset) -> None:
    forward = Forward(graph)
    for x, _ in data.batches(BATCH):
        forward(torch.from_numpy(x))


def ratios(graph: Graph, data: Dataset) -> dict[str, float]:
    """Seconds of the bare forward pass, and how many times that each way of calibrating takes."""
    layer, channels = sw.threshold_method("percentile:99.9"), sw.threshold_method("percentile:99.9,channels")
    ways: dict[str, Callable[[], object]] = {
        "forward": lambda: forward_only(graph, data),
        "max, one pass": lambda: sw.calibrate(graph, data, [sw.threshold_method("max")], batch_size=BATCH),
        "percentile, one pass": lambda: sw.calibrate(graph, data, [layer], batch_size=BATCH, one_pass=True),
        "percentile, exact": lambda: sw.calibrate(graph, data, [layer], batch_size=BATCH),
        "percentile of each channel, exact": lambda: sw.calibrate(graph, data, [channels], batch_size=BATCH),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    forward = medians.pop("forward")
    return {"forward, s": forward, **{name: seconds / forward for name, seconds in medians.items()}}


def main() -> None:
    data = images()
    lines = ["# Calibration", ""]
    found = peaks()
    grown = found[60_000] - found[2_000]
    lines += [
        f"Peak memory: {found[2_000]:.0f} MB for 2,000 images, {found[60_000]:.0f} MB for 60,000 of the same array "
        f"(the array itself lies in memory in both): {grown:+.0f} MB.",
        "",
        "Time as a multiple of the bare forward pass over the same images, medians of "
        f"{ROUNDS} rounds, taking turns. Exact percentiles take two passes over the data.",
        "",
    ]
    table = {
        name: ratios(folded(make), data.take(count)) for name, make, count in (("cnn", cnn, 6000), ("vgg", vgg, 2000))
    }
    header = list(table["cnn"])
    lines += ["| network | " + " | ".join(header) + " |", "|---" * (len(header) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{v:.2f}" for v in row.values()) + " |" for name, row in table.items()]
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    lines += ["", f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, load average {load}.", ""]
    text = "\n".join(lines)
    print(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
