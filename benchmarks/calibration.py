"""What calibration costs: memory against the number of images, time against the bare forward pass.

    SPIKEWRIGHT_DATA=… SPIKEWRIGHT_MODELS=… python benchmarks/calibration.py [memory] [cnn] [vgg] [resnet] [--images N]

Memory: one process calibrates 60,000 Fashion-MNIST images, another the first 2,000 of the same array; their peaks
are compared. Time: calibrating and the forward pass alone take turns over the same images; the ratio is the median of
the rounds, of processor time, so that what else runs on the machine matters less. The networks are the trained ones of
SPIKEWRIGHT_MODELS (`fashion_cnn.safetensors` and so on, with `definitions.py` beside them). Rows are kept in
`results/calibration.jsonl`, so that networks can be measured one at a time; the page shows the median of all
rounds of a network.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import spikewright as sw
from _data import folder
from spikewright.data import Dataset
from spikewright.forward import Forward
from spikewright.graph import Graph

BATCH = 256
NETWORKS = {"cnn": "Cnn", "vgg": "Vgg", "resnet": "ResNet"}
RESULT = Path(__file__).parent / "results" / "calibration.md"
ROWS = RESULT.with_suffix(".jsonl")
WAYS = {
    "max": "max",
    "percentile of each layer": "percentile:99.9",
    "percentile of each channel": "percentile:99.9,channels",
}


def folded(name: str) -> Graph:
    models = Path(os.environ["SPIKEWRIGHT_MODELS"])
    sys.path.insert(0, str(models))
    model = getattr(import_module("definitions"), NETWORKS[name])()
    model.load_state_dict(load_file(models / f"fashion_{name}.safetensors"))
    graph, _ = sw.prepare(sw.load(model.eval(), shape=(1, 28, 28)))
    return graph


def images() -> Dataset:
    data = folder("fashion-mnist")
    return sw.load_data(str(data), split="train", shape=(1, 28, 28), preprocessing=sw.Preprocessing(scale=1 / 255))


def peak(samples: int, answer: multiprocessing.connection.Connection) -> None:
    """Peak resident memory, in MB, of calibrating so many images."""
    sw.calibrate(folded("cnn"), images().take(samples), batch_size=BATCH)
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


def seconds_of(graph: Graph, data: Dataset, rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time of the bare forward pass and of each way of calibrating, round by round."""
    ways: dict[str, Callable[[], object]] = {"forward": lambda: forward_only(graph, data)}
    for name, method in WAYS.items():
        ways[name] = lambda method=method: sw.calibrate(graph, data, method, batch_size=BATCH)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
            print(f"  {name}: {taken[name][-1]:.2f} s", flush=True)
    return taken


def measured(name: str, samples: int, rounds: int) -> dict[str, Any]:
    """A row: how long one network took."""
    taken = seconds_of(folded(name), images().take(samples), rounds)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} of torch's threads"
    return {
        **{"network": name, "images": samples, "seconds": taken, "load": f"{os.getloadavg()[0]:.1f}"},
        "machine": f"{machine}, torch {torch.__version__}",
    }


def page(rows: list[dict[str, Any]]) -> str:
    """All rounds of each network with as many images as in its last row, and the last row of the memory."""
    memory = next((row["memory"] for row in reversed(rows) if "memory" in row), None)
    networks = {row["network"]: row for row in rows if "network" in row}
    lines = ["# Calibration", ""]
    if memory:
        few, many = memory
        lines += [
            f"Peak memory: {few:.0f} MB for 2,000 images, {many:.0f} MB for 60,000 of the same array "
            f"(the array itself lies in memory in both): {many - few:+.0f} MB.",
            "",
        ]
    lines += [
        "Processor time as a multiple of the bare forward pass over the same images, median of rounds that take turns. "
        "Percentiles are exact, and take one pass.",
        "",
        "| network | images | rounds | forward, s | " + " | ".join(WAYS) + " | load average |",
        "|---" * (len(WAYS) + 5) + "|",
    ]
    for name in (name for name in NETWORKS if name in networks):
        count = networks[name]["images"]
        same = [row for row in rows if row.get("network") == name and row["images"] == count]
        taken = {way: [t for row in same for t in row["seconds"][way]] for way in ("forward", *WAYS)}
        found = [statistics.median(t / f for t, f in zip(taken[w], taken["forward"], strict=True)) for w in WAYS]
        cells = [name, f"{count:,}", str(len(taken["forward"])), f"{statistics.median(taken['forward']):.1f}"]
        cells += [*(f"{one:.2f}" for one in found), ", ".join(row["load"] for row in same)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{list(networks.values())[-1]['machine']}.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["memory", *NETWORKS], help="memory, cnn, vgg, resnet")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for what in given.what:
        row = {"memory": list(peaks().values())} if what == "memory" else measured(what, given.images, given.rounds)
        with ROWS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    RESULT.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
