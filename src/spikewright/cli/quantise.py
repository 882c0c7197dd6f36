"""``spikewright quantise``: a converted network in the integers of a chip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.chips.chip import Speck
from spikewright.chips.known import chip as known_chip
from spikewright.chips.placing import placed
from spikewright.chips.quantise import DRAW, SAMPLES, Quantised
from spikewright.chips.quantise import quantise as quantise_conversion
from spikewright.chips.spike_settings import by_layer
from spikewright.chips.storage import save_quantised
from spikewright.cli.console import JsonOption
from spikewright.cli.options import SampleOptions, check_idle, check_not_code, with_options
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.presets import DataArgument, chosen, some_data
from spikewright.cli.samples import named, say, seeds_of
from spikewright.cli.terminal import out, print_json
from spikewright.conversion import Conversion
from spikewright.data.recordings import frames_in
from spikewright.errors import SettingsError
from spikewright.loading import load
from spikewright.storage import check_save


@with_options
def quantise(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A conversion that 'spikewright convert' wrote.", metavar="SPIKING")],
    options: SampleOptions,
    data_set: DataArgument = None,
    chip: Annotated[str | None, typer.Option(help="Whose words the numbers have to fit: speck2f, say.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="What the chip runs.")] = Path("chip.safetensors"),
    data: Annotated[
        str | None,
        typer.Option(
            help="Samples of calibration: factors that lose least, outliers cut off where that pays; usually 64."
        ),
    ] = None,
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
    keep_means: Annotated[
        bool,
        typer.Option(
            "--keep-means/--lose-means",
            help="Whether weights behind decimators and higher thresholds are taken so many times, so that means stay.",
        ),
    ] = True,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Quantise a conversion for a chip: 8-bit kernels, 16-bit thresholds and potentials, one factor a layer.

    Example: [bold]spikewright quantise spiking.safetensors --chip speck2f --data mnist/ -o chip.safetensors[/bold]

    In short: [bold]spikewright quantise spiking.safetensors mnist/[/bold] is for a speck2f.
    """
    data = some_data(data_set, data)
    chip = chosen(data_set, "--chip", chip, "speck2f")
    settings: dict[str, Any] = {
        "return_to_zero": return_to_zero,
        "decimator": by_layer("--decimator", decimator),
        "threshold_scale": by_layer("--threshold-scale", threshold_scale),
        "keep_means": keep_means,
    }
    if (decimator, threshold_scale) == ("1", "1"):
        check_idle(context, ("keep_means",), "it is about --decimator and --threshold-scale: give one of them")
    if data is None:
        check_idle(context, SampleOptions, "nothing is calibrated without --data")
    check_not_code(model)
    check_outputs({"--output": output}, {"SPIKING": model, "--data": data})
    check_save(output, force)
    network = load(model)
    if not isinstance(network, Conversion):
        raise SettingsError(f"{model}: is no conversion; quantise what 'spikewright convert' wrote")
    seeds, used = dict[str, int](), None
    if data is not None:
        found_samples, choice = options.data(network, data, split="train", usual=SAMPLES)
        pictures = frames_in(found_samples)
        used = choice.as_json()
        if not as_json:
            say(f"samples: {named(choice)}")
        seeds = seeds_of(choice, options.first_samples, options.sample_seed, DRAW)
        settings |= {"data": pictures, "samples": len(pictures)}
    found = quantise_conversion(network, chip, rate=rate, ticks=ticks, bias_bits=bias_bits, **settings)
    for what, seed in seeds.items():
        found = replace(found, calibration=found.calibration.drawn(what, seed))
    save_quantised(found, output, force)
    unfit = _unfit(found)
    if as_json:
        told = found.summary()
        notes = [*told["notes"], *([unfit] if unfit else [])]
        print_json({"output": str(output), "data": used, **told, "fits": not unfit, "notes": notes})
        return
    for line in (*str(found).splitlines(), *([f"note: {unfit}"] if unfit else [])):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"written: {output}", highlight=False, soft_wrap=True)


def _unfit(quantised: Quantised) -> str:
    """Why no cores hold a network of integers, which can be simulated all the same; empty where some do."""
    chip = known_chip(quantised.chip)
    try:
        if isinstance(chip, Speck):
            placed(quantised.network, chip)
    except SettingsError as error:
        return str(error)
    return ""
