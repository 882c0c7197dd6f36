"""How many points the spiking networks lose against the trained ones, by contract and number of timesteps.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/accuracy.py [--only WORDS] [--minutes M]

The models' folder holds ``definitions.py`` with ``fashion_cnn``, ``fashion_vgg`` and ``fashion_resnet.safetensors``;
``fashion_mobile.safetensors`` beside them, or in the folder MOBILE of the environment, is what
``examples/train_mobile.py`` makes. Networks that are not there are left out.

All 10,000 test images of Fashion-MNIST. Calibration, corrections and the choice of recipes (``_accuracy_rows.py``) see
training images only. Every row is run for three draws of the calibration images. What is done stands in
``results/accuracy.jsonl``, a line for each row and draw, and is not done again: the job may be stopped at any time and
goes on. ``--only`` runs rows whose key holds every one of some words (``--only resnet,static``), ``--minutes`` ends
behind the row in which so much time is over, and ``--report`` runs nothing and writes the page anew.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _accuracy_page import page, picture
from _accuracy_rows import NETWORKS, SEEDS, Row, rows
from _data import folder
from spikewright.data import Dataset
from spikewright.engines.windows import levels_of, one_step, schedule_of
from spikewright.errors import SpikewrightError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.measures.synops import synops

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "accuracy.jsonl"
CALIBRATION = 1024
"""Training images that a draw has."""
CORRECTION, TRAINING = 256, 512
"""How many of them correct, and how many where weights are trained."""
FACTORIES = {"cnn": "Cnn", "vgg": "Vgg", "resnet": "ResNet"}


def models() -> Path:
    given = os.environ.get("SPIKEWRIGHT_MODELS")
    if not given:
        raise SystemExit("set SPIKEWRIGHT_MODELS to the folder with the trained networks")
    return Path(given)


def network(name: str) -> Graph | None:
    """A trained network, or None where its weights are not there."""
    if name == "mobile":
        weights = Path(os.environ.get("MOBILE", models())) / "fashion_mobile.safetensors"
        code = Path(__file__).parent.parent / "examples" / "train_mobile.py"
        spec = f"{code}:MobileNet"
    else:
        weights = models() / f"fashion_{name}.safetensors"
        spec = f"{models() / 'definitions.py'}:{FACTORIES[name]}"
    return sw.load(spec, weights=weights, shape=(1, 28, 28)) if weights.exists() else None


@cache
def images(split: str, units: int = 1) -> Dataset:
    """The images, from 0 to so many units."""
    steps = sw.Preprocessing(scale=units / 255)
    return sw.load_data(str(folder("fashion-mnist")), split=split, shape=(1, 28, 28), preprocessing=steps)


def analog_right(graph: Graph) -> np.ndarray:
    """Which test images the trained network knows, ``(N,)``."""
    return np.concatenate([run(graph, x)["output"].argmax(1) == y for x, y in images("test").batches(500)])


def answered(conversion: sw.Conversion, timesteps: int) -> sw.Run:
    """A run over the test images whose last answers are those after T steps: for windows, as one step of engines."""
    schedule = schedule_of(conversion.spiking)
    if schedule == "free":
        return sw.simulate(conversion, images("test"), timesteps, batch_size=100, quiet=True)
    units, _ = levels_of(schedule, timesteps)
    return sw.simulate(one_step(conversion.spiking, timesteps), images("test", units), 1, batch_size=100, quiet=True)


def known() -> dict[str, dict[str, Any]]:
    """What was measured, by row and seed."""
    if not RECORD.exists():
        return {}
    lines = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    return {f"{line['key']}, seed {line['seed']}": line for line in lines}


def note(line: Mapping[str, Any]) -> None:
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Job:
    """One network: what it knows and its statistics are worked out once, when they are first needed."""

    def __init__(self, name: str, graph: Graph) -> None:
        self.name, self.graph = name, graph
        self.folded, _ = sw.prepare(graph)
        self.right = cache(lambda: analog_right(self.folded))
        self.statistics = cache(self._statistics)

    def draw(self, seed: int) -> Dataset:
        return images("train").sample(CALIBRATION, seed)

    def _statistics(self, seed: int) -> tuple[sw.Statistics, float]:
        """Of all methods of the network's rows, and the CPU time that they took."""
        methods = []
        for text in dict.fromkeys(row.recipe.method for row in rows() if row.network == self.name):
            try:
                methods.append(sw.threshold_method(text))
            except SpikewrightError as error:
                print(error)
        start = time.process_time()
        return sw.calibrate(self.folded, self.draw(seed), methods), time.process_time() - start

    def measured(self, row: Row, seed: int) -> dict[str, Any]:
        """One row for one draw.

        ``lost`` are the images that only the trained network knows, ``won`` those that only the spiking one knows.
        ``operations_per_mac`` are the synaptic operations of spikes, all T steps, over the multiply-accumulates of the
        trained network: the analog input's own are not among them, and few-spike windows, run as one step, do not tell
        them.
        """
        statistics, calibrating = self.statistics(seed)
        start = time.process_time()
        method = sw.threshold_method(row.recipe.method)
        conversion = sw.convert(self.graph, statistics, method, neurons=row.recipe.neurons or None)
        if row.recipe.correct:
            trains = any(text.startswith("weights") for text in row.recipe.correct)
            samples = TRAINING if trains else CORRECTION
            conversion = sw.correct(conversion, self.draw(seed), row.recipe.correct, samples=samples, seed=seed)
        correcting, analog, start = time.process_time() - start, self.right(), time.process_time()
        found = answered(conversion, row.timesteps)
        simulating = time.process_time() - start
        right = found.output[:, -1].argmax(1) == found.labels
        work = synops(conversion.spiking, {name: total / len(right) for name, total in found.sent.items()})
        operations = sum(layer.total for layer in work.values()) / sum(map(self.folded.macs, self.folded))
        return {
            "key": row.key,
            "seed": seed,
            "images": len(right),
            "analog": round(100 * float(analog.mean()), 2),
            "lost": int((analog & ~right).sum()),
            "won": int((right & ~analog).sum()),
            "spikes": round(float(sum(each.sum() for each in found.counts.values())) / len(right)),
            **({"operations_per_mac": round(operations, 3)} if schedule_of(conversion.spiking) != "few_spike" else {}),
            "calibrating_s": round(calibrating, 1),
            "correcting_s": round(correcting, 1),
            "simulating_s": round(simulating, 1),
            "simd": instructions(found.engine),
            "load": round(os.getloadavg()[0], 1),
        }


