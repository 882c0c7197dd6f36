"""What a run of few timesteps costs beside the dense network, and how much of it is spent outside the native core.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/few_steps.py [--rounds 7] [cnn vgg resnet]

Processor time of one thread, the least of the rounds, which take turns. Writes ``results/few_steps.md``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _networks import BATCH, CHANNELS, processor, spiking, taken, trained
from spikewright.encoders import encoder
from spikewright.engines.event import simulation
from spikewright.forward import Forward

STEPS = (4, 8, 16, 32, 64)
BATCHES = 5
RESULT = Path(__file__).parent / "results" / "few_steps.md"


class TimedPlan:
    """A plan of the native core that says how long it ran."""

    def __init__(self, plan: Any) -> None:
        self.plan, self.seconds = plan, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plan, name)

    def run(self, *args: Any) -> Any:
        """The run, timed."""
        started = time.process_time()
        found = self.plan.run(*args)
        self.seconds += time.process_time() - started
        return found


def row(name: str, rounds: int) -> str:
    graph, calibration, images = trained(name)
    folded, _ = sw.prepare(graph)
    network = spiking(graph, calibration, CHANNELS)
    prepared = simulation.EventSimulation(network).prepare(encoder("constant"))
    timed = prepared.compiled.plan = TimedPlan(prepared.compiled.plan)
    dense, first = Forward(folded), torch.from_numpy(images)
    layouts = [first, first.contiguous(memory_format=torch.channels_last)]
    many = np.concatenate([images] * BATCHES)
    least = dict.fromkeys(("dense", *STEPS), float("inf"))
    outside = dict(least)
    for _ in range(rounds):
        least["dense"] = min(least["dense"], *(taken(lambda x=x: dense(x)) for x in layouts))  # type: ignore[misc]
        for steps in STEPS:
            timed.seconds = 0.0
            seconds = taken(lambda t=steps: sw.simulate(network, many, t, engine="event", quiet=True)) / BATCHES  # type: ignore[misc]
            least[steps] = min(least[steps], seconds)
            outside[steps] = min(outside[steps], seconds - timed.seconds / BATCHES)
    cells = [f"{1000 * least['dense'] / BATCH:.3f}"]
    for steps in STEPS:
        share = 100 * outside[steps] / least[steps]
        cells.append(f"{1000 * least[steps] / BATCH:.3f} ({least[steps] / least['dense']:.1f}x, {share:.1f} %)")
    return "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["cnn", "vgg", "resnet"])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    simulation.cores = lambda: 1
    heads = " | ".join(f"T = {steps} (of dense, outside)" for steps in STEPS)
    lines = [
        "# Few timesteps",
        "",
        "By `benchmarks/few_steps.py`. Milliseconds an image, processor time of one thread, the least of",
        f"{options.rounds} rounds that take turns: a whole `simulate` of {BATCHES} batches of {BATCH} images, float32,",
        "thresholds at the 99.9th percentile of each channel. In brackets: over *dense*, the folded network in torch",
        "in the faster of both memory layouts; and how much of it is spent *outside* the native core, in Python and",
        "torch.",
        "",
        f"| network | dense, ms | {heads} |",
        "|---" * (2 + len(STEPS)) + "|",
    ]
    for name in options.networks:
        lines.append(row(name, options.rounds))
        print(lines[-1], flush=True)
    lines += ["", f"{processor()}, load {os.getloadavg()[0]:.1f}.", ""]
    RESULT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
