"""Two workers of a cluster on this machine against two threads of one process: the same simulation, the same cores.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/workers.py [--images N] [--rounds N]

The trained VGG of SPIKEWRIGHT_MODELS (`fashion_vgg.safetensors`, with `definitions.py` beside it), T = 64, constant
inputs, on test images of Fashion-MNIST. The workers are up before the clock starts; both ways take turns. First the
rates, scores and counts of runs in 1, 2, 3 and 7 parts are compared with those of one process, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

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


def images(split: str, count: int) -> Dataset:
    data = folder("fashion-mnist")
    found = sw.load_data(str(data), split=split, shape=(1, 28, 28), preprocessing=sw.Preprocessing(scale=1 / 255))
    return found.take(count)


def run(conversion: Conversion, data: Dataset, cluster: Cluster | None) -> Any:
    return sw.measure(conversion, data, T, batch_size=BATCH, engine="event", quiet=True, cluster=cluster)


def same(one: Any, other: Any) -> bool:
    """Whether scores, counts and the rate of every neuron are equal to the bit."""
    rates = all(np.array_equal(value, other.rates.values[name]) for name, value in one.rates.values.items())
    return bool(one.summary() == other.summary() and rates)


def equal_in_parts(conversion: Conversion, data: Dataset, cluster: Cluster) -> bool:
    alone, found, own = run(conversion, data, None), True, in_parts.cut
    for count in PARTS:
        in_parts.cut = lambda samples, size, parts=count, start=0: cut(samples, size, parts, start)
        found = found and same(alone, run(conversion, data, cluster))
    in_parts.cut = own
    return found


def processor_time(cluster: Cluster) -> float:
    """Seconds of processor time of this process and of all workers so far."""
    return time.process_time() + sum(cluster.client.run(time.process_time).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    conversion = sw.convert(folded("vgg"), images("train", 1_000), "percentile:99.9")
    data = images("test", given.images)
    taken: dict[str, list[float]] = {"threads": [], "workers": []}
    spent: dict[str, list[float]] = {"threads": [], "workers": []}
    with cluster_of("local:2") as cluster:
        equal = equal_in_parts(conversion, data.take(min(320, given.images)), cluster)
        for _ in range(given.rounds):
            for name, workers in (("threads", None), ("workers", cluster)):
                before, started = processor_time(cluster), time.perf_counter()
                run(conversion, data, workers)
                taken[name].append(time.perf_counter() - started)
                spent[name].append(processor_time(cluster) - before)
                print(f"  {name}: {taken[name][-1]:.1f} s, processors {spent[name][-1]:.1f} s", flush=True)
    more, more_work = (
        100 * (statistics.median(w / t for w, t in zip(some["workers"], some["threads"], strict=True)) - 1)
        for some in (taken, spent)
    )
    rows = [
        f"| {label} | {statistics.median(taken[name]):.1f} | {statistics.median(spent[name]):.1f} | "
        f"{statistics.median(spent[name]) / given.images:.4f} |"
        for name, label in (("threads", "two threads of one process"), ("workers", "two local workers"))
    ]
    lines = [
        "# Two workers and two threads",
        "",
        f"The VGG on {given.images:,} images, T = {T}, workers already up; medians of {given.rounds} rounds in turns.",
        "",
        "| | seconds | of processors | of processors, an image |",
        "|---|---|---|---|",
        *rows,
        "",
        f"The workers differ by {more:+.0f} % in time, {more_work:+.0f} % in processor time, medians of the rounds' "
        "ratios (what else runs on the machine goes into the first more than into the second). "
        f"Runs in {', '.join(map(str, PARTS))} parts are {'equal' if equal else 'NOT equal'} to one "
        "process bit for bit.",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}.",
        "",
    ]
    RESULT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
