"""The sections about one candidate: its layers, where its work is, its spikes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from spikewright.calibration import Statistics
from spikewright.conversion import Conversion
from spikewright.experiment import Candidate
from spikewright.graph import Array, Graph
from spikewright.measures import LayerMeasures
from spikewright.reports import charts
from spikewright.reports.document import Document
from spikewright.reports.table import table
from spikewright.text import shape_text, short, significant


def layer_by_layer(document: Document, statistics: Statistics | None, candidates: Sequence[Candidate]) -> str:
    """Layer by layer, for the candidate that the reader chooses."""
    buttons = "".join(
        f'<button type="button" data-choose="{k}" aria-pressed="{str(k == 0).lower()}" '
        f'style="--own: var(--{charts.colour(k)})">{escape(candidate.label)}</button>'
        for k, candidate in enumerate(candidates)
    )
    chooser = f'<div class="chooser"><span>thresholds by</span>{buttons}</div>' if len(candidates) > 1 else ""
    sections = "".join(
        f'<section data-of="{k}"{"" if k == 0 else " hidden"}>'
        f"{_layers(document, statistics, candidate, k)}"
        f"{_operations(candidate)}{_others(candidate)}{_raster(document, candidate, k)}</section>"
        for k, candidate in enumerate(candidates)
    )
    return f"<h2>Layer by layer</h2>{chooser}{sections}"


def _layers(document: Document, statistics: Statistics | None, candidate: Candidate, index: int) -> str:
    layers = candidate.measures.layers
    busiest = max((layer.firing.mean for layer in layers.values()), default=0.0)
    own = f'style="--own: var(--{charts.colour(index)})"'
    header = "".join(
        f"<span>{title}</span>" for title in ("population", "shape", "λ", "spikes per step", "over time", "silent")
    )
    parts = [f'<div class="layers" {own}><div class="row head">{header}<span>correlation</span></div>']
    for position, (name, layer) in enumerate(layers.items()):
        plots = _distributions(document, statistics, candidate, index, name)
        over_time = candidate.measures.rate_over_time.get(name)
        if over_time is not None and len(over_time) > 1:
            plots += document.figure(charts.rate_over_time(over_time, index), "rate over time, the first sample")
        plots += document.figure(charts.rates(layer.firing, index), "firing rates of the neurons, over all samples")
        if layer.correlation is not None:
            caption = f"rates against activations: {_correlation(layer)}, rms error {layer.correlation.rms:.4f}"
            plots += document.figure(charts.scatter(layer, index), caption)
        facts = [
            f"<b>{escape(name)}</b>",
            shape_text(layer.shape),
            _lambda(candidate.conversion.units.get(name)),
            f"{layer.firing.mean:.4f}",
            f'<i style="width:{100 * layer.firing.mean / (busiest or 1.0):.1f}%"></i>{_sparkline(over_time)}',
            f"{layer.firing.silent:.0%}",
            _correlation(layer).removeprefix("correlation "),
        ]
        cells = "".join(f"<span>{fact}</span>" for fact in facts)
        parts.append(
            f'<details data-layer="{position}"{" open" if position == 0 else ""}>'
            f'<summary class="row">{cells}</summary><div class="grid">{plots}</div></details>'
        )
    return "\n".join([*parts, _readouts(document, candidate, index), "</div>"])


def _sparkline(rate: Array | None) -> str:
    """The rate over time as a line without axes, up to its own largest value."""
    if rate is None or len(rate) < 2:
        return ""
    some = rate[np.linspace(0, len(rate) - 1, min(len(rate), 64), dtype=int)]
    top, last = float(some.max()) or 1.0, len(some) - 1
    points = " ".join(f"{100 * k / last:.1f},{19 - 17 * float(v) / top:.1f}" for k, v in enumerate(some))
    return (
        '<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline points="{points}"/></svg>'
    )


def _correlation(layer: LayerMeasures) -> str:
    pearson = None if layer.correlation is None else layer.correlation.pearson
    return "correlation –" if pearson is None else f"correlation {pearson:.4f}"


def _lambda(scale: Array | None) -> str:
    if scale is None:
        return ""
    if scale.ndim == 0:
        return significant(scale.item())
    return f"{significant(scale.min(), 2)} to {significant(scale.max(), 2)}"


def _distributions(
    document: Document, statistics: Statistics | None, candidate: Candidate, index: int, name: str
) -> str:
    """Weights and activations of the population ``name`` before and after."""
    plots, reference = "", candidate.conversion.reference
    if name in reference:
        plots += _weights(document, candidate, index, reference[name].inputs[0])
    scales = candidate.conversion.scales
    if statistics is not None and name in statistics.nodes and name in scales:
        scale, pairs = scales[name], candidate.measures.layers[name].correlation
        before = charts.activations(statistics.nodes[name], scale, index)
        if scale.ndim == 0 or pairs is None:
            plots += document.figure(before, "activations before and after normalising, λ marked")
        else:
            views = [("before", before), ("after", charts.normalised(pairs.analog, index))]
            plots += document.figures(views, f"activations, normalised with λ of {scale.size} channels")
    return plots


def _weights(document: Document, candidate: Candidate, index: int, source: str) -> str:
    before, after = weights_before_and_after(candidate.conversion, source)
    if before is None or after is None:
        return ""
    chart = charts.weights(before, after, index)
    return document.figure(chart, f"{before.size:,} weights of {source}, before and after normalising")


def weights_before_and_after(conversion: Conversion, source: str) -> tuple[Array | None, Array | None]:
    """All weights of a layer before and after normalising, in one row each; None where it has none.

    Args:
        conversion: whose weights they are.
        source: the layer; of an Add those of its branches are taken.
    """
    return _weights_into(conversion.reference, source), _weights_into(conversion.spiking, source)


def _weights_into(graph: Graph, name: str) -> Array | None:
    """All weights that feed a population; through an Add, those of its branches."""
    if name not in graph:
        return None
    node = graph[name]
    if node.type == "Add":
        found = [w for w in (_weights_into(graph, i) for i in node.inputs) if w is not None]
        return np.concatenate(found) if found else None
    array = node.arrays.get("weight", node.arrays.get("scale"))
    return None if array is None else array.ravel()


def _readouts(document: Document, candidate: Candidate, index: int) -> str:
    """The weights of outputs that add up their input and never fire."""
    parts, folded = [], candidate.conversion.folded
    for node in folded:
        if node.type != "Output" or candidate.conversion.readout == "count":
            continue
        shape = shape_text(folded.shapes[node.name])
        plot = _weights(document, candidate, index, node.inputs[0])
        if plot:
            cells = f"<span><b>{escape(node.name)}</b></span><span>{shape}</span><span></span><span>adds up</span>"
            parts.append(f'<details data-layer="{escape(node.name)}"><summary class="row">{cells}</summary>')
            parts.append(f'<div class="grid">{plot}</div></details>')
    return "".join(parts)


def _operations(candidate: Candidate) -> str:
    measures = candidate.measures
    header = ["layer", "synops of spikes", "of relays", "MACs of an analog input", "effective ACs", "effective MACs"]
    rows = [
        [
            name,
            short(measures.synops[name].spikes),
            short(measures.synops[name].relayed),
            short(measures.synops[name].input_connections * measures.timesteps),
            short(one.acs),
            short(one.macs),
            f"{one.activation_sparsity:.1%}",
            f"{one.connection_sparsity:.1%}",
        ]
        for name, one in measures.operations.items()
    ]
    note = (
        "Per sample, over all timesteps. Synops are spikes times the connections they travel; where a layer without "
        "neurons hands values on (a relay), each value is one, and costs a multiply-accumulate. Effective operations "
        "leave out what is multiplied by zero; they are accumulates (ACs) only where all that arrives at a layer is "
        "−1, 0 or 1, so a layer behind average pooling has multiply-accumulates (MACs)."
    )
    rows_table = table([*header, "zeros among inputs", "among weights"], rows, text=1)
    return f"<h3>Operations</h3><p class='soft'>{escape(note)}</p>{rows_table}"


def _others(candidate: Candidate) -> str:
    """What found measures say of single layers."""
    shown = [reading for reading in candidate.measures.others.values() if reading.layers]
    names = dict.fromkeys(name for reading in shown for name in reading.layers)
    rows = [[name, *(reading.text(name) for reading in shown)] for name in names]
    return f"<h3>Other measures</h3>{table(['layer', *(r.title for r in shown)], rows, text=1)}" if shown else ""


def _raster(document: Document, candidate: Candidate, index: int) -> str:
    trains = candidate.measures.raster
    if not any(train.size for train in trains.values()):
        return "<h3>Spikes</h3><p class='soft'>No neuron fired for the first sample.</p>"
    plot = document.figure(charts.raster(trains, index), "the first sample; of each population up to 40 that fired")
    title = "Single spikes of the first sample"
    return f'<details class="protocol"><summary>{title}</summary>{plot}</details>'
