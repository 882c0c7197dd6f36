"""``spikewright inspect``: what is in a network, and what conversion will do with it."""

from __future__ import annotations

from rich.table import Table

from spikewright.cli.console import (
    DtOption,
    JsonOption,
    ModelArgument,
    ShapeOption,
    WeightsOption,
    compact_table,
    out,
    parse_shape,
    print_json,
)
from spikewright.convert import fates, prepare
from spikewright.graph import Graph
from spikewright.load import load
from spikewright.text import shape_text


def inspect(
    model: ModelArgument,
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    dt: DtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network as a table: nodes, shapes, parameters, MACs, and what conversion will do with each.

    Example: [bold]spikewright inspect network.onnx[/bold]
    """
    graph = load(model, weights=weights, shape=parse_shape(shape), dt=dt)
    done = dict.fromkeys((node.name for node in graph), "spiking already")
    if not graph.populations:
        _, changes = prepare(graph)
        done = fates(graph, changes)
    if as_json:
        print_json({"model": model, "meta": dict(graph.meta), "nodes": _rows(graph, done)})
        return
    out.print(_table(graph, done, model))


def _rows(graph: Graph, done: dict[str, str]) -> list[dict[str, object]]:
    return [
        {
            "node": node.name,
            "type": node.type,
            "inputs": list(node.inputs),
            "shape": list(graph.shapes[node.name]),
            "parameters": node.parameters,
            "macs": graph.macs(node),
            "conversion": done[node.name],
        }
        for node in graph
    ]


def _table(graph: Graph, done: dict[str, str], title: str) -> Table:
    macs = sum(graph.macs(node) for node in graph)
    header = ("node", "type", "output shape", "parameters", "MACs", "conversion")
    footer = ("", "", "", f"{graph.parameters:,}", f"{macs:,}", "")
    table = compact_table(title, header, 3, last_is_text=True, footer=footer)
    for node in graph:
        numbers = (f"{n:,}" if n else "" for n in (node.parameters, graph.macs(node)))
        table.add_row(node.name, node.type, shape_text(graph.shapes[node.name]), *numbers, done[node.name])
    return table
