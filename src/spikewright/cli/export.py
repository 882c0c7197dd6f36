"""``spikewright export``: a spiking network handed on to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.cli.console import DtOption, JsonOption, err, out, print_json
from spikewright.cli.options import check_not_code
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.conversion import spiking_graph
from spikewright.exporters import check_export, exporters
from spikewright.exporters import export as write
from spikewright.loading import load
from spikewright.nodes import Output


def export(
    model: Annotated[str, typer.Argument(help="A network that 'spikewright convert' wrote.", metavar="SPIKING")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=f"Its suffix names the format: {', '.join(exporters.names())}.")
    ],
    dt: DtOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a spiking network for other simulators.

    Example: [bold]spikewright export spiking.safetensors -o network.nir[/bold]
    """
    options: dict[str, Any] = {} if dt is None else {"dt": dt}
    check_not_code(model)
    check_outputs({"--output": output}, {"SPIKING": model})
    check_export(output, force)
    graph = spiking_graph(load(model))
    write(graph, output, force=force, **options)
    applied = {node.name: node.activation for node in graph.of_type(Output) if node.activation}
    if as_json:
        facts = {"nodes": len(graph), "populations": len(graph.populations), "applied_to_readout": applied}
        print_json({"output": str(output), **facts, **options})
    else:
        for name, activation in applied.items():
            err.print(
                f"'{name}' applies a {activation} to its readout, which is noted in the file for Spikewright; "
                "other simulators answer with the values before it",
                highlight=False,
                markup=False,
            )
        out.print(f"written: {output}", highlight=False)
