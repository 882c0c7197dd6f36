"""What a Speck-class chip makes of four networks, event by event, and how fast that is simulated.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER CHIP_MODELS=FOLDER python benchmarks/chip.py [--only WORDS]
        [--samples N] [--choose NETWORK] [--report]

``fashion_cnn`` is in the models' folder, as for ``benchmarks/accuracy.py``;
``mnist``, ``vgg`` and ``resnet`` are what ``examples/train_chip.py`` writes as ``mnist.safetensors`` and so on into the
folder CHIP_MODELS. Networks that are not there are left out.

All 10,000 test images, T = 64 steps of 1 ms: the stepped network in floats on the same events binned to steps, and the
chip in integers event by event, in the stated order and with simultaneous events permuted. Calibration sees 1,024
training images; the rate of the trains and the gain were chosen on the last images of them all, by ``--choose``. What
is done stands in ``results/chip.jsonl``, a line for each row, and is not done again; ``--only`` runs rows whose key
holds every one of some words, ``--report`` runs nothing and writes the page anew. Speed is synaptic operations in a
second of processor time on one thread, so that other work on the machine disturbs it least; "whole" is the clock's time
for all images on all cores, trains included.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import spikewright as sw
from _chip_page import page
from _data import folder
from accuracy import FACTORIES, models
from spikewright.chips.quantise import Quantised, quantise
from spikewright.chips.simulation.measuring import measure_chip
from spikewright.chips.simulation.native import ChipSimulation
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.chips.simulation.timeline import timeline
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.data import Dataset

RECORD = Path(__file__).parent / "results" / "chip.jsonl"
EXAMPLE = Path(__file__).parent.parent / "examples" / "train_chip.py"
METHOD, CALIBRATION, TIMED = "percentile:99.9,channels", 1024, 50
EXAMPLES = {"mnist": "Mnist", "vgg": "Vgg", "resnet": "ResNet"}
FITS = ("fashion_vgg", "vgg", "fashion_resnet", "resnet")
"""Networks of which the page says whether they fit."""
CHOSEN: dict[str, tuple[float, str | None]] = {
    "fashion_cnn": (2.0, "gain:0.5"),
    "mnist": (1.0, "gain:0.5"),
    "vgg": (1.0, "gain:0.5"),
    "resnet": (1.0, None),
}
"""By network, events a step of a white pixel, and the correction of λ: the most right answers, of these the fewest
operations."""
PLAIN: tuple[float, str | None] = (1.0, None)
RATES, GAINS, HELD_OUT = (1.0, 2.0, 4.0), (None, "gain:0.5", "gain:0.25"), 200
"""What there is to choose from, and on how many of the last training images."""
PERMUTED = ChipRules(permute=1)
KINDS = {
    "stated": (PictureTrains(), ChipRules()),
    "permuted": (PictureTrains(), PERMUTED),
    "simultaneous": (PictureTrains(spread=False), ChipRules()),
    "simultaneous permuted": (PictureTrains(spread=False), PERMUTED),
    "common rule": (PictureTrains(), ChipRules()),
}
"""What the chip is sent, and the order in which it works that off."""


def graph_of(name: str) -> sw.Graph | None:
    """A trained network, or None where its weights are not there."""
    if name in EXAMPLES:
        weights, spec = Path(os.environ.get("CHIP_MODELS", "")) / f"{name}.safetensors", f"{EXAMPLE}:{EXAMPLES[name]}"
    else:
        made = f"{models() / 'definitions.py'}:{FACTORIES[name.removeprefix('fashion_')]}"
        weights, spec = models() / f"{name}.safetensors", made
    return sw.load(spec, weights=weights, shape=(1, 28, 28)) if weights.is_file() else None


@cache
def images(data: str, split: str) -> tuple[Any, Any]:
    """Pixels from 0 to 1, and labels."""
    steps = sw.Preprocessing(scale=1 / 255)
    found = sw.load_data(str(folder(data)), split=split, shape=(1, 28, 28), preprocessing=steps)
    x, y = next(iter(found.batches(60_000)))
    return x, y


def some(name: str, split: str, begin: int | None, end: int | None) -> Dataset:
    """Some of the images that a network is for."""
    x, y = images("mnist" if name == "mnist" else "fashion-mnist", split)
    return sw.ArrayDataset(x[begin:end], y[begin:end])


@cache
def prepared(name: str, rate: float, correction: str | None) -> tuple[sw.Conversion, Quantised, Quantised]:
    """A conversion, and what the chip runs of it by the least loss rule and by the common one."""
    graph, calibration = graph_of(name), some(name, "train", 0, CALIBRATION)
    assert graph is not None
    conversion = sw.convert(graph, calibration, METHOD, readout="count", correct=correction)
    best = quantise(conversion, "speck2f", calibration, rate=rate)
    return conversion, best, quantise(conversion, "speck2f", rate=rate)


def row(name: str, setting: str, kind: str, samples: int) -> dict[str, Any]:
    """One row of the table."""
    conversion, best, common = prepared(name, *(CHOSEN[name] if setting == "chosen" else PLAIN))
    data, before = some(name, "test", 0, samples), (time.perf_counter(), time.process_time())
    if kind == "stepped":
        trains = PictureTrains()
        encoder = TrainFrames(best.network, trains)
        found = sw.measure(
            conversion, data, trains.timesteps, encoder=encoder, explain=False, engine="event", quiet=True
        )
        sent = sum(layer.firing.mean * trains.timesteps * prod(layer.shape) for layer in found.layers.values())
        synops = sum(layer.total for layer in found.synops.values())
        told = {"accuracy": float(found.accuracy[-1]), "spikes": sent, "synops": synops}
        told["trained"] = float(found.analog_accuracy)
    else:
        on_chip = measure_chip(common if kind == "common rule" else best, data, *KINDS[kind])
        assert on_chip.accuracy is not None
        sent = sum(layer.sent for layer in on_chip.layers.values())
        told = {"accuracy": float(on_chip.accuracy[-1]), "spikes": sent, "synops": on_chip.synops}
    taken = {"seconds": time.perf_counter() - before[0], "processor": time.process_time() - before[1]}
    return {"key": f"{name} {setting} {kind}", "samples": samples, **told, **taken}


def choices(name: str) -> Iterator[dict[str, Any]]:
    """What the chip makes of the last training images, in the stated order, by rate and gain."""
    data = some(name, "train", -HELD_OUT, None)
    for rate in RATES:
        for gain in GAINS:
            found = measure_chip(prepared(name, rate, gain)[1], data)
            assert found.accuracy is not None
            told = {"accuracy": float(found.accuracy[-1]), "synops": found.synops}
            yield {"key": f"{name} choice", "samples": HELD_OUT, "rate": rate, "gain": gain or "as it is", **told}


def speed() -> float:
    """Millions of synaptic operations in a second of processor time, on one thread: the best of five."""
    _, best, _ = prepared("fashion_cnn", *CHOSEN["fashion_cnn"])
    trains, source, chip = PictureTrains(), best.network.inputs[0], ChipSimulation(best.network, threads=1)
    x, _ = next(iter(some("fashion_cnn", "test", 0, TIMED).batches(TIMED)))
    shapes = {source.name: source.shape}
    lines = [
        timeline({source.name: trains.of(picture, source, number)}, shapes, trains.beats(), False)
        for number, picture in enumerate(x)
    ]
    found = []
    for _ in range(5):
        started = time.thread_time()
        run = chip.run(lines)
        found.append(run.synops.sum() / (time.thread_time() - started) / 1e6)
    return float(max(found))


def note(told: dict[str, Any]) -> dict[str, Any]:
    """Print a line and keep it."""
    print(json.dumps(told), flush=True)
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--choose", metavar="NETWORK")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    if given.choose:
        for told in choices(given.choose):
            note(told)
        return
    done = [json.loads(line) for line in RECORD.read_text().splitlines()] if RECORD.exists() else []
    every = sorted(done, key=lambda one: one["samples"])  # of rows with one key that with the most images counts
    rows = {one["key"]: one for one in every if not one["key"].endswith("choice")}
    words = list(filter(None, given.only.split(",")))
    for name in CHOSEN:
        present = not given.report and graph_of(name) is not None
        settings = ("chosen",) if CHOSEN[name] == PLAIN else ("chosen", "plain")
        for key in (f"{name} {setting} {kind}" for setting in settings for kind in ("stepped", *KINDS)):
            found = key in rows and rows[key]["samples"] >= given.samples
            if present and not found and all(word in key for word in words):
                rows[key] = note(row(name, *key.split(" ", 2)[1:], given.samples))  # type: ignore[call-arg]
    tried = [one for one in done if one["key"].endswith("choice")]
    page(rows, tried, CHOSEN, {title: graph for title in FITS if (graph := graph_of(title))}, METHOD, speed())


if __name__ == "__main__":
    main()
