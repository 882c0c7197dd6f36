"""``spikewright inspect``: what is in a network, and what conversion will do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from spikewright.cli.console import (
    AnswerOption,
    DtOption,
    JsonOption,
    LeakyOption,
    ShapeOption,
    VerifyOption,
    WeightsOption,
    parse_shape,
)
from spikewright.cli.options import check_idle
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.remembered import Result, read, read_history
from spikewright.cli.terminal import compact_table, out, print_json
from spikewright.conversion import Conversion, spiking_graph, what_became
from spikewright.frontends.verify import verification
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.preparation import prepare
from spikewright.provenance import PROVENANCE, History, descriptions
from spikewright.reports.network import check_picture, write_picture
from spikewright.reports.network.diagram import spread
from spikewright.text import listed, shape_text

_OF_NETWORKS = ("weights", "shape", "answer", "leaky", "picture", "dt", "force", "verify")
"""Options that only networks have."""


def inspect(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A .onnx, .pt2, .keras, .h5, .nir or Spikewright .safetensors file, or FILE.py:FACTORY; or any other "
            "result.",
            metavar="MODEL",
        ),
    ],
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    answer: AnswerOption = "keep",
    leaky: LeakyOption = "refuse",
    picture: Annotated[Path | None, typer.Option(help="Draw it too: a .svg, .html or .png file.")] = None,
    dt: DtOption = None,
    force: ForceOption = False,
    verify: VerifyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network as a table: nodes, shapes, parameters, MACs, and what conversion will do with each. Of any other
    result, such as curves, events, synapses, statistics or a page, show what it is and what made it.

    Example: [bold]spikewright inspect network.onnx[/bold]
    Example: [bold]spikewright inspect run.npz[/bold]
    """
    other = read(Path(model)) if ".py:" not in model else None
    if other is not None:
        check_idle(context, _OF_NETWORKS, f"{model} holds no network to be drawn or read")
        _show(model, other, as_json)
        return
    if picture is not None:
        check_outputs({"--picture": picture}, {"MODEL": model, "--weights": weights})
        check_picture(picture, force)
    network = load(model, weights=weights, shape=parse_shape(shape), dt=dt, verify=verify)
    graph = spiking_graph(network)
    proof = verification(graph)
    drawn: Graph | Conversion = network
    done = dict.fromkeys((node.name for node in graph), "spiking already")
    if not graph.populations:
        drawn, changes = prepare(graph, answer=answer, leaky=leaky)
        done = what_became(graph, changes)
    if picture is not None:
        write_picture(picture, drawn, title=Path(model).name, force=force)
    if as_json:
        drawing = {} if picture is None else {"picture": str(picture)}
        known = {"text": str(proof), **proof.facts}
        made = {"conversion": _facts(network)} if isinstance(network, Conversion) else {}
        facts = {"model": model, "meta": dict(graph.meta), "verified": known, **made}
        print_json({**facts, "nodes": _rows(graph, done), **drawing})
        return
    out.print(_table(graph, done, model, network))
    source = "the network it was converted from: " if graph.populations and proof.against else ""
    out.print(f"{source}{proof}", highlight=False, soft_wrap=True, markup=False)
    if isinstance(network, Conversion):
        for line in _lines(network):
            out.print(line, highlight=False, soft_wrap=True, markup=False)
    elif Path(model).suffix.lower() == ".nir":
        for line in _made(read_history(Path(model))):
            out.print(line, highlight=False, soft_wrap=True, markup=False)
    if picture is not None:
        out.print(f"written: {picture}", highlight=False, soft_wrap=True)


def _lines(conversion: Conversion) -> list[str]:
    """How a conversion was made."""
    lines = [f"calibration: {conversion.calibration}"]
    told = {
        "neurons": str(conversion.neurons),
        "readout": "" if conversion.readout == "potential" else conversion.readout,
        "answer": "" if conversion.answer == "keep" else conversion.answer,
        "tasks": ", ".join(f"{name} {task}" for name, task in conversion.tasks.items()),
        "preprocessing": str(conversion.preprocessing),
        "classes": listed(conversion.classes),
    }
    lines += [f"{label}: {text}" for label, text in told.items() if text]
    lines.append(f"contract: {conversion.contract}")
    lines += [f"corrected: {correction}" for correction in conversion.corrections]
    lines += _made(conversion.provenance)
    return lines + ([f"changed since at: {listed(conversion.changed)}"] if conversion.changed else [])


def _made(steps: History) -> list[str]:
    return [line for step in steps for line in step.lines]


def _show(path: str, found: Result, as_json: bool) -> None:
    """What a result that is no network is, and what made it."""
    if as_json:
        print_json({"file": path, "holds": list(found.lines), PROVENANCE: descriptions(found.provenance)})
        return
    made = _made(found.provenance) or ["made by: it does not say"]
    for line in (*found.lines, *made):
        out.print(line, highlight=False, soft_wrap=True, markup=False)


def _facts(conversion: Conversion) -> dict[str, object]:
    """The same as plain JSON-like values."""
    calibration = conversion.calibration
    return {
        "method": calibration.method,
        "samples": calibration.samples,
        "inputs": {name: list(ends) for name, ends in calibration.inputs.items()},
        "neurons": str(conversion.neurons),
        **{label: getattr(conversion, label) for label in ("view", "readout", "answer")},
        "tasks": dict(conversion.tasks),
        "preprocessing": str(conversion.preprocessing),
        "classes": list(conversion.classes),
        "contract": conversion.contract.summary(),
        "corrections": [str(correction) for correction in conversion.corrections],
        "changed": list(conversion.changed),
        PROVENANCE: descriptions(conversion.provenance),
        "became": dict(conversion.became),
    }


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


def _table(graph: Graph, done: dict[str, str], title: str, network: Graph | Conversion) -> Table:
    macs = sum(graph.macs(node) for node in graph)
    units = network.units if isinstance(network, Conversion) else {}
    spiking = (*("θ" for _ in graph.populations[:1]), *("λ" for _ in list(units)[:1]))
    header = ("node", "type", "output shape", "parameters", "MACs", *spiking)
    footer = ("", "", "", f"{graph.parameters:,}", f"{macs:,}", *("" for _ in spiking))
    if graph.populations:
        table = compact_table(f"{title}, spiking already", header, 3, footer=footer)
    else:
        table = compact_table(title, (*header, "conversion"), 3, last_is_text=True, footer=(*footer, ""))
    for node in graph:
        numbers = (f"{n:,}" if n else "" for n in (node.parameters, graph.macs(node)))
        became = () if graph.populations else (done[node.name],)
        values = (getattr(node, "threshold", None) if node.population else None, units.get(node.name))
        told = ("" if value is None else spread(value) for value in values[: len(spiking)])
        table.add_row(node.name, node.type, shape_text(graph.shapes[node.name]), *numbers, *told, *became)
    return table
