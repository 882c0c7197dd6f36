"""What a Speck-class chip makes of the small CNN, event by event, and how fast that is simulated.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/chip.py [--only WORDS] [--samples N] [--report]

All 10,000 test images of Fashion-MNIST, T = 64 steps of 1 ms: the stepped network in floats on the same events binned
to steps, and the chip in integers event by event, in the stated order and with simultaneous events permuted.
Calibration sees 1,024 training images; the rate of the trains and the gain were chosen on the last 200 of them all.
What is done stands in ``results/chip.jsonl``, a line for each row, and is not done again; ``--only`` runs rows whose
key holds every one of some words. Speed is synaptic operations in a second of processor time on one thread, so that
other work on the machine disturbs it least; "whole" is the clock's time for all images on all cores, trains included.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import spikewright as sw
from accuracy import images, network
from engine import processor
from spikewright.chips.quantise import Quantised, quantise
from spikewright.chips.simulation.measuring import measure_chip
from spikewright.chips.simulation.native import ChipSimulation
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.chips.simulation.timeline import timeline
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.data import Dataset

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "chip.jsonl"
METHOD, CALIBRATION, TIMED = "percentile:99.9,channels", 1024, 50
SETTINGS = {"chosen": (2.0, "gain:0.5"), "plain": (1.0, None)}
"""Events a step of a white pixel, and the correction of λ."""
KINDS = ("stepped", "stated", "permuted", "common rule")
PAGE = """# A chip, event by event

By `benchmarks/chip.py`: the small CNN of the field's tutorials (`fashion_cnn`, 19,338 parameters) on speck2f,
Fashion-MNIST, {samples:,} test images, T = 64 steps of 1 ms, regular trains, {method}. *Stepped* is the network of
floats that steps, on the very same events binned to steps; *stated* and *permuted* are the chip in integers, event by
event, in the stated order and with the events of each microsecond in an order that is drawn at every core. *Common
rule*: in the stated order, factors by the rule that everything just fits; all others by the least loss on 64
calibration images.

| trains | network | accuracy, % | against stepped | spikes | synaptic operations | processor, s | whole, s |
|---|---|---|---|---|---|---|---|
{rows}

The trained network: {trained:.2f} %. *Chosen*: 2 events a step for a white pixel, λ of all layers twice that of the
method (`gain:0.5`), both chosen on the last 200 training images; *plain*: 1 event a step, λ as they are.

Spikes and operations are of an image. Processor time is of all threads together, trains included; *whole* is the
clock's. Speed of the native core: {speed:,.0f} million synaptic operations a second of processor time on one thread.

{machine}, {cores} cores, shared with other work: load average {load:.1f} at the end.
"""


def some(split: str, count: int) -> Dataset:
    """The first images of a part."""
    x, y = next(iter(images(split).batches(count)))
    return sw.ArrayDataset(x, y)


@cache
def prepared(setting: str) -> tuple[sw.Conversion, Quantised, Quantised]:
    """A conversion, and what the chip runs of it by the least loss rule and by the common one."""
    graph = network("cnn")
    if graph is None:
        raise SystemExit("SPIKEWRIGHT_MODELS must name a folder with fashion_cnn.safetensors")
    rate, correction = SETTINGS[setting]
    calibration = some("train", CALIBRATION)
    conversion = sw.convert(graph, calibration, METHOD, readout="count", correct=correction)
    best = quantise(conversion, "speck2f", calibration, rate=rate)
    return conversion, best, quantise(conversion, "speck2f", rate=rate)


def row(setting: str, kind: str, samples: int) -> dict[str, Any]:
    """One row of the table."""
    conversion, best, common = prepared(setting)
    data, trains, before = some("test", samples), PictureTrains(), (time.perf_counter(), time.process_time())
    if kind == "stepped":
        encoder = TrainFrames(best.network, trains)
        found = sw.measure(
            conversion, data, trains.timesteps, encoder=encoder, explain=False, engine="event", quiet=True
        )
        sent = sum(layer.firing.mean * trains.timesteps * _size(layer.shape) for layer in found.layers.values())
        told = {"accuracy": float(found.accuracy[-1]), "spikes": sent, "synops": _synops(found)}
        told["trained"] = float(found.analog_accuracy)
    else:
        rules = ChipRules(permute=1) if kind == "permuted" else ChipRules()
        on_chip = measure_chip(common if kind == "common rule" else best, data, trains, rules)
        assert on_chip.accuracy is not None
        sent = sum(layer.sent for layer in on_chip.layers.values())
        told = {"accuracy": float(on_chip.accuracy[-1]), "spikes": sent, "synops": on_chip.synops}
    taken = {"seconds": time.perf_counter() - before[0], "processor": time.process_time() - before[1]}
    return {"key": f"{setting} {kind}", "samples": samples, **told, **taken}


def _size(shape: Any) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _synops(measures: sw.Measures) -> float:
    return sum(synops.total for synops in measures.synops.values())


def speed() -> float:
    """Millions of synaptic operations in a second of processor time, on one thread: the best of five."""
    _, best, _ = prepared("chosen")
    trains, source, chip = PictureTrains(), best.network.inputs[0], ChipSimulation(best.network, threads=1)
    x, _ = next(iter(some("test", TIMED).batches(TIMED)))
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


def report(rows: dict[str, dict[str, Any]], fast: float) -> None:
    lines = []
    for setting in SETTINGS:
        stepped = rows.get(f"{setting} stepped")
        for kind in KINDS:
            own = rows.get(f"{setting} {kind}")
            if own is None or stepped is None:
                continue
            against = "" if kind == "stepped" else f"{100 * (own['accuracy'] - stepped['accuracy']):+.2f}"
            cells = [setting, kind, f"{100 * own['accuracy']:.2f}", against, f"{own['spikes']:,.0f}"]
            cells += [f"{own['synops'] / 1e6:.1f} M", f"{own['processor']:.0f}", f"{own['seconds']:.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
    facts = {"rows": "\n".join(lines), "method": METHOD, "machine": processor(), "cores": os.cpu_count()}
    first = next(iter(rows.values()))
    trained = next(100 * one["trained"] for one in rows.values() if "trained" in one)
    text = PAGE.format(**facts, samples=first["samples"], trained=trained, speed=fast, load=os.getloadavg()[0])
    (RESULTS / "chip.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    done = [json.loads(line) for line in RECORD.read_text().splitlines()] if RECORD.exists() else []
    rows = {one["key"]: one for one in done if one["samples"] == given.samples}
    for key in (f"{setting} {kind}" for setting in SETTINGS for kind in KINDS):
        if given.report or key in rows or not all(word in key for word in filter(None, given.only.split(","))):
            continue
        setting, kind = key.split(" ", 1)
        rows[key] = row(setting, kind, given.samples)
        print(json.dumps(rows[key]), flush=True)
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[key]) + "\n")
    report(rows, speed())


if __name__ == "__main__":
    main()
