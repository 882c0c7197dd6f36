"""The page and the picture of the engine benchmark, from its lines."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from _networks import BATCH, PEERS, processor
from _picture import bars

Line = Mapping[str, Any]
STEPS = (4, 8, 16, 32, 64)


def table(title: str, says: str, head: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A heading, what it says, and a table, or nothing where there are no rows."""
    if not rows:
        return []
    columns = head.split(" | ")
    return ["", f"## {title}", "", says, "", f"| {head} |", "|---" * len(columns) + "|"] + [
        "| " + " | ".join(row) + " |" for row in rows
    ]


def of_dense(line: Line) -> list[str]:
    cells = [line["network"], f"{line['macs'] / 1e6:.1f} M", f"{line['dense']:.3f}"]
    both = [(line[f"float32 {steps}"], line[f"int16 {steps}"]) for steps in STEPS]
    return cells + [f"{own:.2f} ({own / line['dense']:.1f}x, {short / line['dense']:.1f}x)" for own, short in both]


def of_peers(line: Line) -> list[str]:
    best = min(line[peer] for peer in PEERS)
    times = [f"{line[label]:.2f}" for label in ("float32", "int16", *PEERS)]
    ratios = [f"**{best / line[dtype]:.1f}x**" for dtype in ("float32", "int16")]
    differ = [f"{line[f'{dtype} differs']:.4f} %" for dtype in ("float32", "int16")]
    return [line["network"], line["what"][2:], *times, *ratios, *differ]


def of_accuracy(line: Line, theirs: Mapping[str, Line]) -> list[str]:
    peer = theirs.get(line["network"])
    own = min(line["ms"], line.get("int16", line["ms"]))
    ratio = "" if peer is None or peer is line or round(line["points"], 6) > 1 else f"**{peer['ms'] / own:.1f}x**"
    points, int16 = f"{line['points']:.2f}", f"{line['int16']:.3f}" if "int16" in line else ""
    return [line["network"], line["what"], str(line["T"]), points, f"{line['ms']:.3f}", int16, ratio]


def of_several(line: Line) -> list[str]:
    numbers = [f"{line[label]:.2f}" for label in ("single", "several", "spikes", "a spike")]
    return [line["network"], line["what"], *numbers]


def of_large(line: Line) -> list[str]:
    numbers = [f"{line[label]:.0f}" for label in ("event", "again", "reference", "dense")]
    sizes = [f"{line['macs'] / 1e6:.0f} M", f"{line['weights_MB']:.0f}", f"{line['MB']:.0f}"]
    return [line["network"], *sizes, f"{line['compiling_s']:.1f}", *numbers]


def of_floor(line: Line) -> list[str]:
    """Times against that of the additions, each as fast as one multiply-add of the matrix product."""
    rate = 1024**3 / (line["product"] / 1000)
    bound = 1000 * line["additions"] / rate
    cells = [line["network"], f"{line['additions'] / 1e6:.1f} M", f"{bound:.2f}"]
    for dtype in ("float32", "int16"):
        cells += [f"{line[dtype]:.2f}", f"{line[dtype] / bound:.1f}"]
    return cells


def of_growth(line: Line) -> list[str]:
    numbers = [f"{line['rate']:.4f}", f"{line['float32']:.2f}", f"{line['int16']:.2f}"]
    return [line["network"], line["what"][2:], *numbers]


def of_precision(line: Line) -> list[str]:
    right = [f"{line[label]:.1f} %" for label in ("float32", "int16", "apart")]
    return [line["network"], *right, *(f"{line[label]:.3f} %" for label in ("spikes", "layer"))]


