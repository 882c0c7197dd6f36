"""The event engine on one thread: against the dense forward pass, against its peers, and what it costs where.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/engine.py [--only WORDS] [--minutes M]

SPIKEWRIGHT_MODELS holds ``fashion_{cnn,vgg,resnet}.safetensors``, their ``definitions.py``, and ``mnist_cnn.onnx``,
whose max pooling is replaced by average pooling, as the peers need it; ``fashion_mobile.safetensors`` may be there
too, or in the folder MOBILE. All else has random weights (``_zoo.py``). Batch 100, thresholds at the 99.9th percentile;
every side of a row runs the same spiking network. Processor time of one thread, the least of rounds that take turns, so
that what else the machine does matters less; the load is written down with every row.

What is done stands in ``results/engine.jsonl``, a line a row, and is not done again: the job may be stopped any time.
``--only`` runs rows whose key holds every one of some words (``"peers;resnet"``), ``--again`` forgets those first, and
``--report`` writes the page anew from the lines. Rows of peers need their environment (``benchmarks/peers.txt``) and
are left out without.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import spikewright as sw
from _engine_page import page, picture
from _networks import (
    BATCH,
    CHANNELS,
    COMPILED,
    CONSTANT,
    DOCUMENTED,
    OURS,
    PEERS,
    labelled,
    least,
    ours,
    peer,
    scaled,
    spiking,
    trained,
    wide,
)
from spikewright.engines.event import simulation
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.windows import DenseStep, levels_of, one_step
from spikewright.forward import Forward
from spikewright.measures.synops import synops

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "engine.jsonl"
STEPS = (4, 8, 16, 32, 64)
TRAINED = ("cnn", "vgg", "resnet")
OTHERS = ("mobile", "mobilenet", "densenet", "unet", "inception", "series", "maxed")
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        kind: which table it is of.
        network: what runs.
        what: how; a number of timesteps, say.
        run: measures it, given the number of rounds.
        peers: whether it needs theirs.
    """

    kind: str
    network: str
    what: str
    run: Callable[[int], Numbers]
    peers: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}, {self.network}, {self.what}"


def rows() -> Iterator[Row]:
    for name in (*TRAINED, *OTHERS):
        yield Row("dense", name, CHANNELS, partial(dense, name))
    for name in ("mnist", *TRAINED):
        for steps in (16, 64):
            yield Row("peers", name, f"T={steps}", partial(compare, name, steps), peers=True)
    for name in TRAINED:
        for who in (*WITHIN, "SpikingJelly"):
            yield Row("time to accuracy", name, who, partial(within_a_point, name, who), peers=who == "SpikingJelly")
    for name in TRAINED:
        for neurons in ("spikes=4", "spikes=multi", "signed,spikes=4"):
            yield Row("several spikes", name, neurons, partial(several, name, neurons))
    yield Row("pads", "six convolutions", "T=16", pads)
    for name in ("mobilenet 224", "vgg16 224"):
        yield Row("large", name, "batch 1, T=16", lambda _, name=name: alone("large", name))
    for name in ("cnn", "vgg", "resnet"):
        yield Row("floor", name, "T=64", partial(floor, name))
    for factor, steps in ((1, 32), (1, 64), (1, 128), (2, 64), (4, 64)):
        yield Row("growth", f"cnn, thresholds times {factor}", f"T={steps}", partial(growth, factor, 0, steps))
    for width in (16, 32, 64, 128):
        yield Row("growth", f"untrained cnn of width {width}", "T=64", partial(growth, 1, width, 64))
    for name in ("mnist", *TRAINED):
        yield Row("precision", name, "all test images, T=64", partial(precision, name))
    for name in ("mnist", *TRAINED):
        for way in (*OURS, *PEERS):
            yield Row("memory", name, way, lambda _, n=name, w=way: alone("grow", n, w), peers=way in PEERS)


def dense(name: str, rounds: int) -> Numbers:
    """Our times by T, and that of the folded network in torch, in the faster memory layout."""
    graph, calibration, images = trained(name)
    folded, _ = sw.prepare(graph)
    network, x = spiking(graph, calibration, CHANNELS), torch.from_numpy(images)
    forward = Forward(folded)
    layouts = {"plain": x, **({"last": x.contiguous(memory_format=torch.channels_last)} if x.ndim == 4 else {})}
    ways: dict[str, Callable[[], object]] = {f"dense {k}": partial(forward, v) for k, v in layouts.items()}
    for dtype in OURS:
        run = ours(network, dtype)
        ways |= {f"{dtype} {steps}": partial(run, x, steps) for steps in STEPS}
    found = least(ways, rounds)
    macs = sum(map(folded.macs, folded))
    return {"dense": min(found.pop(f"dense {k}") for k in layouts), "macs": macs, **found}


