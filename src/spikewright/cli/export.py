"""``spikewright export``: a spiking network handed on to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.cli.console import DtOption, JsonOption, out, print_json
from spikewright.export import export as write
from spikewright.load import load


def export(
    model: Annotated[str, typer.Argument(help="A network that 'spikewright convert' wrote.", metavar="SPIKING")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Its suffix names the format: .nir.")],
    dt: DtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a spiking network for other simulators.

    Example: [bold]spikewright export spiking.safetensors -o network.nir[/bold]
    """
    options: dict[str, Any] = {} if dt is None else {"dt": dt}
    graph = load(model)
    write(graph, output, **options)
    if as_json:
        print_json({"output": str(output), "nodes": len(graph), "populations": len(graph.populations), **options})
    else:
        out.print(f"written: {output}", highlight=False)
