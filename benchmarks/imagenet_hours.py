"""How long pictures of ImageNet's size take: seconds and memory of an image, and the hours of 50,000 that follow.

    python benchmarks/imagenet_hours.py [vgg16] [resnet50] [--images N] [--calibrate N]

VGG16 (with norms) and ResNet-50 with drawn weights: their time depends on shapes and on how much neurons fire, which
the page says. Each network has a process of its own: it calibrates so many images (`max`, a batch of 8), converts, and
simulates so many at T = 32 with the engine that is chosen by itself. Wall and processor time of each are told for an
image, and the most memory that the process had. Rows of networks that are not measured stay.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _networks import processor
from _zoo import zoo

T, BATCH, PICTURES = 32, 8, 50_000
NETWORKS = {"vgg16": "vgg16 224", "resnet50": "resnet50 224"}
LABELS = {"vgg16": "VGG16", "resnet50": "ResNet-50"}
RESULT = Path(__file__).parent / "results" / "imagenet_hours.md"
ROWS = RESULT.with_suffix(".jsonl")
Row = dict[str, Any]


def pictures(count: int, seed: int) -> np.ndarray:
    """Smooth pictures, normalised as those of ImageNet are: mean 0, deviation 1."""
    coarse = torch.randn((count, 3, 28, 28), generator=torch.Generator().manual_seed(seed))
    made = torch.nn.functional.interpolate(coarse, size=(224, 224), mode="bilinear", antialias=False)
    return np.asarray((made - made.mean()) / made.std(), np.float32)


def peak() -> float:
    """The most memory that this process had so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def taken(call: Callable[[], Any], images: int) -> tuple[Any, list[float]]:
    """What a call gives, and its seconds an image: by the wall, and of processors."""
    wall, work = time.perf_counter(), time.process_time()
    found = call()
    return found, [(time.perf_counter() - wall) / images, (time.process_time() - work) / images]


def measure(name: str, calibrated: int, simulated: int, answer: Connection) -> None:
    module, shape = zoo(NETWORKS[name])
    graph = sw.load(module, shape=shape)
    folded, _ = sw.prepare(graph)
    sw.calibrate(folded, pictures(1, 2), "max", batch_size=1)  # what a first batch costs beside
    found = pictures(calibrated, 0)
    statistics, calibrating = taken(lambda: sw.calibrate(folded, found, "max", batch_size=BATCH), calibrated)
    memory = [peak()]
    conversion = sw.convert(graph, statistics, "max")
    test = pictures(simulated, 1)
    sw.simulate(conversion, test[:1], 2, quiet=True)  # plans
    run, simulating = taken(lambda: sw.simulate(conversion, test, T, batch_size=BATCH, quiet=True), simulated)
    memory.append(peak())
    spikes, neurons = (sum(f(count) for count in run.counts.values()) for f in (np.sum, np.size))
    answer.send(
        {
            "network": name,
            "calibrating": calibrating,
            "simulating": simulating,
            "images": [calibrated, simulated],
            "memory": memory,
            "engine": run.engine,
            "rate": float(spikes / (neurons * simulated * T)),
            "load": round(os.getloadavg()[0], 1),
            "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        }
    )


def measured(name: str, calibrated: int, simulated: int) -> Row:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=measure, args=(name, calibrated, simulated, there))
    process.start()
    there.close()
    found: Row = here.recv()
    process.join()
    return found


def page(rows: dict[str, Row]) -> str:
    lines = [
        "# Hours of ImageNet",
        "",
        f"Pictures of 224×224, drawn weights, T = {T}: seconds of an image, the same of processor time, and the hours "
        f"of {PICTURES:,} images on one such core, which follow from processor time; of several cores, or workers with "
        "one each, as many times fewer.",
        "",
        "| network | calibrate, s | of processors | hours of a core | memory, GB | simulate, s "
        "| of processors | hours of a core | memory, GB | firing rate | engine |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in NETWORKS if name in rows):
        row = rows[name]
        cells = [LABELS[name]]
        for what, memory in zip(("calibrating", "simulating"), row["memory"], strict=True):
            wall, work = row[what]
            cells += [f"{wall:.2f}", f"{work:.2f}", f"{PICTURES * work / 3600:.1f}", f"{memory:.1f}"]
        lines.append("| " + " | ".join([*cells, f"{row['rate']:.3f}", row["engine"]]) + " |")
    said = {
        f"{LABELS[name]}: {row['images'][0]} images calibrated, {row['images'][1]} simulated; {row['machine']}; load "
        f"average {row['load']}."
        for name, row in rows.items()
    }
    return "\n".join([*lines, "", *sorted(said), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=list(NETWORKS), choices=[[], *NETWORKS], help="vgg16, resnet50")
    parser.add_argument("--images", type=int, default=2, help="that are simulated")
    parser.add_argument("--calibrate", type=int, default=16, help="that are calibrated on")
    given = parser.parse_args()
    for name in given.what:
        row = measured(name, given.calibrate, given.images)
        print(json.dumps(row), flush=True)
        with ROWS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
        RESULT.write_text(page({one["network"]: one for one in rows}), encoding="utf-8")


if __name__ == "__main__":
    main()
