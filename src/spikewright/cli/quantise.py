"""``spikewright quantise``: a converted network in the integers of a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikewright.chips.quantise import SAMPLES
from spikewright.chips.quantise import quantise as quantise_conversion
from spikewright.chips.storage import save_quantised
from spikewright.cli.console import JsonOption, out, print_json
from spikewright.cli.options import check_not_code
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.conversion import Conversion
from spikewright.data import load_data
from spikewright.errors import SettingsError
from spikewright.loading import load
from spikewright.storage import check_save


def quantise(
    model: Annotated[str, typer.Argument(help="A conversion that 'spikewright convert' wrote.", metavar="SPIKING")],
    chip: Annotated[str, typer.Option(help="Whose words the numbers have to fit: speck2f, say.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="What the chip runs.")] = Path("chip.safetensors"),
    data: Annotated[
        str | None,
        typer.Option(help="Samples to calibrate with: factors that lose least, outliers cut off where that pays."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="At most so many of them.")] = SAMPLES,
    rate: Annotated[float, typer.Option(help="Events a step of an input's largest value.")] = 1.0,
    ticks: Annotated[int, typer.Option(min=1, help="Of the slow clock in a step, which add the biases.")] = 1,
    bias_bits: Annotated[
        int | None, typer.Option(help="Of biases: those of the chip; 8 as other tools take it.", min=2, max=16)
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Quantise a conversion for a chip: 8-bit kernels, 16-bit thresholds and potentials, one factor a layer.

    Example: [bold]spikewright quantise spiking.safetensors --chip speck2f --data mnist/ -o chip.safetensors[/bold]
    """
    check_not_code(model)
    check_outputs({"--output": output}, {"SPIKING": model, "--data": data})
    check_save(output, force)
    network = load(model)
    if not isinstance(network, Conversion):
        raise SettingsError(f"{model}: is no conversion; quantise what 'spikewright convert' wrote")
    pictures = None
    if data is not None:
        pictures = load_data(
            data,
            split="train",
            inputs=network.spiking.inputs,
            preprocessing=network.preprocessing,
            classes=network.classes,
        )
    found = quantise_conversion(network, chip, pictures, rate=rate, ticks=ticks, bias_bits=bias_bits, samples=samples)
    save_quantised(found, output, force)
    if as_json:
        print_json({"output": str(output), **found.summary()})
        return
    for line in str(found).splitlines():
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"written: {output}", highlight=False, soft_wrap=True)
