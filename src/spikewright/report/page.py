"""The page itself: text, tables, and places for the charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.calibration import Statistics
from spikewright.convert import fates
from spikewright.errors import SettingsError
from spikewright.files import write_text
from spikewright.graph import Array, Graph
from spikewright.passes import Change
from spikewright.report import charts
from spikewright.report.candidate import Candidate


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
) -> Path:
    """Write one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        title: of the page.
        graph: as trained.
        folded: from ``prepare``.
        changes: from ``prepare``.
        statistics: of the folded graph.
        candidates: the conversions to compare; the layers are those of the first.
        settings: what reproduces it, by name.

    Raises:
        SettingsError: without a candidate, or when plotly is not installed.
        StorageError: when the file cannot be written.
    """
    if not candidates:
        raise SettingsError("a report needs at least one conversion")
    page = _Page()
    first = candidates[0]
    sections = [
        _head(title, candidates),
        _accuracy(page, candidates),
        _table_of_candidates(candidates),
        _layers(page, folded, statistics, first),
        _work(page, first),
        _raster(page, first, len(candidates)),
        _network(graph, fates(graph, changes)),
        _settings(settings),
    ]
    write_text(path, page.html(title, "\n".join(sections)))
    return Path(path)


class _Page:
    """Collects charts while the text is written."""

    def __init__(self) -> None:
        self.charts: list[charts.Chart] = []

    def figure(self, chart: charts.Chart, caption: str) -> str:
        """A place for a chart."""
        self.charts.append(chart)
        height = chart["layout"].get("height", 250)
        place = f'<div data-chart="{len(self.charts) - 1}" style="height:{height}px"></div>'
        return f"<figure><figcaption>{escape(caption)}</figcaption>{place}</figure>"

    def html(self, title: str, body: str) -> str:
        """The whole file."""
        here = files("spikewright.report")
        data = json.dumps(self.charts, separators=(",", ":")).replace("</", "<\\/")
        style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n{body}\n</main>\n"
            f'<script type="application/json" id="charts">{data}</script>\n'
            f"<script>{_plotly()}</script>\n<script>{script}</script></body></html>\n"
        )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise SettingsError("the report needs plotly: pip install 'spikewright[report]'") from None
    return str(get_plotlyjs())


def _head(title: str, candidates: Sequence[Candidate]) -> str:
    first = candidates[0].measures
    curve = first.accuracy if first.accuracy is not None else first.agreement
    facts: list[tuple[str, str]] = []
    if curve is not None:
        facts.append((f"{100 * curve[-1]:.2f} %", _answer(first.accuracy is not None, first.timesteps)))
    if first.analog_accuracy is not None and first.accuracy is not None:
        lost = 100 * (first.analog_accuracy - first.accuracy[-1])
        facts.append((f"{100 * first.analog_accuracy:.2f} %", "analog accuracy"))
        facts.append((f"{abs(lost):.2f}", "points lost" if lost >= 0 else "points gained"))
    facts += [
        (f"{first.firing_rate:.3f}", "spikes per neuron and timestep"),
        (_short(first.total_synops), "synaptic operations per sample"),
        (f"{first.energy_spiking / 1000:.2f} µJ", f"estimated; analog {first.energy_analog / 1000:.2f} µJ"),
    ]
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in facts)
    samples = f"{first.samples:,} samples, {first.timesteps} timesteps, thresholds by {candidates[0].label}"
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(samples)}</p><div class="facts">{cards}</div>'


def _answer(labelled: bool, timesteps: int) -> str:
    return f"{'accuracy' if labelled else 'agreement'} at T = {timesteps}"


def _accuracy(page: _Page, candidates: Sequence[Candidate]) -> str:
    plots = page.figure(charts.accuracy(candidates), "against time")
    plots += page.figure(charts.against_synops(candidates), "against work, taken as even over the timesteps")
    return (
        "<h2>How good, how soon</h2><p class='soft'>The answer at every timestep: what the outputs have received so "
        f'far. The dashed line is the trained network on the same samples.</p><div class="grid">{plots}</div>'
    )


def _table_of_candidates(candidates: Sequence[Candidate]) -> str:
    steps = [t for t in (4, 8, 16, 32, 64, 128, 256, 512, 1024) if t <= candidates[0].measures.timesteps]
    steps = steps[-5:] or [candidates[0].measures.timesteps]
    rows = []
    for candidate in candidates:
        measures = candidate.measures
        curve = measures.accuracy if measures.accuracy is not None else measures.agreement
        cells = [candidate.label, *(["" if curve is None else f"{100 * curve[t - 1]:.2f}" for t in steps])]
        energy = f"{measures.energy_spiking / 1000:.2f}"
        rows.append([*cells, f"{measures.firing_rate:.4f}", _short(measures.total_synops), energy])
    header = ["method", *(f"% at T={t}" for t in steps), "firing rate", "synops", "energy, µJ"]
    constants = candidates[0].measures.energy
    note = (
        f"Energy is an estimate of arithmetic alone: {constants.ac} pJ an accumulate, {constants.mac} pJ a "
        "multiply-accumulate (32-bit, 45 nm). An analog input costs its layer's multiply-accumulates at every step."
    )
    return f'{_html_table(header, rows, text=1)}<p class="soft">{escape(note)}</p>'


def _layers(page: _Page, folded: Graph, statistics: Statistics, first: Candidate) -> str:
    parts = ["<h2>Layer by layer</h2>", f"<p class='soft'>With thresholds by {escape(first.label)}.</p>"]
    for position, (name, layer) in enumerate(first.measures.layers.items()):
        pearson = None if layer.correlation is None else layer.correlation.pearson
        facts = ["×".join(map(str, layer.shape)), f"{layer.firing.mean:.4f} spikes per step"]
        facts += [f"{layer.firing.silent:.0%} silent"] + ([] if pearson is None else [f"correlation {pearson:.4f}"])
        plots = _distributions(page, folded, statistics, first, name)
        plots += page.figure(charts.rates(layer.firing), "firing rates")
        if layer.correlation is not None:
            plots += page.figure(
                charts.scatter(layer), f"rates against activations, rms error {layer.correlation.rms:.4f}"
            )
        opened = " open" if position == 0 else ""
        parts.append(
            f"<details{opened}><summary>{escape(name)}<span>{escape(' · '.join(facts))}</span></summary>"
            f'<div class="grid">{plots}</div></details>'
        )
    return "\n".join(parts)


def _distributions(page: _Page, folded: Graph, statistics: Statistics, first: Candidate, name: str) -> str:
    """Weights before and after, and activations with λ, of the population ``name``."""
    plots = ""
    if name in folded:
        source = folded[name].inputs[0]
        before, after = (_weights(g, source) for g in (folded, first.normalised))
        if before is not None and after is not None:
            plots += page.figure(charts.weights(before, after), f"weights of {source}, before and after normalising")
    if name in statistics.nodes and name in first.scales:
        scale = first.scales[name]
        note = "" if scale.ndim == 0 else f"; median of the channels' λ, {scale.min():.3g} to {scale.max():.3g}"
        chart = charts.activations(statistics.nodes[name], float(np.median(scale)))
        plots += page.figure(chart, f"activations before normalising, λ marked{note}")
    return plots


def _weights(graph: Graph, name: str) -> Array | None:
    """All weights that feed a population; through an Add, those of its branches."""
    if name not in graph:
        return None
    node = graph[name]
    if node.type == "Add":
        found = [w for w in (_weights(graph, i) for i in node.inputs) if w is not None]
        return np.concatenate(found) if found else None
    array = node.arrays.get("weight", node.arrays.get("scale"))
    return None if array is None else array.ravel()


def _work(page: _Page, first: Candidate) -> str:
    operations = first.measures.operations
    header = ["layer", "synops", "effective ACs", "effective MACs", "activation sparsity", "weight sparsity"]
    rows = [
        [
            name,
            _short(first.measures.synops[name].spikes),
            _short(one.acs),
            _short(one.macs),
            f"{one.activation_sparsity:.1%}",
            f"{one.connection_sparsity:.1%}",
        ]
        for name, one in operations.items()
    ]
    plot = page.figure(charts.synops(first.measures, "c0"), "by the layer that spikes arrive at")
    return f"<h2>Where the work is</h2>{plot}{_html_table(header, rows, text=1)}"


def _raster(page: _Page, first: Candidate, count: int) -> str:
    if not any(train.size for train in first.measures.raster.values()):
        return ""
    plot = page.figure(charts.raster(first.measures.raster, max(count, 3)), "the first sample, up to 40 neurons each")
    return f"<h2>Spikes</h2>{plot}"


def _network(graph: Graph, done: Mapping[str, str]) -> str:
    rows = [
        [
            node.name,
            node.type,
            "×".join(map(str, graph.shapes[node.name])),
            f"{node.parameters:,}" if node.parameters else "",
            f"{graph.macs(node):,}" if graph.macs(node) else "",
            done[node.name],
        ]
        for node in graph
    ]
    header = ["node", "type", "output shape", "parameters", "MACs", "conversion"]
    total = f"{graph.parameters:,} parameters, {sum(graph.macs(n) for n in graph):,} multiply-accumulates a sample."
    return f"<h2>The network</h2><p class='soft'>{total}</p>{_html_table(header, rows, text=3, last_is_text=True)}"


def _settings(settings: Mapping[str, Any]) -> str:
    lines = [f"{key}: {value}" for key, value in settings.items()] + [f"spikewright {version('spikewright')}"]
    return f"<h2>To reproduce it</h2><pre>{escape(chr(10).join(lines))}</pre>"


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int, last_is_text: bool = False) -> str:
    """A table whose first ``text`` columns are text, the rest numbers."""

    def cell(tag: str, column: int, value: str) -> str:
        number = column >= text and not (last_is_text and column == len(header) - 1)
        return f"<{tag}{' class=number' if number else ''}>{escape(value)}</{tag}>"

    def row(tag: str, values: Sequence[str]) -> str:
        return f"<tr>{''.join(cell(tag, k, v) for k, v in enumerate(values))}</tr>"

    body = "".join(row("td", values) for values in rows)
    return f'<div class="scroll"><table><thead>{row("th", header)}</thead><tbody>{body}</tbody></table></div>'


def _short(number: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
