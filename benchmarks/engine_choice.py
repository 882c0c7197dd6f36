"""Whether ``engine="auto"`` takes the faster engine, and the constants of its cost model.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/engine_choice.py [--minutes M] [--only WORDS]

Every engine that runs a case, in turns, processor time of one thread, the least of the rounds, plans kept. Cases:
trained networks and a zoo of random weights, by T, batch, encoder, kind of neurons and what is recorded. What is done
stands in ``results/engine_choice.jsonl``, a line a case with the amounts of work that the model weighs, and is not done
again; ``--again`` forgets all, ``--recount`` counts the amounts anew. ``--fit`` prints constants for
``engines/cost.py``: those with the least squares of relative errors; ``--refit`` writes them there. ``--left-out`` says
how each network is judged by constants that were fitted to all others. The page ``results/engine_choice.md`` is written
from the lines and from the model as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from _networks import processor, samples, taken
from _zoo import ZOO, zoo
from accuracy import network
from spikewright.encoders import encoder
from spikewright.engines.cost import EVENT, REFERENCE, seconds
from spikewright.engines.event import simulation
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.recording import Record
from spikewright.engines.work import event_work, reference_work
from spikewright.errors import SpikewrightError

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "engine_choice.jsonl"
COST = Path(__file__).parent.parent / "src" / "spikewright" / "engines" / "cost.py"
TRAINED = ("cnn", "vgg", "resnet", "mobile")
METHOD = "percentile:99.9,channels"
SMALLEST = 0.01
"""The least part that a kind of work has of the case where it has most."""
MOST = 4e9
"""Multiply-accumulates of a case, all steps and samples, above which it would take too long."""


@dataclass(frozen=True)
class Case:
    """One way of running one network."""

    network: str
    timesteps: int
    batch: int = 20
    encoder: str = "constant"
    record: str = ""
    neurons: str = ""

    @property
    def key(self) -> str:
        words = [self.network, f"T={self.timesteps}", f"batch {self.batch}", self.encoder, self.neurons, self.record]
        return ", ".join(word for word in words if word)


def cases() -> Iterator[Case]:
    """All of them, network by network."""
    for name in (*TRAINED, *ZOO):
        for steps in (1, 4, 8, 16, 64):
            yield Case(name, steps)
        for batch in (1, 100):
            yield Case(name, 8, batch)
        yield Case(name, 8, encoder="poisson")
        for record in ("spikes", "events", "potentials", "nonzero"):
            yield Case(name, 8, record=record)
        for neurons in ("signed,spikes=4", "spikes=4", "spikes=multi", "leak=0.9", "schedule=layered"):
            yield Case(name, 8, neurons=neurons)
        if name in ("maxed", "series", "inception", "unet"):
            for pool in ("avg_max", "exp_max"):
                yield Case(name, 8, neurons=f"max_pool={pool}")


@cache
def statistics_of(name: str) -> tuple[Any, Any, np.ndarray]:
    """A network, its statistics, and a hundred samples."""
    if name in TRAINED:
        graph, x = network(name), samples("fashion-mnist", "test", 100, 1 / 255)
        if graph is None:
            raise SpikewrightError(f"there is no network {name}")
        seen = samples("fashion-mnist", "train", 200, 1 / 255)
    else:
        module, shape = zoo(name)
        graph = sw.load(module, shape=shape)
        x = seen = np.random.default_rng(0).random((100, *shape), np.float32)
    folded, _ = sw.prepare(graph)
    return graph, sw.calibrate(folded, seen, [sw.threshold_method(METHOD)]), x


def measured(case: Case, rounds: int) -> dict[str, Any] | None:
    """Milliseconds a sample by engine, and what the model sees; None for a case that is too large or cannot be."""
    graph, statistics, x = statistics_of(case.network)
    method = sw.threshold_method(METHOD)
    conversion = sw.convert(graph, statistics, method, neurons=case.neurons or None)
    size = sum(map(conversion.normalised.macs, conversion.normalised))
    if size * case.timesteps * case.batch > MOST:
        return None
    windows = "schedule" in case.neurons
    engines = ("event", "auto") if windows else ("event", "reference")
    record = (case.record,) if case.record else ()

    def run(engine: Any) -> object:
        return sw.simulate(
            conversion,
            x[: case.batch],
            case.timesteps,
            encoder=case.encoder,
            engine=engine,
            record=record,
            batch_size=case.batch,
            quiet=True,
        )

    least: dict[str, float] = {}
    for round_ in range(rounds + 1):
        for engine in engines:
            try:
                found = taken(lambda e=engine: run(e))  # type: ignore[misc]
            except SpikewrightError:
                continue
            if round_:
                least[engine] = min(least.get(engine, np.inf), found)
    line = {"key": case.key, "ms": {name: 1000 * value / case.batch for name, value in least.items()}}
    work = {} if windows else work_of(case)
    return {**line, **work, "batch": case.batch, "load": round(os.getloadavg()[0], 1)}


def work_of(case: Case) -> dict[str, dict[str, float]]:
    """By engine, what the model counts."""
    graph, statistics, _ = statistics_of(case.network)
    spiking = sw.convert(graph, statistics, sw.threshold_method(METHOD), neurons=case.neurons or None).spiking
    recording = Record((case.record,) if case.record else ()).fitted(spiking, case.timesteps)
    used = encoder(case.encoder).fitted(spiking)
    prepared = EventSimulation(spiking).prepare(used, recording)
    return {
        "event": dict(event_work(spiking, prepared, recording, case.batch)),
        "reference": dict(reference_work(spiking, used, recording, case.batch)),
    }


def recounted(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines with what the model counts now, which are written down."""
    by_key = {case.key: case for case in cases()}
    lines = [{**line, **(work_of(by_key[line["key"]]) if "event" in line else {})} for line in lines]
    RECORD.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return lines


