"""What a run of few timesteps costs beside the dense network, and how much of it is spent outside the native core.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/few_steps.py [--rounds 7] [cnn vgg resnet]

Processor time of one thread, batch 100, thresholds at the 99.9th percentile of each channel. *Dense* is the folded
network in torch, in the faster of both memory layouts; *run* is a whole ``simulate``; what is *outside* is not in the
native core: Python, torch, and the arrays that come and go. The least of the rounds, which take turns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import torch

import spikewright as sw
from engine import BATCH, trained
from spikewright.encoders import encoder
from spikewright.engines.event import simulation
from spikewright.forward import Forward

STEPS = (4, 8, 16, 32, 64)


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


def taken(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def row(name: str, rounds: int) -> str:
    graph, calibration, images = trained(name)
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("percentile:99.9,channels")
    network = sw.convert(graph, sw.calibrate(folded, calibration, [method]).scales(method)).spiking
    prepared = simulation.EventSimulation(network).prepare(encoder("constant"))
    timed = prepared.compiled.plan = TimedPlan(prepared.compiled.plan)
    dense, first = Forward(folded), torch.from_numpy(images)
    layouts = [first, first.contiguous(memory_format=torch.channels_last)]
    least = dict.fromkeys(("dense", *STEPS), float("inf"))
    outside = dict(least)
    for _ in range(rounds):
        least["dense"] = min(least["dense"], *(taken(lambda x=x: dense(x)) for x in layouts))  # type: ignore[misc]
        for steps in STEPS:
            timed.seconds = 0.0
            seconds = taken(lambda t=steps: sw.simulate(network, images, t, engine="event", quiet=True))  # type: ignore[misc]
            least[steps] = min(least[steps], seconds)
            outside[steps] = min(outside[steps], seconds - timed.seconds)
    cells = [f"{1000 * least['dense'] / BATCH:.3f}"]
    for steps in STEPS:
        share = 100 * outside[steps] / least[steps]
        cells.append(f"{1000 * least[steps] / BATCH:.3f} ({least[steps] / least['dense']:.1f}x, {share:.0f} %)")
    return "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["cnn", "vgg", "resnet"])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    simulation.cores = lambda: 1
    print(
        "| network | dense, ms an image | " + " | ".join(f"T = {steps} (of dense, outside)" for steps in STEPS) + " |"
    )
    print("|---" * (2 + len(STEPS)) + "|")
    for name in options.networks:
        print(row(name, options.rounds), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f}, one thread")


if __name__ == "__main__":
    main()