def instructions(engine: str) -> str:
    """The instruction set that an engine ran with: of the native core the one it chooses, of all else torch's."""
    if engine.startswith("event"):
        from spikewright.engines.event import _native

        return str(_native.instruction_sets()[0])
    return f"torch, {torch.backends.cpu.get_cpu_capability()}"


def waiting(words: list[str]) -> Iterator[tuple[Row, int]]:
    """Rows that were not measured yet, the first draw of all of them first."""
    done = known()
    for seed in SEEDS:
        for row in sorted(rows(), key=lambda row: (row.goal is None, NETWORKS.index(row.network), row.timesteps)):
            if f"{row.key}, seed {seed}" not in done and all(word in row.key for word in words):
                yield row, seed


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--only", default="")
    arguments.add_argument("--minutes", type=float, default=float("inf"))
    arguments.add_argument("--report", action="store_true")
    given = arguments.parse_args()
    end, jobs = time.monotonic() + 60 * given.minutes, {}
    for row, seed in () if given.report else waiting([word for word in given.only.split(",") if word]):
        if time.monotonic() > end:
            break
        if row.network not in jobs:
            graph = network(row.network)
            jobs[row.network] = graph and Job(row.network, graph)
        job = jobs[row.network]
        if job is None:
            continue
        try:
            line = job.measured(row, seed)
        except SpikewrightError as error:
            print(f"{row.key}: {error}", flush=True)
            continue
        note(line)
        print(f"{row.key}, seed {seed}: {(line['lost'] - line['won']) / line['images']:.2%} lost", flush=True)
    found = known()
    (RESULTS / "accuracy.md").write_text(page(found), encoding="utf-8")
    (RESULTS / "accuracy.svg").write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
