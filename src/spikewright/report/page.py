"""The report: what the page says, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikewright.calibration import Statistics
from spikewright.convert import fates
from spikewright.errors import SettingsError
from spikewright.files import write_text
from spikewright.graph import Graph
from spikewright.measure import Measures
from spikewright.passes import Change
from spikewright.report import charts
from spikewright.report.candidate import Candidate
from spikewright.report.document import Document, check_report
from spikewright.report.layers import closer
from spikewright.report.network import network_picture
from spikewright.report.table import table
from spikewright.text import shape_text, short, steps_to_show


def write_report(
    path: Path | str,
    *,
    title: str,
    graph: Graph,
    folded: Graph,
    changes: Sequence[Change],
    statistics: Statistics,
    candidates: Sequence[Candidate],
    settings: Mapping[str, Any],
    force: bool = False,
) -> Path:
    """Write one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        title: of the page.
        graph: as trained.
        folded: from ``prepare``.
        changes: from ``prepare``.
        statistics: of the folded graph.
        candidates: the conversions to compare, on the same samples; the first gives the numbers at the top.
        settings: what reproduces it, by name; "command" is shown as a command line.
        force: whether a file that stands there is replaced, once this one is whole.

    Returns:
        the path.

    Raises:
        SettingsError: without a candidate, for a name that is no page's, or when plotly is not installed.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_report(path, force)
    if not candidates:
        raise SettingsError("a report needs at least one conversion")
    document = Document()
    sections = [
        _head(title, candidates[0]),
        _accuracy(document, candidates),
        _table_of_candidates(candidates),
        _work(document, candidates),
        closer(document, folded, statistics, candidates),
        _network(graph, candidates[0], fates(graph, changes)),
        settings_section(settings),
    ]
    write_text(path, document.html(title, "\n".join(sections)), force)
    return Path(path)


def _head(title: str, first: Candidate) -> str:
    measures = first.measures
    curve = measures.curve
    facts: list[tuple[str, str]] = []
    if curve is not None:
        what = "accuracy" if measures.accuracy is not None else "agreement with the analog network"
        facts.append((f"{100 * curve[-1]:.2f} %", f"{what} at T = {measures.timesteps}"))
    if measures.analog_accuracy is not None and measures.accuracy is not None:
        lost = round(100 * (measures.analog_accuracy - measures.accuracy[-1]), 2)
        facts.append((f"{100 * measures.analog_accuracy:.2f} %", "accuracy of the analog network"))
        facts.append((f"{abs(lost):.2f}", "points lost" if lost >= 0 else "points gained"))
    analog = f"{measures.energy_analog / 1000:.3g}"
    facts += [
        (f"{measures.firing_rate:.3f}", "spikes per neuron and timestep"),
        (short(measures.total_synops), "synaptic operations per sample"),
        (f"{measures.energy_spiking / 1000:.3g} µJ", f"per sample, estimated; the analog network {analog} µJ"),
    ]
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in facts)
    steps = f"{measures.timesteps} timestep{'' if measures.timesteps == 1 else 's'}"
    samples = f"{measures.samples:,} sample{'' if measures.samples == 1 else 's'}"
    line = f"{samples}, {steps}, thresholds by {first.label}"
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(line)}</p><div class="facts">{cards}</div>'


def _accuracy(document: Document, candidates: Sequence[Candidate]) -> str:
    first = candidates[0].measures
    if first.curve is None:
        return (
            "<h2>How good, how soon</h2><p class='soft'>The outputs are not one row of classes: nothing to count.</p>"
        )
    views = [("all", charts.accuracy(candidates)), ("close-up", charts.accuracy(candidates, close=True))]
    views.append(("linear time", charts.accuracy(candidates, linear=True)))
    what = "the same answer as the analog network"
    if first.accuracy is not None:
        what = "accuracy"
        views.append(("agreement", charts.agreement(candidates)))
    plots = document.figures(views, f"{what} against time")
    plots += document.figure(charts.against_synops(candidates), f"{what} against work, spread evenly over time")
    line = " The dashed line is the trained network on the same samples." if first.accuracy is not None else ""
    text = f"The answer at every timestep: what the outputs have received so far.{line}"
    return f"<h2>How good, how soon</h2><p class='soft'>{text}</p><div class=\"grid\">{plots}</div>"


def _table_of_candidates(candidates: Sequence[Candidate]) -> str:
    longest = max(c.measures.timesteps for c in candidates)
    steps = steps_to_show(longest)
    rows = []
    for candidate in candidates:
        measures = candidate.measures
        curve = measures.curve
        known = 0 if curve is None else len(curve)
        cells = [candidate.label, *("" if curve is None or t > known else f"{100 * curve[t - 1]:.2f}" for t in steps)]
        energy = [f"{measures.energy_spiking / 1000:.3g}", f"{_input_energy(measures) / 1000:.3g}"]
        rows.append([*cells, f"{measures.firing_rate:.4f}", short(measures.total_synops), *energy])
    header = ["method", *(f"% at T={t}" for t in steps), "firing rate", "synops", "energy, µJ", "the input's part, µJ"]
    constants = candidates[0].measures.energy
    note = (
        f"Energy is an estimate of arithmetic alone: {constants.ac} pJ an accumulate, {constants.mac} pJ a "
        "multiply-accumulate (32-bit, 45 nm); no memory, no chip. A spike costs accumulates; an analog input costs "
        "the multiply-accumulates of its layer at every timestep."
    )
    return f'{table(header, rows, text=1)}<p class="soft">{escape(note)}</p>'


def _input_energy(measures: Measures) -> float:
    """Nanojoules per sample that the analog input costs."""
    connections = sum(layer.input_connections for layer in measures.synops.values())
    return connections * measures.timesteps * measures.energy.mac / 1000


def _work(document: Document, candidates: Sequence[Candidate]) -> str:
    plot = document.figure(charts.synops(candidates), "synaptic operations, by the layer that spikes arrive at")
    return f"<h2>Where the work is</h2>{plot}"


def _network(graph: Graph, first: Candidate, done: Mapping[str, str]) -> str:
    rows = [
        [
            node.name,
            node.type,
            shape_text(graph.shapes[node.name]),
            f"{node.parameters:,}" if node.parameters else "",
            f"{graph.macs(node):,}" if graph.macs(node) else "",
            done[node.name],
        ]
        for node in graph
    ]
    header = ["node", "type", "output shape", "parameters", "MACs", "conversion"]
    total = f"{graph.parameters:,} parameters, {sum(graph.macs(n) for n in graph):,} multiply-accumulates a sample."
    caption = f"as spikes, thresholds by {first.label}: populations, and what the connections between them are made of"
    drawing = network_picture(first.spiking, standalone=False).svg
    figure = (
        f'<figure><figcaption>{escape(caption)}</figcaption><div class="drawing" tabindex="0">{drawing}</div></figure>'
    )
    rows_table = table(header, rows, text=3, last_is_text=True)
    return f"<h2>The network</h2><p class='soft'>{total}</p>{figure}{rows_table}"


def settings_section(settings: Mapping[str, Any]) -> str:
    """What reproduces a page."""
    command = settings.get("command")
    shown = "" if command is None else f"<pre>{escape(str(command))}</pre>"
    others = {**{key: value for key, value in settings.items() if key != "command"}, "spikewright": _version()}
    rows = [[key, "–" if value in (None, "") else str(value)] for key, value in others.items()]
    return f'<h2>To reproduce it</h2>{shown}<div class="settings">{table(["setting", "value"], rows, text=2)}</div>'


def _version() -> str:
    return version("spikewright")
