"""``spikewright quantise``: a converted network in the integers of a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.chips.quantise import SAMPLES
from spikewright.chips.quantise import quantise as quantise_conversion
from spikewright.chips.spike_settings import by_layer
from spikewright.chips.storage import save_quantised
from spikewright.cli.console import JsonOption, out, print_json
from spikewright.cli.options import check_not_code
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.conversion import Conversion
from spikewright.data import load_data
from spikewright.data.recordings import frames_in
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
    return_to_zero: Annotated[
        bool | None,
        typer.Option(
            "--return-to-zero/--subtract",
            help="Whether a spike sets the potential to 0 or takes the threshold off; as converted unless given.",
        ),
    ] = None,
    decimator: Annotated[
        str,
        typer.Option(
            help="One of so many spikes is passed on: 1 (off), 2, 4, 8, 16, 32, 128, 256, 512; for all layers, or "
            "LAYER=4,OTHER=2. Weights behind are taken so many times.",
            metavar="N",
        ),
    ] = "1",
    threshold_scale: Annotated[
        str,
        typer.Option(
            help="So many times the threshold, for all layers, or LAYER=2,OTHER=1.5; weights behind are taken so many "
            "times.",
            metavar="S",
        ),
    ] = "1",
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Quantise a conversion for a chip: 8-bit kernels, 16-bit thresholds and potentials, one factor a layer.

    Example: [bold]spikewright quantise spiking.safetensors --chip speck2f --data mnist/ -o chip.safetensors[/bold]
    """
    settings: dict[str, Any] = {
        "return_to_zero": return_to_zero,
        "decimator": by_layer("--decimator", decimator),
        "threshold_scale": by_layer("--threshold-scale", threshold_scale),
    }
    check_not_code(model)
    check_outputs({"--output": output}, {"SPIKING": model, "--data": data})
    check_save(output, force)
    network = load(model)
    if not isinstance(network, Conversion):
        raise SettingsError(f"{model}: is no conversion; quantise what 'spikewright convert' wrote")
    pictures = None
    if data is not None:
        pictures = frames_in(
            load_data(
                data,
                split="train",
                inputs=network.spiking.inputs,
                preprocessing=network.preprocessing,
                classes=network.classes,
                binning=network.binning,
            )
        )
    found = quantise_conversion(
        network, chip, pictures, rate=rate, ticks=ticks, bias_bits=bias_bits, samples=samples, **settings
    )
    save_quantised(found, output, force)
    if as_json:
        print_json({"output": str(output), **found.summary()})
        return
    for line in str(found).splitlines():
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"written: {output}", highlight=False, soft_wrap=True)
