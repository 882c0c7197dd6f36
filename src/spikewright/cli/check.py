"""``spikewright check``: whether a network fits a chip, why not, and what would."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from spikewright.chips.fit import Fit
from spikewright.chips.fit import check as checked
from spikewright.chips.known import chip as known_chip
from spikewright.chips.known import chips
from spikewright.cli.console import (
    JsonOption,
    ShapeOption,
    WeightsOption,
    compact_table,
    out,
    parse_shape,
    print_json,
)
from spikewright.cli.options import duration
from spikewright.loading import load
from spikewright.text import shape_text

UNFIT = 1
"""Exit status of a network that does not fit."""


def check(
    model: Annotated[
        str,
        typer.Argument(help="A network that 'convert' wrote; of a trained one the sizes are checked.", metavar="NET"),
    ],
    chip: Annotated[str, typer.Option(help=f"One of {', '.join(chips.names())}.")] = "speck2f",
    dt: Annotated[
        str | None,
        typer.Option(
            help="How long a step is: 1ms, 500us, 0.001 (seconds). Biases are added once a step.", metavar="TIME"
        ),
    ] = None,
    chip_readout: Annotated[
        bool, typer.Option("--chip-readout", help="Answers are read by the chip's readout, not from events.")
    ] = False,
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a network against a chip: memory of every layer, limits, the core that it gets, what would fit instead.

    Exit status: 0 if it fits, 1 if it does not, 2 for errors.

    Example: [bold]spikewright check spiking.safetensors --chip speck2f --dt 1ms[/bold]
    """
    own = known_chip(chip)
    step = None if dt is None else duration("--dt", dt)
    network = load(model, weights=weights, shape=parse_shape(shape))
    fit = checked(network, own, dt=step, chip_readout=chip_readout)
    if as_json:
        print_json({"model": model, **fit.summary()})
    else:
        out.print(_table(fit, model))
        for line in (*fit.lines(), *fit.remarks):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        _rewrites(fit)
        out.print(f"{model} {'fits' if fit.fits else 'does not fit'} {own}", highlight=False, markup=False)
    if not fit.fits:
        raise typer.Exit(UNFIT)


def _table(fit: Fit, model: str) -> Table:
    header = ("layer", "in", "out", "kernel", "kernel words", "neuron words", "bias words", "core", "holds it")
    table = compact_table(f"{model} on {fit.chip}", header, 1)
    for layer in fit.layers:
        table.add_row(
            layer.layer,
            shape_text(layer.input_shape),
            shape_text(layer.output_shape),
            f"{layer.kernel}×{layer.kernel}",
            f"{layer.kernel_words:,}",
            f"{layer.neuron_words:,}",
            f"{layer.bias_words:,}",
            "–" if layer.core is None else str(layer.core),
            ranges(layer.cores) or "none",
        )
    return table


def _rewrites(fit: Fit) -> None:
    """What was rewritten for the chip, each kind once with its layers."""
    found: dict[str, list[str]] = {}
    for layer in fit.layers:
        for name in layer.rewrites:
            found.setdefault(name, []).append(layer.layer)
    for name, layers in found.items():
        out.print(f"rewritten: {name} ({', '.join(layers)})", highlight=False, markup=False, soft_wrap=True)


def ranges(numbers: tuple[int, ...]) -> str:
    """``0-4, 7`` for 0, 1, 2, 3, 4 and 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, ends)) for ends in found)