def page(lines: Sequence[Line]) -> str:
    """Everything that was measured."""

    def rows(kind: str, row: Callable[[Line], list[str]]) -> list[list[str]]:
        return [row(line) for line in lines if line["kind"] == kind]

    theirs = {one["network"]: one for one in lines if one["what"] == "SpikingJelly"}
    loads = [line["load"] for line in lines] or [0.0]
    grown: dict[str, list[str]] = {}
    for line in lines:
        if line["kind"] == "memory":
            grown.setdefault(line["network"], []).append(str(line["MB"]))
    text = [
        "# The event engine: speed, peers, memory",
        "",
        f"By `benchmarks/engine.py`. Milliseconds an image, processor time of one thread, batch {BATCH}, the least of",
        f"rounds that take turns. {platform.machine()}, {processor()}, {os.cpu_count()} cores, torch's instructions "
        f"{torch.backends.cpu.get_cpu_capability()},",
        f"torch {torch.__version__}. Load average {min(loads)} to {max(loads)}: other work ran beside it"
        f"{'' if max(loads) > 2 else ' hardly'}, which",
        "slows all sides of a row, if not all of them alike; `engine.jsonl` has the load of each row.",
    ]
    text += table(
        "Against the dense forward pass",
        "*Dense* is the folded network in torch, in the faster of both memory layouts. In brackets: how many times\n"
        "that the event engine takes, in float32 and in int16. Thresholds `percentile:99.9,channels`.",
        "network | MACs | dense | " + " | ".join(f"T = {steps}" for steps in STEPS),
        rows("dense", of_dense),
    )
    text += table(
        "Against peers",
        "The same network with the same spikes (`percentile:99.9`). Ratio: the fastest peer over us. Last:\n"
        "the difference in the number of spikes at T = 16.",
        "network | T | event engine | in int16 | " + " | ".join(PEERS) + " | ratio | int16 | spikes differ | int16",
        rows("peers", of_peers),
    )
    text += table(
        "Time to accuracy",
        "Until answers to 2,000 test images are within one point of the trained network's. Ours: recipes of\n"
        "[accuracy](accuracy.md), chosen on training images. SpikingJelly: its best conversion, compiled, at the\n"
        "first T from which on it stays within a point. *Layered*: the window as one dense step, as answers of one\n"
        "length are computed. Ratio: SpikingJelly over the better of float32 and int16; none where more than a point\n"
        "is lost on these images.",
        "network | contract | T | points lost | ms | in int16 | ratio",
        rows("time to accuracy", lambda line: of_accuracy(line, theirs)),
    )
    text += table(
        "Several spikes a step",
        "T = 16. *Spikes*: so many times those of single spikes. *A spike*: the time of each over that of single ones.",
        "network | neurons | single, ms | several, ms | spikes | a spike",
        rows("several spikes", of_several),
    )
    text += table(
        "Zeros around images as layers",
        "T = 16: convolutions that pad, and the same with a pad before each.",
        "network | inside, ms | as layers, ms",
        rows("pads", lambda line: [line["network"], f"{line['inside']:.3f}", f"{line['layers']:.3f}"]),
    )
    text += table(
        "Large networks",
        "Pictures of 224 by 224, random weights and images, batch 1, T = 16. MB: by how much the process grows while\n"
        "the plan is made and runs, weights of the plan included.",
        "network | MACs | weights, MB | grows by, MB | compiling, s | first run, ms | again | reference | dense",
        rows("large", of_large),
    )
    text += table(
        "How time grows",
        "",
        "network | T | spikes per neuron and step | ms | in int16",
        rows("growth", of_growth),
    )
    text += table(
        "Distance from the floor",
        "T = 64. Floor: the additions that spikes ask for, each as fast as a multiply-add of a large matrix product\n"
        "on the same core. The engine does fewer, since spikes that arrive together share them.",
        "network | additions an image | floor, ms | ms | times the floor | in int16 | times the floor",
        rows("floor", of_floor),
    )
    text += table(
        "What 16 bits change",
        "1,000 test images, T = 64: accuracy at the last step, the largest difference at any step, the difference in\n"
        "all spikes and in those of the layer where it is largest.",
        "network | float32 | int16 | at any step | spikes | of a layer",
        rows("precision", of_precision),
    )
    text += table(
        "Memory",
        "MB by which a process grows at most in one run of T = 64, over its size after a run of two timesteps.",
        "network | event engine | in int16 | " + " | ".join(PEERS),
        [[name, *cells] for name, cells in grown.items()],
    )
    return "\n".join([*text, ""])


def picture(lines: Sequence[Line]) -> str:
    """The times against peers at T = 64."""
    times = {
        line["network"]: [line[label] for label in ("float32", "int16", *PEERS)]
        for line in lines
        if line["kind"] == "peers" and line["what"] == "T=64"
    }
    ways = ("event engine", "event engine, int16", *PEERS)
    return bars(f"Time an image, T = 64, batch {BATCH}, one thread", ways, times) if times else ""
