"""The sections about what the chip computes: what integers cost, and answers beside those of floats in steps."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from spikewright.chips.integers import LayerLoss
from spikewright.chips.simulation.comparing import ChipComparison
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.reports.charts import LARGE, Chart, framed, line, plain
from spikewright.reports.document import Document
from spikewright.reports.table import table
from spikewright.tasks import SCORES
from spikewright.text import short, steps_to_show

CHIP, STEPPED = 0, 1
"""The colours of what the chip does, and of what the network does in steps."""


def chip_facts(comparison: ChipComparison) -> list[tuple[str, str]]:
    """What stands at the top of the page: the main score of the chip, in steps, and of the trained network."""
    found = []
    for output in comparison.chip.scores:
        name = comparison.chip.tasks[output].main
        kind, before = SCORES[name], "" if len(comparison.chip.scores) == 1 else f"{output}: "
        titles = ("on the chip", "in steps, on the same events", "of the trained network")
        for value, title in zip(comparison.score(output, name), titles, strict=True):
            if value is not None:
                found.append((kind.text(value, unit=True), f"{before}{kind.title} {title}"))
    return found


def what_integers_cost(losses: Sequence[LayerLoss], comparison: ChipComparison | None) -> str:
    """What each layer lost by becoming integers."""
    if not losses:
        return ""
    rows = [
        [
            loss.layer,
            loss.bound_by,
            f"{loss.factor:.5g}",
            f"{loss.clipped:,}",
            f"{loss.weights:.2%}",
            "" if loss.bias is None else f"{loss.bias:.2%}",
            f"{loss.threshold:.2%}",
            "" if loss.output is None else f"{loss.output:.2%}",
        ]
        for loss in losses
    ]
    header = ["layer", "factor chosen by", "factor", "weights cut off", "weights off", "biases off", "threshold off"]
    note = "Root mean square errors, as shares of what they are errors of."
    if all(loss.output is None for loss in losses):
        note += " By the common rule: without calibration data (quantise --data) nobody knows what layers then send."
    notes = () if comparison is None else comparison.quantised.notes
    lines = "".join(f"<li>{escape(one[0].upper() + one[1:])}</li>" for one in notes)
    below = f'<ul class="seen">{lines}</ul>' if lines else ""
    rows_table = table([*header, "output off"], rows, text=2)
    return f'<h2>What integers cost</h2><p class="soft">{escape(note)}</p>{rows_table}{below}'


def float_stepped_chip(document: Document, comparison: ChipComparison | None, without: str) -> str:
    """The comparison; or why there is none, where it could be wanted."""
    if comparison is None:
        return f'<h2>Floats, steps and chip</h2><p class="soft">{escape(without)}</p>' if without else ""
    chip, rules = comparison.chip, str(comparison.chip.rules) or "as stated"
    samples = f"{chip.samples:,} sample{'' if chip.samples == 1 else 's'}"
    events = f"{chip.rate:g} event{'' if chip.rate == 1 else 's'}"
    how = f"{samples}, sent {chip.trains.sent}"
    if isinstance(chip.trains, PictureTrains):
        step = f"{1000 * chip.trains.dt:g} ms"
        how = f"{samples}, sent as {chip.trains.sent} trains: {events} in a step of {step} for an input's largest value"
    trains = (
        f"{how}. The chip works off one event after the other in integers (order and open rules: {rules}); in steps "
        "the network has its floats, and the events of a step at once."
    )
    parts = [f'<h2>Floats, steps and chip</h2><p class="soft">{escape(trains)}</p>']
    parts += [f"<p class='soft'>{escape(line)}.</p>" for line in _protocol(comparison)]
    figures = "".join(
        document.figure(_curves(comparison, output), _titled(comparison, output, "over time")) for output in chip.scores
    )
    figures += document.figure(_spikes(comparison), "spikes of each layer, a sample")
    parts.append(f'<div class="grid">{figures}</div>')
    if chip.scores:
        parts.append(_scores(comparison))
    else:
        parts.append("<p class='soft'>There are no labels, so that nothing says how good the answers are.</p>")
    parts.append(_layers(comparison))
    parts.append(_keep_firing(comparison))
    return "".join(parts)


def _protocol(comparison: ChipComparison) -> Sequence[str]:
    """Whether samples were calibrated on."""
    protocol = comparison.chip.protocol if comparison.chip.scores else None
    return () if protocol is None else (str(protocol.overlap)[0].upper() + str(protocol.overlap)[1:],)


def _titled(comparison: ChipComparison, output: str, rest: str) -> str:
    kind = SCORES[comparison.chip.tasks[output].main]
    before = "" if len(comparison.chip.scores) == 1 else f"{output}: "
    return f"{before}{kind.title} {rest}"


def _curves(comparison: ChipComparison, output: str) -> Chart:
    """The main score after each step: of the chip, in steps, and of the trained network as a level."""
    name = comparison.chip.tasks[output].main
    kind, factor = SCORES[name], 100 if SCORES[name].percent else 1
    hover = "%{y:.2f} %" if kind.percent else "%{y:.4g}"
    curve = comparison.chip.scores[output][name]
    steps = list(range(1, len(curve) + 1))
    traces = [line(CHIP, "chip", steps, (factor * curve).tolist(), hover)]
    if comparison.stepped is not None:
        head = comparison.stepped.heads[output]
        if name in head.scores:
            traces.append(line(STEPPED, "in steps", steps, (factor * head.scores[name]).tolist(), hover))
        level = head.analog.get(name)
        if level is not None and np.isfinite(level):
            traces.append(
                {
                    "x": [1, len(curve)],
                    "y": [factor * level] * 2,
                    "name": f"trained, {kind.text(level, unit=True)}",
                    "mode": "lines",
                    "line": {"color": "muted", "dash": "dash", "width": 1.5},
                    "hoverinfo": "skip",
                }
            )
    axis = {"rangemode": "tozero"} if kind.percent or not kind.higher else {}
    return framed(traces, "steps", kind.axis(), yaxis=axis, height=LARGE, legend=True, hovermode="x unified")


def _spikes(comparison: ChipComparison) -> Chart:
    """Spikes of each layer, on the chip and in steps."""
    names = list(comparison.chip.layers)
    pairs = [comparison.spikes(name) for name in names]

    def bars(label: str, values: Sequence[float], shade: str) -> Chart:
        return {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "y": [plain(name) for name in names],
            "x": list(values),
            "marker": {"color": shade},
            "hovertemplate": "%{y}: %{x:.4s}",
        }

    traces = [bars("chip", [on_chip for on_chip, _ in pairs], f"c{CHIP}")]
    stepped = [in_steps for _, in_steps in pairs if in_steps is not None]
    traces += [bars("in steps", stepped, f"c{STEPPED}")] if stepped else []
    return framed(
        traces,
        "spikes per sample",
        "",
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        height=max(LARGE, 120 + 36 * len(names)),
        legend=True,
        bargap=0.3,
    )


def _scores(comparison: ChipComparison) -> str:
    """Every score of every output, at some steps."""
    steps = steps_to_show(comparison.chip.trains.timesteps)
    rows = []
    for output, scores in comparison.chip.scores.items():
        before = "" if len(comparison.chip.scores) == 1 else f"{output}: "
        head = None if comparison.stepped is None else comparison.stepped.heads[output]
        for name, curve in scores.items():
            kind = SCORES[name]
            title = before + kind.axis()
            rows.append([title, "chip", *(kind.text(curve[t - 1]) for t in steps)])
            if head is not None and name in head.scores:
                rows.append(["", "in steps", *(kind.text(head.scores[name][t - 1]) for t in steps)])
            if head is not None and name in head.analog:
                rows.append(["", "trained", *[""] * (len(steps) - 1), kind.text(head.analog[name])])
    return table(["score", "", *(f"T={t}" for t in steps)], rows, text=2)


def _layers(comparison: ChipComparison) -> str:
    rows = []
    for name, layer in comparison.chip.layers.items():
        on_chip, in_steps = comparison.spikes(name)
        more = [] if in_steps is None else [short(in_steps), f"{on_chip / in_steps:.3f}" if in_steps else ""]
        rows.append([name, short(on_chip), *more, short(layer.sent), short(layer.synops), f"{layer.waiting:.2%}"])
    beside = [] if comparison.stepped is None else ["in steps", "chip / steps"]
    header = ["layer, per sample", "spikes on the chip", *beside, "sent", "synops", "waiting"]
    return f"<h3>Layers</h3>{table(header, rows, text=1)}"


def _keep_firing(comparison: ChipComparison) -> str:
    """The neurons that keep firing, since a weight exceeds the threshold."""
    rows, found = [], False
    for name in comparison.chip.layers:
        one = comparison.keeps_firing(name)
        worst = ", ".join(f"{channel} ({share:.0%})" for channel, share in one.channels)
        found = found or bool(one.above)
        ratio = f"{one.weight / one.threshold:.2f}"
        rows.append([name, f"{one.weight:g}", f"{one.threshold:g}", ratio, f"{one.above:,}", f"{one.share:.2%}", worst])
    header = ["layer", "largest weight", "threshold", "ratio", "weights above", "waiting"]
    note = (
        "A neuron sends one spike for one event, whatever it weighs. Where a weight exceeds the threshold, what is "
        "left above it waits, and the neuron fires again at every event that follows, until the rest is sent. Waiting: "
        "the share of neurons in that state when a sample ends; then the channels with most of them. "
    )
    note += (
        "Higher thresholds (quantise --threshold-scale LAYER=2) make it rarer."
        if found
        else "Here no weight exceeds its threshold."
    )
    rows_table = table([*header, "channels where most wait"], rows, text=1, last_is_text=True)
    return f"<h3>Neurons that keep firing</h3><p class='soft'>{escape(note)}</p>{rows_table}"