def known() -> dict[str, dict[str, Any]]:
    if not RECORD.exists():
        return {}
    return {line["key"]: line for line in map(json.loads, RECORD.read_text(encoding="utf-8").splitlines())}


def fit(lines: list[dict[str, Any]], engine: str, rounds: int = 20_000) -> dict[str, float]:
    """The constants that make the squares of relative errors least, coordinate by coordinate.

    None is so small that it is nothing where it matters most: in the case of which it is the largest part it is at
    least ``SMALLEST`` of what was measured.
    """
    used = [line for line in lines if engine in line and engine in line["ms"]]
    kinds = sorted({kind for line in used for kind, amount in line[engine].items() if amount})
    times = np.array([line["ms"][engine] * line["batch"] / 1000 for line in used])
    work = np.array([[line[engine].get(kind, 0) for kind in kinds] for line in used]) / times[:, None]
    unit = work.max(axis=0)
    work, found = work / unit, np.full(len(kinds), SMALLEST)
    square, target = work.T @ work, work.sum(axis=0)
    for _ in range(rounds):
        for k in range(len(kinds)):
            found[k] = max(SMALLEST, found[k] + (target[k] - square[k] @ found) / square[k, k])
    return dict(zip(kinds, found / unit, strict=True))


def refit(lines: list[dict[str, Any]]) -> None:
    """Put fitted constants in the place of those of the cost model; what no case does keeps its price."""
    text = COST.read_text(encoding="utf-8")
    for engine, now in (("event", EVENT), ("reference", REFERENCE)):
        prices = {**now, **fit(lines, engine)}
        table = json.dumps({kind: float(f"{prices[kind]:.2g}") for kind in sorted(prices)}, indent=4)
        body = table.replace("\n}", ",\n}")  # as ruff formats it
        text, found = re.subn(rf"(?ms)^({engine.upper()}: .*?= )\{{.*?^\}}", rf"\g<1>{body}", text)
        assert found == 1, f"{COST} has no {engine.upper()}"
    COST.write_text(text, encoding="utf-8")


def left_out(lines: list[dict[str, Any]]) -> Iterator[tuple[str, str, float, float]]:
    """By case: the engine taken by constants fitted to all other networks, how far off it is, and how far it is by the
    constants as they are. What no other network does has its price as it is."""
    both = [line for line in lines if len(line["ms"]) > 1 and "event" in line]
    for name in dict.fromkeys(line["key"].partition(",")[0] for line in both):
        others = [line for line in lines if line["key"].partition(",")[0] != name]
        now = {"event": EVENT, "reference": REFERENCE}
        tables = {engine: {**table, **fit(others, engine)} for engine, table in now.items()}
        for line in both:
            if line["key"].partition(",")[0] == name:
                ms = line["ms"]
                by, kept = (min(ms, key=lambda e: seconds(line[e], t[e])) for t in (tables, now))
                yield line["key"], by, ms[by] / min(ms.values()), ms[kept] / min(ms.values())


