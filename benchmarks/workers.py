"""Two workers of a cluster on this machine against two threads of one process: the same simulation, the same cores.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/workers.py equal [--images N]
    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/workers.py [round] [--images N] [--rounds N]

The trained VGG of SPIKEWRIGHT_MODELS (`fashion_vgg.safetensors`, with `definitions.py` beside it), T = 64, constant
inputs, on test images of Fashion-MNIST. `equal` compares the rates, scores and counts of runs in 1, 2, 3 and 7 parts
with those of one process, bit for bit; a test of `tests/parts/test_cluster.py` does so on a small network. `round`
runs the same images by two threads and by two workers, which are up before the clock starts and have run a batch, in
turns that change places from round to round. Every round is kept in `results/workers.jsonl` as soon as it is over, so
that several calls, of few minutes each, add up; the page shows the rounds with as many images as the last one has.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _data import folder
from calibration import folded
from spikewright.cluster import Cluster, cluster_of
from spikewright.conversion import Conversion
from spikewright.data import Dataset
from spikewright.engines import in_parts
from spikewright.parts import cut

T, BATCH, PARTS = 64, 32, (1, 2, 3, 7)
RESULT = Path(__file__).parent / "results" / "workers.md"
ROWS = RESULT.with_suffix(".jsonl")
WAYS = {"threads": "two threads of one process", "workers": "two local workers"}
Row = dict[str, Any]


def images(split: str, count: int) -> Dataset:
    data = folder("fashion-mnist")
    found = sw.load_data(str(data), split=split, shape=(1, 28, 28), preprocessing=sw.Preprocessing(scale=1 / 255))
    return found.take(count)


def run(conversion: Conversion, data: Dataset, cluster: Cluster | None) -> Any:
    return sw.measure(conversion, data, T, batch_size=BATCH, engine="event", quiet=True, explain=False, cluster=cluster)


def same(one: Any, other: Any) -> bool:
    """Whether scores, counts and the rate of every neuron are equal to the bit."""
    rates = all(np.array_equal(value, other.rates.values[name]) for name, value in one.rates.values.items())
    return bool(one.summary() == other.summary() and rates)


def equal_in_parts(conversion: Conversion, data: Dataset, cluster: Cluster) -> Row:
    """A row: whether runs in so many parts are equal to that of one process, which has one thread of torch as they."""
    torch.set_num_threads(1)
    alone, found, own = run(conversion, data, None), {}, in_parts.cut
    for count in PARTS:
        in_parts.cut = lambda samples, size, parts=count, start=0: cut(samples, size, parts, start)
        found[str(count)] = same(alone, run(conversion, data, cluster))
        print(f"  {count} parts: {'equal' if found[str(count)] else 'NOT equal'}", flush=True)
    in_parts.cut = own
    return {"equal": found, "images": len(data)}


def processor_time(cluster: Cluster) -> float:
    """Seconds of processor time of this process and of all workers so far."""
    return time.process_time() + sum(cluster.client.run(time.process_time).values())


def round_of(conversion: Conversion, data: Dataset, cluster: Cluster, first: str) -> Row:
    """A row: how long both ways took."""
    taken, spent = {}, {}
    for name in (first, *(way for way in WAYS if way != first)):
        before, started = processor_time(cluster), time.perf_counter()
        run(conversion, data, None if name == "threads" else cluster)
        taken[name] = time.perf_counter() - started
        spent[name] = processor_time(cluster) - before
        print(f"  {name}: {taken[name]:.1f} s, processors {spent[name]:.1f} s", flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    row = {"images": len(data), "seconds": taken, "processors": spent, "first": first}
    return {**row, "load": round(os.getloadavg()[0], 1), "machine": machine}


def rows() -> list[Row]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()] if ROWS.exists() else []


def note(row: Row) -> None:
    """Keep a row, and write the page."""
    with ROWS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    RESULT.write_text(page(rows()), encoding="utf-8")


def page(found: list[Row]) -> str:
    lines = ["# Two workers and two threads", ""]
    timed = [row for row in found if "seconds" in row]
    if timed:
        timed = [row for row in timed if row["images"] == timed[-1]["images"]]
        count = timed[0]["images"]
        lines += [
            f"The VGG on {count:,} images, T = {T}, workers already up; medians of {len(timed)} rounds, whose ways "
            "take turns.",
            "",
            "| | seconds | of processors | of processors, an image |",
            "|---|---|---|---|",
        ]
        for name, label in WAYS.items():
            wall, work = (statistics.median(row[what][name] for row in timed) for what in ("seconds", "processors"))
            lines.append(f"| {label} | {wall:.1f} | {work:.1f} | {work / count:.4f} |")
        more, work = (
            100 * (statistics.median(row[what]["workers"] / row[what]["threads"] for row in timed) - 1)
            for what in ("seconds", "processors")
        )
        loads = ", ".join(str(row["load"]) for row in timed)
        lines += [
            "",
            f"The workers differ by {more:+.0f} % in time, {work:+.0f} % in processor time, medians of the rounds' "
            "ratios (what else runs on the machine goes into the first more than into the second).",
            "",
            f"{timed[-1]['machine']}; load averages at the ends of the rounds: {loads}.",
            "",
        ]
    for row in [row for row in found if "equal" in row][-1:]:
        parts = {said: [count for count, one in row["equal"].items() if one is said] for said in (True, False)}
        if parts[True]:
            lines.append(
                f"Runs in {', '.join(parts[True])} parts on two workers are equal to one process bit for bit: scores, "
                f"counts and the rate of every neuron, on {row['images']:,} images, with one thread of torch each."
            )
        if parts[False]:
            lines.append(f"Runs in {', '.join(parts[False])} parts are NOT equal.")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["round", "equal"], default="round")
    parser.add_argument("--images", type=int, help="2,000 of a round, 320 that are compared, unless it is given")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    conversion = sw.convert(folded("vgg"), images("train", 1_000), "percentile:99.9")
    data = images("test", given.images or (2_000 if given.what == "round" else 320))
    with cluster_of("local:2") as cluster:
        if given.what == "equal":
            note(equal_in_parts(conversion, data, cluster))
            return
        for workers in (None, cluster):  # the network is sent, and both have run
            run(conversion, data.take(2 * BATCH), workers)
        for _ in range(given.rounds):
            done = sum("seconds" in row for row in rows())
            note(round_of(conversion, data, cluster, list(WAYS)[done % 2]))


if __name__ == "__main__":
    main()
