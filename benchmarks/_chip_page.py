"""The page of ``chip.py``: tables from its rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import spikewright as sw
from _networks import processor

Row = Mapping[str, Any]
KINDS = ("stepped", "stated", "permuted", "simultaneous", "simultaneous permuted", "common rule")
PAGE = """# A chip, event by event

By `benchmarks/chip.py`: {networks} on speck2f, test images, T = 64 steps of 1 ms, regular trains,
{method}. `fashion_cnn` is the small CNN of the field's tutorials, on Fashion-MNIST; the others are trained by
`examples/train_chip.py`, `mnist` on MNIST, `vgg` and `resnet` on Fashion-MNIST.

* *stepped*: the network of floats that steps, on the very same events binned to steps;
* *stated*: the chip in integers, event by event, in the stated order;
* *permuted*: the events of each microsecond in an order that is drawn at every core. Those of a step are spread over
  its 1,000 microseconds, so that few are simultaneous;
* *simultaneous*: all events of a step at its beginning, worked off by row, column and channel; *simultaneous permuted*:
  the same, and at every core all events of a step in an order that is drawn, behind the tick;
* *common rule*: as *stated*, factors by the rule that everything just fits; all others by the least loss on 64
  calibration images.

| network | trains | run | images | accuracy, % | against stepped | spikes | operations | processor, s | whole, s |
|---|---|---|---|---|---|---|---|---|---|
{rows}

*Chosen*: events a step for a white pixel, and λ of all layers: {chosen}.
*Plain*: 1 event a step, λ as they are.

Spikes and operations (synaptic) are of an image. Processor time is of all threads together, trains included; *whole* is
the clock's. Speed of the native core: {speed:,.0f} million operations a second of processor time on one thread.

## How rate and gain were chosen

By the chip's answers in the stated order for the last training images, which neither calibration nor any row above saw:
the most right answers, of these the fewest operations.

{choices}

## What does not fit

`spikewright check` of the networks that `vgg` and `resnet` are relatives of, and of these two themselves:

{fits}

{machine}, {cores} cores, shared with other work: load average {load:.1f} at the end.
"""


def page(
    rows: Mapping[str, Row],
    choices: Sequence[Row],
    chosen: Mapping[str, tuple[float, str | None]],
    graphs: Mapping[str, sw.Graph],
    method: str,
    speed: float,
) -> None:
    """Write ``results/chip.md``.

    Args:
        rows: by key.
        choices: what was tried on training images.
        chosen: by network, events a step and the correction of λ.
        graphs: networks whose fit is told, by title.
        method: of λ.
        speed: millions of synaptic operations a second.
    """
    present = [name for name in chosen if any(key.startswith(f"{name} ") for key in rows)]
    trained = ", ".join(f"`{name}` {share:.2f} %" for name in present if (share := 100 * _trained(name, rows)))
    settings = "; ".join(f"`{name}` {chosen[name][0]:g} and {chosen[name][1] or 'as they are'}" for name in present)
    text = PAGE.format(
        networks=f"four networks ({trained} as trained)" if len(present) == 4 else trained,
        method=method,
        rows="\n".join(_lines(rows, chosen)),
        chosen=settings,
        speed=speed,
        choices="\n".join(_choices(choices)),
        fits="\n\n".join(_fits(graphs)),
        machine=processor(),
        cores=os.cpu_count(),
        load=os.getloadavg()[0],
    )
    (Path(__file__).parent / "results" / "chip.md").write_text(text, encoding="utf-8")


def _trained(name: str, rows: Mapping[str, Row]) -> float:
    return next((row["trained"] for key, row in rows.items() if key.startswith(f"{name} ") and "trained" in row), 0.0)


def _lines(rows: Mapping[str, Row], names: Iterable[str]) -> Iterable[str]:
    for name in names:
        for setting in ("chosen", "plain"):
            stepped = rows.get(f"{name} {setting} stepped")
            for kind in KINDS:
                own = rows.get(f"{name} {setting} {kind}")
                if own is None:
                    continue
                same = kind != "stepped" and stepped is not None and own["samples"] == stepped["samples"]
                against = f"{100 * (own['accuracy'] - stepped['accuracy']):+.2f}" if same and stepped else ""
                cells = [name, setting, kind, f"{own['samples']:,}", f"{100 * own['accuracy']:.2f}", against]
                cells += [
                    f"{own['spikes']:,.0f}",
                    f"{own['synops'] / 1e6:.1f} M",
                    f"{own['processor']:.0f}",
                    f"{own['seconds']:.0f}",
                ]
                yield "| " + " | ".join(cells) + " |"


def _choices(choices: Sequence[Row]) -> Iterable[str]:
    yield "| network | images | events a step | λ | accuracy, % | operations |"
    yield "|---|---|---|---|---|---|"
    for one in choices:
        cells = [one["key"].split()[0], f"{one['samples']}", f"{one['rate']:g}", one["gain"]]
        cells += [f"{100 * one['accuracy']:.2f}", f"{one['synops'] / 1e6:.1f} M"]
        yield "| " + " | ".join(cells) + " |"


def _fits(graphs: Mapping[str, sw.Graph]) -> Iterable[str]:
    for title, graph in graphs.items():
        yield f"`{title}`\n\n```text\n{sw.check(graph, 'speck2f', dt=1e-3)}\n```"