def page(lines: list[dict[str, Any]]) -> str:
    """How far from the best engine the choice is, case by case."""
    head = [
        "# Which engine `auto` takes",
        "",
        "Milliseconds a sample, processor time of one thread, the least of the rounds, plans kept; what the cost model",
        "(`engines/cost.py`) foresees stands behind it. *Off* is the engine that `auto` takes over the best one.",
        "Networks of windows (`schedule=`) have no model: `auto` runs every window as a dense step.",
        "",
    ]
    rows, off = [], []
    for line in lines:
        ms = line["ms"]
        foreseen = {
            name: 1000 * seconds(line[name], table) / line["batch"]
            for name, table in (("event", EVENT), ("reference", REFERENCE))
            if name in line
        }
        taken_ = "auto" if "auto" in ms else min(foreseen, key=lambda name: foreseen[name])
        off.append(ms[taken_] / min(ms.values()))
        cells = [line["key"], *(_cell(ms, foreseen, name) for name in ("event", "reference"))]
        shown = "dense" if taken_ == "auto" else taken_
        cells[2] = f"{ms['auto']:.3g} (dense)" if taken_ == "auto" else cells[2]
        rows.append("| " + " | ".join([*cells, shown, f"{off[-1]:.2f}"]) + " |")
    missed = [row for row, far in zip(rows, off, strict=True) if far > 1.2]
    table = ["| case | event | reference | taken | off |", "|---|---|---|---|---|"]
    head += [
        f"Of {len(rows)} cases {len(rows) - len(missed)} are at most 1.2 times off, the worst is {max(off):.2f}.",
        f"{platform.machine()}, {processor()}, {simulation_isa()}, torch {torch.__version__}; load average "
        f"{min(line['load'] for line in lines)} to {max(line['load'] for line in lines)}.",
        "",
    ]
    return "\n".join([*head, "## Missed", "", *table, *missed, "", "## All", "", *table, *rows, ""])


def _cell(ms: dict[str, float], foreseen: dict[str, float], name: str) -> str:
    return "" if name not in ms else f"{ms[name]:.3g}" + (f" ({foreseen[name]:.3g})" if name in foreseen else "")


def simulation_isa() -> str:
    from spikewright.engines.event import _native

    return str(_native.instruction_sets()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--left-out", action="store_true")
    parser.add_argument("--recount", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    simulation.cores = lambda: 1
    if given.again:
        RECORD.unlink(missing_ok=True)
    end, words = time.monotonic() + 60 * given.minutes, [word for word in given.only.split(",") if word]
    done = known()
    measures = not (given.report or given.fit or given.refit or given.left_out or given.recount)
    for case in cases() if measures else ():
        if case.key in done or not all(word in case.key for word in words):
            continue
        if time.monotonic() > end:
            break
        try:
            line = measured(case, given.rounds)
        except SpikewrightError as error:
            print(f"{case.key}: {error}", flush=True)
            continue
        if line is None:
            continue
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(case.key, {name: f"{value:.3g}" for name, value in line["ms"].items()}, flush=True)
    lines = list(known().values())
    if given.recount:
        lines = recounted(lines)
    if given.fit:
        for engine in ("event", "reference"):
            print(
                engine,
                json.dumps({kind: float(f"{value:.2g}") for kind, value in fit(lines, engine).items()}, indent=4),
            )
        return
    if given.refit:
        refit(lines)
        print(f"{COST} has new constants: now run this with --report, for the page by them")
        return
    if given.left_out:
        found = list(left_out(lines))
        for key, by, off, kept in found:
            if max(off, kept) > 1.2:
                print(f"{key}: {by}, {off:.2f} off, {kept:.2f} by the constants as they are")
        print(
            f"of {len(found)} cases {sum(off > 1.2 for _, _, off, _ in found)} are more than 1.2 off, "
            f"{sum(kept > 1.2 for *_, kept in found)} by the constants as they are"
        )
        return
    (RESULTS / "engine_choice.md").write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
