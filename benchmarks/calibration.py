"""What calibration costs: memory against the number of images, time against the bare forward pass.

    SPIKEWRIGHT_DATA=… SPIKEWRIGHT_MODELS=… python benchmarks/calibration.py [memory] [cnn] [vgg] [resnet]
        [--images N] [--rounds N] [--ways max layer channel]

Memory: one process calibrates 60,000 Fashion-MNIST images, another the first 2,000 of the same array; their peaks
are compared. Time: calibrating and the forward pass alone take turns over the same images, after a batch of each; the
ratio is the median of the rounds, of processor time, so that what else runs on the machine matters less. The networks
are the trained ones of SPIKEWRIGHT_MODELS (`fashion_cnn.safetensors` and so on, with `definitions.py` beside them).
Each round is kept in `results/calibration.jsonl` as soon as it is over, so that networks, ways and rounds can be
measured one at a time, in pieces of few minutes; the page shows all rounds with as many images as a network's last
one. A round of all ways takes 4 times the bare forward pass, and somewhat more; one of a single way twice.
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
GOALS = {"max": 1.2, "percentile of each layer": 1.3, "percentile of each channel": 1.5}
BOUND = """What bounds it: an activation is rectified and counted in one look, which takes 0.5 ns a value (one read
alone takes 0.2 ns, the rest is counting the positive ones), and a ReLU of torch, which is left out for it, 0.6. What is
left above is mostly memory: an activation of 256 samples has up to 13 MB, which malloc gives back to the system and
takes anew, page by page. Of a ResNet's 1,280 images that was a tenth of the time of the forward pass and a fifth of
calibration, and it differs from run to run, which may be why `max`, which does least, is not the quickest here. The
rows "memory kept" ran with `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` of 4 GB in the environment, where this
does not happen: the forward pass itself is about a quarter quicker then, and no goal is missed. Tried without gain:
histograms in 1, 2 or 8 tables instead of 4, a large block of memory taken and freed first."""
KEPT = ", memory kept"
"""Of what ran with ``MALLOC_TRIM_THRESHOLD_`` set: then pages that an activation had are there for the next one."""
SHORT = dict(zip(("max", "layer", "channel"), WAYS, strict=True))


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


def kept() -> bool:
    return "MALLOC_TRIM_THRESHOLD_" in os.environ


def forward_only(graph: Graph, data: Dataset) -> None:
    forward = Forward(graph)
    for x, _ in data.batches(BATCH):
        forward(torch.from_numpy(x))


def round_of(name: str, graph: Graph, data: Dataset, ways: list[str]) -> dict[str, Any]:
    """A row: seconds of processor time of the bare forward pass and of some ways of calibrating, in turn."""
    runs: dict[str, Callable[[Dataset], object]] = {"forward": lambda data: forward_only(graph, data)}
    for way in ways:
        runs[way] = lambda data, method=WAYS[way]: sw.calibrate(graph, data, method, batch_size=BATCH)
    taken = {}
    for way, run in runs.items():
        run(data.take(BATCH))
        started = time.process_time()
        run(data)
        taken[way] = [time.process_time() - started]
        print(f"  {name}, {way}: {taken[way][0]:.2f} s", flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} of torch's threads"
    return {
        **{"network": name + KEPT * kept(), "images": len(data), "seconds": taken, "load": f"{os.getloadavg()[0]:.1f}"},
        "machine": f"{machine}, torch {torch.__version__}",
    }


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()] if ROWS.exists() else []


def note(row: dict[str, Any]) -> None:
    """Keep a row, and write the page."""
    with ROWS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    RESULT.write_text(page(rows()), encoding="utf-8")


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
        "Processor time as a multiple of the bare forward pass over the same images, medians of rounds that take "
        "turns, with the number of rounds. Percentiles are exact, and take one pass.",
        "",
        "| network | images | forward, s | " + " | ".join(WAYS) + " | load averages |",
        "|---" * (len(WAYS) + 4) + "|",
    ]
    for name in (label for one in NETWORKS for label in (one, one + KEPT) if label in networks):
        count = networks[name]["images"]
        same = [row for row in rows if row.get("network") == name and row["images"] == count]
        forward = statistics.median(t for row in same for t in row["seconds"]["forward"])
        cells = [name, f"{count:,}", f"{forward:.1f}", *(_ratio(same, way) for way in WAYS)]
        cells.append(", ".join(dict.fromkeys(row["load"] for row in same)))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_goals(rows, networks), "", BOUND]
    machines = dict.fromkeys(row["machine"] for row in networks.values())
    return "\n".join([*lines, "", *(f"{one}." for one in machines), ""])


def _goals(rows: list[dict[str, Any]], networks: dict[str, Any]) -> list[str]:
    """The goals, and by how much which of them is missed."""
    told = ", ".join(f"{goal} for {way}" for way, goal in GOALS.items())
    missed = []
    for name, last in networks.items():
        same = [row for row in rows if row.get("network") == name and row["images"] == last["images"]]
        for way, goal in GOALS.items():
            found = _ratio(same, way).partition(" ")[0]
            if found != "–" and float(found) > goal:
                missed.append(f"{name}: {way} by {float(found) - goal:.2f}")
    return [f"Goals: {told}. " + (f"Missed: {'; '.join(missed)}." if missed else "None is missed.")]


def _ratio(rows: list[dict[str, Any]], way: str) -> str:
    """``1.15 (3)``: the median of the rounds that took it, and how many these are."""
    taken = [row["seconds"] for row in rows if way in row["seconds"]]
    found = [t / f for one in taken for t, f in zip(one[way], one["forward"], strict=True)]
    return f"{statistics.median(found):.2f} ({len(found)})" if found else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["memory", *NETWORKS], help="memory, cnn, vgg, resnet")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=list(SHORT), default=list(SHORT), help="besides the forward pass")
    given = parser.parse_args()
    for what in given.what:
        if what == "memory":
            note({"memory": list(peaks().values())})
            continue
        graph, data = folded(what), images().take(given.images)
        for _ in range(given.rounds):
            note(round_of(what, graph, data, [SHORT[way] for way in given.ways]))


if __name__ == "__main__":
    main()