def compare(name: str, steps: int, rounds: int) -> Numbers:
    """Ours and every peer's time, and by how much the spikes differ."""
    from _peers import SpikingJelly

    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    runs = {**{dtype: ours(network, dtype) for dtype in OURS}, **{label: peer(network, label) for label in PEERS}}
    for run in runs.values():
        run(x, 2)  # compiled, prepared, warm
    slow = {DOCUMENTED: partial(runs.pop(DOCUMENTED), x, steps)}  # a loop in Python; once will do
    found = least({label: partial(run, x, steps) for label, run in runs.items()}, rounds) | least(slow, 1)
    theirs = sum(SpikingJelly(network).counts(x[:10], 16).values())
    for dtype in OURS:
        counts = EventSimulation(network, dtype=dtype).run(x[:10], 16, CONSTANT).counts
        own = sum(float(count.double().sum()) for count in counts.values())
        found[f"{dtype} differs"] = 100 * abs(own - theirs) / theirs
    return found


WITHIN: Mapping[str, Mapping[str, tuple[int, str, str, tuple[str, ...]]]] = {
    "static": {
        "cnn": (8, "percentile:99,channels", "", ("v_init_and_bias:8",)),
        "vgg": (8, "percentile:98,channels", "", ("v_init_and_bias:8",)),
        "resnet": (16, "percentile:99,channels", "", ("v_init_and_bias:16",)),
    },
    "signed, bursts up to 4": dict.fromkeys(TRAINED, (4, "mmse:4,channels", "signed,spikes=4", ())),
    "layered": dict.fromkeys(TRAINED, (8, "mmse:8,channels", "schedule=layered", ("v_init_and_bias:8",))),
}
"""By contract and network, T and recipe of the first row of ``results/accuracy.md`` that is within one point there."""


def within_a_point(name: str, who: str, rounds: int) -> Numbers:
    """Milliseconds until the answers are within one point of the trained network's, and how far they are.

    Ours: the recipes of the accuracy benchmark, chosen on training images. SpikingJelly: its best conversion, a
    quantile channel by channel over all values with potentials at half, and the first T from which on it stays there.
    """
    graph, calibration, images = trained(name)
    x, labels = labelled(name, 2000)
    folded, _ = sw.prepare(graph)
    forward, first = Forward(folded), torch.from_numpy(images)
    right = float((forward(torch.from_numpy(x))["output"].numpy().argmax(1) == labels).mean())
    if who == "SpikingJelly":
        network = spiking(graph, calibration, f"{CHANNELS},zeros")
        answers = sw.simulate(network, x, 128, engine="event", quiet=True).output.argmax(-1)
        lost = 100 * (right - (answers == labels[:, None]).mean(axis=0))
        steps = int(np.nonzero(lost.round(6) > 1)[0].max(initial=-1)) + 2
        theirs = peer(network, COMPILED)
        theirs(first, 2)
        found = least(
            {"ms": lambda: theirs(first, steps), "same": partial(ours(network, "float32"), first, steps)}, rounds
        )
        return {"T": steps, "points": float(lost[min(steps, 128) - 1]), **found}
    points: Numbers = {}
    steps, method, neurons, correct = WITHIN[who][name]
    network = spiking(graph, calibration, method, neurons, *correct)
    if who == "layered":
        units, _ = levels_of("layered", steps)
        stepped = one_step(network, steps)
        answers = sw.simulate(stepped, x * units, 1, quiet=True).output[:, -1]
        step, given = DenseStep(stepped), first * units
        ways = {"ms": lambda: step.run(given, 1, CONSTANT)}
    else:
        answers = sw.simulate(network, x, steps, engine="event", quiet=True).output[:, -1]
        ways = {"ms": partial(ours(network, "float32"), first, steps)}
        for dtype in ("int16", "int8") if who == "static" else ("int8",):
            ways[dtype] = partial(ours(network, dtype), first, steps)
            own = sw.simulate(network, x, steps, engine="event", dtype=dtype, quiet=True).output[:, -1]
            points[f"{dtype} points"] = 100 * (right - float((own.argmax(-1) == labels).mean()))
    points["points"] = 100 * (right - float((answers.argmax(-1) == labels).mean()))
    return {"T": steps, **points, **least(ways, rounds)}


def several(name: str, neurons: str, rounds: int) -> Numbers:
    """Several spikes a step against one: the time of a spike, so that numbers of spikes are equal."""
    graph, calibration, images = trained(name)
    x, ways, sent = torch.from_numpy(images), {}, {}
    for label, kind in (("single", ""), ("several", neurons)):
        network = spiking(graph, calibration, CHANNELS, kind)
        ways[label], ways[f"{label} int8"] = (partial(ours(network, dtype), x, 16) for dtype in ("float32", "int8"))
        sent[label] = sum(float(n.abs().sum()) for n in EventSimulation(network).run(x, 16, CONSTANT).sent.values())
    found, more = least(ways, rounds), sent["several"] / sent["single"]
    return {
        **found,
        "spikes": more,
        "a spike": found["several"] / found["single"] / more,
        "a spike int8": found["several int8"] / found["single int8"] / more,
    }


