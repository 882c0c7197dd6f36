"""The page and the picture of the engine benchmark, from its lines."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from spikewright.engines.event._native import instruction_sets

from _networks import BATCH, OURS, PEERS, processor
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


def cell(line: Line, label: str, form: str = ".2f", after: str = "") -> str:
    """A number, or nothing where it was not measured."""
    return f"{line[label]:{form}}{after}" if label in line else ""


def of_dense(line: Line) -> list[str]:
    cells = [line["network"], f"{line['macs'] / 1e6:.1f} M", f"{line['dense']:.3f}"]
    for steps in STEPS:
        times = [line[label] for dtype in OURS if (label := f"{dtype} {steps}") in line]
        ratios = ", ".join(f"{ms / line['dense']:.1f}x" for ms in times)
        cells.append(f"{times[0]:.2f} ({ratios})")
    return cells


def of_peers(line: Line) -> list[str]:
    best = min(line[peer] for peer in PEERS)
    times = [cell(line, label) for label in (*OURS, *PEERS)]
    ratios = [f"**{best / line[dtype]:.1f}x**" if dtype in line else "" for dtype in OURS]
    differ = [cell(line, f"{dtype} differs", ".4f", " %") for dtype in OURS]
    return [line["network"], line["what"][2:], *times, *ratios, *differ]


def of_accuracy(line: Line, theirs: Mapping[str, Line]) -> list[str]:
    peer = theirs.get(line["network"])
    points = {label: line.get(f"{label} points", line["points"]) for label in ("ms", "int16", "int8")}
    within = [line[label] for label, lost in points.items() if label in line and round(lost, 6) <= 1]
    ratio = "" if peer is None or peer is line or not within else f"**{peer['ms'] / min(within):.1f}x**"
    told = [f"{line['points']:.2f}", cell(line, "int8 points")]
    times = [cell(line, label, ".3f") for label in ("ms", "int16", "int8")]
    return [line["network"], line["what"], str(line["T"]), *told, *times, ratio]


def of_several(line: Line) -> list[str]:
    labels = ("spikes", "single", "several", "a spike", "single int8", "several int8", "a spike int8")
    numbers = [f"{line[label]:.2f}" if label in line else "" for label in labels]
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
    for dtype in OURS:
        cells += [f"{line[dtype]:.2f}", f"{line[dtype] / bound:.1f}"] if dtype in line else ["", ""]
    return cells


def of_growth(line: Line) -> list[str]:
    numbers = [f"{line['rate']:.4f}", *(cell(line, dtype) for dtype in OURS)]
    return [line["network"], line["what"][2:], *numbers]


def of_precision(line: Line) -> list[list[str]]:
    """A row for each of the narrower data types."""
    found = []
    for dtype in OURS[1:]:
        right = [f"{line['float32']:.2f} %", f"{line[dtype]:.2f} %"]
        rest = [f"{line[f'{dtype} {label}']:.2f} %" for label in ("apart", "answers")]
        sent = [f"{line[f'{dtype} {label}']:.3f} %" for label in ("spikes", "layer")]
        found.append([line["network"], dtype, *right, *rest, *sent, cell(line, f"{dtype} weights", ".2f", " %")])
    return found


def page(lines: Sequence[Line]) -> str:
    """Everything that was measured."""

    def rows(kind: str, row: Callable[[Line], list[str]]) -> list[list[str]]:
        return [row(line) for line in lines if line["kind"] == kind]

    theirs = {one["network"]: one for one in lines if one["what"] == "SpikingJelly"}
    loads = [line["load"] for line in lines] or [0.0]
    grown: dict[str, dict[str, str]] = {}
    for line in lines:
        if line["kind"] == "memory":
            grown.setdefault(line["network"], {})[line["what"]] = str(line["MB"])
    text = [
        "# The event engine: speed, peers, memory",
        "",
        f"By `benchmarks/engine.py`. Milliseconds an image, processor time of one thread, batch {BATCH}, the least of",
        f"rounds that take turns. {platform.machine()}, {processor()}, {os.cpu_count()} cores, the engine's "
        f"instructions {instruction_sets()[0]}, torch's",
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}. Load average {min(loads)} to "
        f"{max(loads)}: other work ran beside it{'' if max(loads) > 2 else ' hardly'}, which",
        "slows all sides of a row, if not all of them alike; `engine.jsonl` has the load of each row.",
    ]
    text += table(
        "Against the dense forward pass",
        "*Dense* is the folded network in torch, in the faster of both memory layouts. In brackets: how many times\n"
        "that the event engine takes, in float32, in int16 and in int8. Thresholds `percentile:99.9,channels`.",
        "network | MACs | dense | " + " | ".join(f"T = {steps}" for steps in STEPS),
        rows("dense", of_dense),
    )
    text += table(
        "Against peers",
        "The same network with the same spikes (`percentile:99.9`). Ratio: the fastest peer over us. Last:\n"
        "the difference in the number of spikes at T = 16.",
        "network | T | event engine | in int16 | in int8 | "
        + " | ".join(PEERS)
        + " | ratio | int16 | int8 | spikes differ | int16 | int8",
        rows("peers", of_peers),
    )
    text += table(
        "Time to accuracy",
        "Until answers to 2,000 test images are within one point of the trained network's. Ours: recipes of\n"
        "[accuracy](accuracy.md), chosen on training images. SpikingJelly: its best conversion, compiled, at the\n"
        "first T from which on it stays within a point. *Layered*: the window as one dense step, as answers of one\n"
        "length are computed. Ratio: SpikingJelly over the best of float32, int16 and int8, of those that lose at\n"
        "most a point on these images.",
        "network | contract | T | points lost | in int8 | ms | in int16 | in int8 | ratio",
        rows("time to accuracy", lambda line: of_accuracy(line, theirs)),
    )
    text += table(
        "Several spikes a step",
        "T = 16. *Spikes*: so many times those of single spikes. *A spike*: the time of each over that of single ones.",
        "network | neurons | spikes | single, ms | several, ms | a spike | in int8: single | several | a spike",
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
        "network | T | spikes per neuron and step | ms | in int16 | in int8",
        rows("growth", of_growth),
    )
    text += table(
        "Distance from the floor",
        "T = 64. Floor: the additions that spikes ask for, each as fast as a multiply-add of a large matrix product\n"
        "on the same core. The engine does fewer, since spikes that arrive together share them.",
        "network | additions an image | floor, ms | ms | times the floor"
        " | in int16 | times the floor | in int8 | times the floor",
        rows("floor", of_floor),
    )
    text += table(
        "What 16 and 8 bits change",
        "All test images, T = 64: accuracy at the last step, the largest difference of it at any step, of how many\n"
        "images the last answer is another one, the difference in all spikes and in those of the layer where it is\n"
        "largest, and that of weights of 8 bits from what they were (root mean square).",
        "network | data type | float32 | accuracy | at any step | answers | spikes | of a layer | weights",
        [row for line in lines if line["kind"] == "precision" for row in of_precision(line)],
    )
    text += table(
        "Memory",
        "MB by which a process grows at most in one run of T = 64, over its size after a run of two timesteps.",
        "network | event engine | in int16 | in int8 | " + " | ".join(PEERS),
        [[name, *(cells.get(way, "") for way in (*OURS, *PEERS))] for name, cells in grown.items()],
    )
    return "\n".join([*text, ""])


def picture(lines: Sequence[Line]) -> str:
    """The times against peers at T = 64."""
    shown = [line for line in lines if line["kind"] == "peers" and line["what"] == "T=64"]
    own = [dtype for dtype in OURS if all(dtype in line for line in shown)]
    times = {line["network"]: [line[label] for label in (*own, *PEERS)] for line in shown}
    ways = ("event engine", *(f"event engine, {dtype}" for dtype in own[1:]), *PEERS)
    return bars(f"Time an image, T = 64, batch {BATCH}, one thread", ways, times) if times else ""
