"""What each kind of neuron costs in the event engine, against plain single spikes on the same network, in turns.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/neurons.py [--rounds 7] [--networks cnn,vgg]

Networks and images are those of `benchmarks/engine.py`; thresholds stand at the 99.9th percentile of each channel.
Biases and initial potentials that are tables are drawn from a seed: what they hold costs nothing, that there are such
tables might. One thread, since other work on the machine disturbs it least, and processor time for the same reason.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch

import spikewright as sw
from _networks import CONSTANT, processor, trained
from spikewright.engines.event.simulation import EventSimulation
from spikewright.graph import Graph
from spikewright.nodes import IF

RESULT = Path(__file__).parent / "results" / "neurons.md"
BATCH, STEPS = 20, (16, 64)
KINDS = {
    "single spikes": {},
    "signed": {"signed": True},
    "no debt": {"no_debt": True},
    "signed, no debt": {"signed": True, "no_debt": True},
    "potentials, one a neuron": {"v_init": "neurons"},
    "bias per step": {"biases": ("step_bias",)},
    "bias per step and once fired": {"biases": ("step_bias", "fired_bias")},
    "bursts of up to 4": {"max_spikes": 4},
    "signed bursts of up to 4": {"signed": True, "max_spikes": 4},
}
PAGE = """# What kinds of neurons cost

By `benchmarks/neurons.py`: the event engine in single precision, one thread, batch {batch}, constant input,
thresholds at the 99.9th percentile of each channel. Processor time an image in milliseconds, medians of {rounds}
rounds taken in turns; the ratio to single spikes is the median of the rounds' ratios, with its quartiles. Spikes: all
that are sent, of either sign, as a multiple of the single ones. Layers that gather: of those that receive something.

| network | T | neurons | ms | ratio | spikes | layers that gather |
|---|---|---|---|---|---|---|
{rows}

{machine}, {cores} cores. Load average before: {before:.1f}; after: {after:.1f}.
"""


def with_kind(network: Graph, kind: str) -> Graph:
    """The network with another kind of neurons."""
    random, settings = np.random.default_rng(0), dict(KINDS[kind])
    biases, v_init = settings.pop("biases", ()), settings.pop("v_init", "")
    changed = []
    for node in network.of_type(IF):
        shape, own = network.shapes[node.name], dict(settings)
        unit = np.broadcast_to(node.threshold, shape[:1]).astype(np.float32)
        if "step_bias" in biases:
            own["step_bias"] = random.uniform(-0.02, 0.02, (32, shape[0])).astype(np.float32) * unit
        if "fired_bias" in biases:
            own["fired_bias"] = random.uniform(-0.02, 0.02, shape[0]).astype(np.float32) * unit
        if v_init:
            spread = node.spread(node.threshold, shape)
            own["v_init"] = (random.uniform(0.4, 0.6, shape) * spread).astype(np.float32)
        changed.append(node.replace(**own))
    return network.replaced(*changed)


def compare(name: str, timesteps: int, rounds: int) -> list[str]:
    """The rows of one network and T."""
    graph, calibration, images = trained(name)
    network, x = sw.convert(graph, calibration, "percentile:99.9,channels").spiking, torch.from_numpy(images[:BATCH])
    engines = {kind: EventSimulation(with_kind(network, kind), threads=1) for kind in KINDS}
    sent, gathers = {}, {}
    for kind, engine in engines.items():
        run = engine.run(x, timesteps, CONSTANT, ("events",))  # which prepares it, and counts
        sent[kind] = sum(len(events.value) for events in run.events.values())
        gathering = engine.prepare(CONSTANT).compiled.plan.gathering()
        gathers[kind] = f"{sum(gathering)} of {len(gathering)}"
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, engine in engines.items():
            started = time.process_time()
            engine.run(x, timesteps, CONSTANT)
            taken[kind].append(1000 * (time.process_time() - started) / len(x))
    rows, usual = [], next(iter(KINDS))
    for kind, times in taken.items():
        ratios = sorted(own / single for own, single in zip(times, taken[usual], strict=True))
        quarter = len(ratios) // 4
        ratio = f"{statistics.median(ratios):.2f} ({ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})"
        cells = [name, str(timesteps), kind, f"{statistics.median(times):.2f}", ratio]
        rows.append("| " + " | ".join([*cells, f"{sent[kind] / sent[usual]:.2f}", gathers[kind]]) + " |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", default="cnn,vgg,resnet")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    before, rows = os.getloadavg()[0], []
    for name in given.networks.split(","):
        for timesteps in STEPS:
            rows += compare(name, timesteps, given.rounds)
    facts = {"batch": BATCH, "rounds": given.rounds, "rows": "\n".join(rows), "machine": processor()}
    text = PAGE.format(**facts, cores=os.cpu_count(), before=before, after=os.getloadavg()[0])
    given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
