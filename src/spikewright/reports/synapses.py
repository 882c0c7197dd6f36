"""The page about a synapse graph: the network with its traffic, and how many synapses its neurons have."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from spikewright.files import write_text
from spikewright.reports.charts import degrees
from spikewright.reports.document import Document, check_report
from spikewright.reports.network import network_figures, network_pictures
from spikewright.reports.reproducing import settings_section
from spikewright.reports.table import table
from spikewright.synapse_graph import Synapses
from spikewright.synapse_graph.summary import Degrees, Summary, Traffic
from spikewright.text import shape_text, short


def write_synapse_report(
    path: Path | str,
    synapses: Synapses,
    summary: Summary,
    *,
    title: str,
    settings: Mapping[str, Any],
    force: bool = False,
) -> Path:
    """Write one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        synapses: the graph.
        summary: of it.
        title: of the page.
        settings: what reproduces it, by name; "command" is shown as a command line.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        SettingsError: for a name that is no page's.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_report(path, force)
    document = Document()
    sections = [
        _head(title, synapses, summary),
        _picture(synapses, summary),
        _projections(summary),
        _groups(document, summary),
        settings_section(settings),
    ]
    write_text(path, document.html(title, "\n".join(sections)), force)
    return Path(path)


def carried(traffic: Traffic) -> list[str]:
    """What a projection carries, in a few words."""
    lines = [f"{short(traffic.synapses)} synapse{'' if traffic.synapses == 1 else 's'}"]
    return lines if traffic.events is None else [*lines, f"{short(traffic.events)} events a step"]


def _head(title: str, synapses: Synapses, summary: Summary) -> str:
    facts = [(short(summary.synapses), "synapses"), (short(summary.neurons), "neurons")]
    facts.append((str(len(summary.groups)), "groups"))
    events = [one.events for one in summary.projections.values() if one.events is not None]
    line = "weights only: no rates were given"
    if synapses.rates is not None:
        facts.append((short(sum(events)), "events a timestep, over all synapses"))
        line = f"rates of {synapses.rates.samples:,} samples over {synapses.rates.timesteps} timesteps"
    if summary.cut is not None:
        for kind, count, sent in (
            ("edge", summary.cut.edges, summary.cut.edge_events),
            ("multicast", summary.cut.multicast, summary.cut.multicast_events),
        ):
            facts.append((short(count), f"{kind} cut") if sent is None else (short(sent), f"{kind} cut, a timestep"))
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in facts)
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(line)}</p><div class="facts">{cards}</div>'


def _picture(synapses: Synapses, summary: Summary) -> str:
    captions: dict[str, list[str]] = {}
    for one in synapses.projections:
        if one.path.through:
            captions.setdefault(one.path.through[-1], []).extend(carried(summary.projections[one.name]))
    pictures = network_pictures(synapses.graph, captions=captions)
    return f"<h2>The network</h2>{network_figures(pictures, 'populations, and what travels between them')}"


def _projections(summary: Summary) -> str:
    rows = [
        [source, dest, f"{one.synapses:,}", *("" if v is None else short(v) for v in (one.events, one.edge))]
        for (source, dest), one in summary.pairs.items()
    ]
    note = (
        "Events: what the source's neurons send in a timestep, once for every synapse that it takes. Sum of edges: "
        "rate × weight over all synapses; with true pool weights, the current into the destination without biases."
    )
    header = ["from", "to", "synapses", "events a step", "sum of edges"]
    return f'<h2>Traffic</h2>{table(header, rows, text=2)}<p class="soft">{escape(note)}</p>'


def _groups(document: Document, summary: Summary) -> str:
    rows = [
        [name, group.kind, shape_text(group.shape), f"{group.neurons:,}", *map(_span, _both(summary, name))]
        for name, group in summary.groups.items()
    ]
    header = ["group", "kind", "shape", "neurons", "synapses in", "synapses out"]
    large = [name for name, group in summary.groups.items() if group.neurons > 1]
    into, out = summary.fan_in, summary.fan_out
    ins = [(name, degrees(into[name], "synapses into a neuron")) for name in large if name in into]
    outs = [(name, degrees(out[name], "synapses out of a neuron")) for name in large if name in out]
    plots = document.figures(ins, "fan-in") if ins else ""
    plots += document.figures(outs, "fan-out") if outs else ""
    return f'<h2>Neurons</h2>{table(header, rows, text=3)}<div class="grid">{plots}</div>'


def _both(summary: Summary, name: str) -> tuple[Degrees | None, Degrees | None]:
    return summary.fan_in.get(name), summary.fan_out.get(name)


def _span(one: Degrees | None) -> str:
    if one is None:
        return ""
    return f"{one.low:,}" if one.low == one.high else f"{one.low:,} to {one.high:,}"