def pads(rounds: int) -> Numbers:
    """The same convolutions with zeros around them as layers of their own."""
    x, ways = np.random.default_rng(0).random((BATCH, 16, 16, 16), np.float32), {}
    for label in ("inside", "layers"):
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for _ in range(6):
            inside = label == "inside"
            layers += [] if inside else [nn.ZeroPad2d(1)]
            layers += [nn.Conv2d(16, 16, 3, padding=int(inside)), nn.BatchNorm2d(16), nn.ReLU()]
        graph = sw.load(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4096, 10)).eval(), shape=(16, 16, 16))
        ways[label] = partial(ours(spiking(graph, x, CHANNELS), "float32"), torch.from_numpy(x), 16)
    return least(ways, rounds)


def alone(*words: str) -> Numbers:
    """What ``_memory.py`` measures in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).parent / "_memory.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def floor(name: str, rounds: int) -> Numbers:
    """Additions that spikes ask for, and how fast this core multiplies and adds in a large matrix product."""
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    counts = EventSimulation(network).run(x, 64, CONSTANT).counts
    work = synops(network, {name: count.double().mean(dim=0).numpy() for name, count in counts.items()})
    a = torch.rand(1024, 1024)
    ways: dict[str, Callable[[], object]] = {dtype: partial(ours(network, dtype), x, 64) for dtype in OURS}
    found = least({**ways, "product": lambda: a @ a}, rounds)
    return {**found, "product": found["product"] * BATCH, "additions": sum(layer.spikes for layer in work.values())}


def growth(factor: int, width: int, steps: int, rounds: int) -> Numbers:
    """A network with other thresholds, widths and T."""
    graph, calibration, images = trained("cnn")
    network, x = scaled(spiking(graph, calibration), factor), torch.from_numpy(images)
    if width:
        network = spiking(*wide(width, calibration))
    counts = EventSimulation(network).run(x, steps, CONSTANT).counts
    rate = sum(float(c.sum()) for c in counts.values()) / sum(c.numel() for c in counts.values()) / steps
    return {"rate": rate, **least({dtype: partial(ours(network, dtype), x, steps) for dtype in OURS}, rounds)}


def precision(name: str, _: int) -> Numbers:
    """What 16 and 8 bits change on all test images: accuracy and spikes."""
    graph, calibration, _images = trained(name)
    network, (x, labels) = spiking(graph, calibration), labelled(name)
    runs = {dtype: sw.simulate(network, (x, labels), 64, engine="event", dtype=dtype, quiet=True) for dtype in OURS}
    right = {dtype: (run.output.argmax(axis=-1) == labels[:, None]).mean(axis=0) for dtype, run in runs.items()}
    found: Numbers = {"images": len(labels), **{dtype: 100 * float(values[-1]) for dtype, values in right.items()}}
    sent = {dtype: {k: float(c.sum()) for k, c in run.counts.items()} for dtype, run in runs.items()}
    exact = sent["float32"]
    for dtype in OURS[1:]:
        run, own = runs[dtype], sent[dtype]
        same = (run.output[:, -1].argmax(-1) == runs["float32"].output[:, -1].argmax(-1)).mean()
        found |= {
            f"{dtype} apart": 100 * float(np.abs(right["float32"] - right[dtype]).max()),
            f"{dtype} answers": 100 * (1 - float(same)),
            f"{dtype} spikes": 100 * abs(sum(own.values()) / sum(exact.values()) - 1),
            f"{dtype} layer": 100 * max(abs(own[k] / exact[k] - 1) for k in exact),
        }
    return {**found, "int8 weights": 100 * (runs["int8"].weight_error or 0.0)}


def known() -> dict[str, Numbers]:
    if not RECORD.exists():
        return {}
    return {line["key"]: line for line in map(json.loads, RECORD.read_text(encoding="utf-8").splitlines())}


def write(lines: Mapping[str, Numbers]) -> None:
    RECORD.write_text("".join(json.dumps(line) + "\n" for line in lines.values()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    simulation.cores = lambda: 1
    end, words, done = time.monotonic() + 60 * given.minutes, given.only.split(";"), known()
    chosen = [row for row in rows() if all(word in row.key for word in words)]
    if given.again:
        done = {key: line for key, line in done.items() if key not in {row.key for row in chosen}}
        write(done)
    for row in () if given.report else chosen:
        if row.key in done or (row.peers and find_spec("spikingjelly") is None):
            continue
        if time.monotonic() > end:
            break
        try:
            numbers = row.run(given.rounds)
        except (sw.SpikewrightError, RuntimeError) as error:
            print(f"{row.key}: {error}", flush=True)
            continue
        about = {"key": row.key, "kind": row.kind, "network": row.network, "what": row.what}
        done[row.key] = {**about, **numbers, "load": round(os.getloadavg()[0], 1)}
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[row.key]) + "\n")
        print(row.key, {k: round(v, 3) for k, v in numbers.items()}, flush=True)
    done = known()
    order = [row.key for row in rows() if row.key in done]
    (RESULTS / "engine.md").write_text(page([done[key] for key in order]), encoding="utf-8")
    if drawn := picture([done[key] for key in order]):
        (RESULTS / "engine.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
