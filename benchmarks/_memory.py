"""By how much a process grows: for ``engine.py``, which runs this in a process of its own for every row (Linux).

python benchmarks/_memory.py grow NETWORK WAY
python benchmarks/_memory.py large NETWORK
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _networks import CHANNELS, CONSTANT, OURS, ours, peer, spiking, taken, trained
from _zoo import zoo
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.reference import Simulation
from spikewright.forward import Forward

Numbers = dict[str, Any]


def grow(name: str, way: str) -> Numbers:
    """MB by which this process grows at most in a run of T = 64, over its size after one of two timesteps."""
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    run = ours(network, way) if way in OURS else peer(network, way)
    run(x, 2)
    grown = grown_since_now()
    run(x, 64)
    return {"MB": grown()}


def large(name: str) -> Numbers:
    """A network for pictures of 224 by 224: compiling, runs of one, and by how much memory grows."""
    made, shape = zoo(name)
    graph = sw.load(made, shape=shape, verify=False)
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    network, first = spiking(graph, x, CHANNELS), torch.from_numpy(x[:1])
    folded, _ = sw.prepare(graph)
    forward = Forward(folded)
    grown = grown_since_now()
    engine = EventSimulation(network, threads=1)
    compiling = taken(lambda: engine.prepare(CONSTANT))
    found: Numbers = {"compiling_s": compiling, "event": 1000 * taken(lambda: engine.run(first, 16, CONSTANT))}
    found |= {"MB": grown(), "again": 1000 * taken(lambda: engine.run(first, 16, CONSTANT))}
    reference = Simulation(network)
    found["reference"] = 1000 * taken(lambda: reference.run(first, 16, CONSTANT))
    found["dense"] = 1000 * min(taken(partial(forward, first)) for _ in range(3))
    return {**found, "macs": sum(map(folded.macs, folded)), "weights_MB": 4 * folded.parameters / 2**20}


def grown_since_now() -> Callable[[], int]:
    """Tells the MB by which this process has grown at most since then."""

    def kilobytes(what: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1])

    Path("/proc/self/clear_refs").write_text("5")  # the largest size so far is forgotten
    before = kilobytes("VmRSS")
    return lambda: round((kilobytes("VmHWM") - before) / 1024)


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, *given = sys.argv[1:]
    print(json.dumps(grow(*given) if what == "grow" else large(*given)))
