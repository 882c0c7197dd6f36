"""``spikewright export``: a spiking network handed on to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.chips.formats import (
    check_chip_export,
    chip_formats,
    chip_settings,
    export_chip,
    is_chip_format,
    needs_integers,
)
from spikewright.chips.storage import is_quantised, load_quantised
from spikewright.cli.console import DtOption, JsonOption
from spikewright.cli.options import check_not_code
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.terminal import err, out, print_json
from spikewright.conversion import spiking_graph
from spikewright.errors import SettingsError
from spikewright.exporters import check_export, exporters
from spikewright.exporters import export as write
from spikewright.loading import load
from spikewright.nodes import Output

FORMATS = ", ".join([*exporters.names(), *chip_formats.names()])


def export(
    model: Annotated[
        str,
        typer.Argument(help="A network that 'spikewright convert' or 'spikewright quantise' wrote.", metavar="SPIKING"),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help=f"Its suffix names the format: {FORMATS}.")],
    dt: DtOption = None,
    chip_readout: Annotated[
        bool,
        typer.Option("--chip-readout", help="With .json: answers are read by the chip's readout, not from events."),
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--chip-settings",
            help="With .nir: what 'quantise' made of the same network, whose settings are noted as metadata.",
            metavar="CHIP",
        ),
    ] = None,
    feedback: Annotated[
        bool,
        typer.Option(
            "--feedback",
            help="With .nir: reset by subtraction in NIR's own primitives, for simulators that read recurrence.",
        ),
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a spiking network for other simulators, or what 'quantise' wrote for a chip, for C or for an FPGA.

    Example: [bold]spikewright export spiking.safetensors -o network.nir[/bold]
    Example: [bold]spikewright export chip.safetensors -o speck.json[/bold]
    """
    options: dict[str, Any] = {} if dt is None else {"dt": dt}
    options |= {label: True for label, given in {"chip_readout": chip_readout, "feedback": feedback}.items() if given}
    check_not_code(model)
    check_outputs({"--output": output}, {"SPIKING": model, "--chip-settings": settings})
    if chip_readout and output.suffix.lower() != ".json":
        raise SettingsError("--chip-readout would change nothing: it is for the settings of a chip, .json")
    if feedback and output.suffix.lower() != ".nir":
        raise SettingsError("--feedback would change nothing: it is about neurons in .nir")
    if is_quantised(model):
        check_chip_export(output, force)
        if dt is not None:
            raise SettingsError("--dt would change nothing: a chip has no steps; the slow clock is set on the board")
        if settings is not None:
            raise SettingsError("--chip-settings stands beside a conversion; this is what 'quantise' wrote itself")
        export_chip(load_quantised(model), output, force=force, **options)
        if as_json:
            print_json({"output": str(output), **options})
        else:
            out.print(f"written: {output}", highlight=False)
        return
    if is_chip_format(output):
        load(model)  # a file that is not there, or is damaged, is the first thing to say
        raise SettingsError(needs_integers(output))
    check_export(output, force)
    if settings is not None and output.suffix.lower() != ".nir":
        raise SettingsError("--chip-settings would change nothing: they are noted in .nir")
    noted = {} if settings is None else {"chip": chip_settings(load_quantised(settings))}
    network = load(model)
    graph = spiking_graph(network)
    write(network, output, force=force, **options, **noted)
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
