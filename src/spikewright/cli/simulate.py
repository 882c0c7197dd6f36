"""``spikewright simulate``: run a converted network and see how good it is, at every timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.table import Table

from spikewright.cli.console import (
    BatchOption,
    DeviceOption,
    DtOption,
    DtypeOption,
    EncoderOption,
    EngineOption,
    EventValueOption,
    JsonOption,
    NegativeOption,
    SeedOption,
    TaskOption,
    chosen_encoder,
    compact_table,
    out,
    print_json,
    progress,
)
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.pipeline import agreement_lines, comparison, tasks_text
from spikewright.cli.samples import DrawOption, FirstOption, SamplesOption, classes_of, named, picked, say
from spikewright.conversion import analog_of
from spikewright.data import Preprocessing, load_data
from spikewright.engines import Engine
from spikewright.errors import SettingsError
from spikewright.events import check_destination as check_events
from spikewright.events import load_events
from spikewright.files import atomic_path, check_destination, shown
from spikewright.loading import load
from spikewright.measures import Measures, measure
from spikewright.measures.scores import agreement_name
from spikewright.text import shape_text, short


def simulate(
    model: Annotated[
        str, typer.Argument(help="A .safetensors file that 'convert' wrote, or a .nir file.", metavar="SPIKING")
    ],
    data: Annotated[str, typer.Option(help="Samples, with labels if there are any: as for convert.")],
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", help="How many.")] = 64,
    samples: SamplesOption = None,
    first_samples: FirstOption = None,
    sample_seed: DrawOption = 0,
    encoder: EncoderOption = "constant",
    seed: SeedOption = 0,
    input_scale: EventValueOption = None,
    negative: NegativeOption = "events",
    preprocess: Annotated[str | None, typer.Option(help="Instead of what convert stored.")] = None,
    dt: DtOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Keep curves and rates as .npz.")] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Write every spike into this folder, new or empty, as Parquet.", metavar="FOLDER"),
    ] = None,
    force: ForceOption = False,
    task: TaskOption = None,
    batch_size: BatchOption = 100,
    engine: EngineOption = "auto",
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Simulate a spiking network over a data set: accuracy at every timestep, rates, correlation, synops, energy.

    Example: [bold]spikewright simulate spiking.safetensors --data mnist/ -T 64[/bold]
    """
    if timesteps < 1:
        raise SettingsError(f"--timesteps must be 1 or more, not {timesteps}")
    check_outputs({"--output": output, "--events": events}, {"SPIKING": model, "--data": data})
    if output is not None:
        _check_output(output, force)
    if events is not None:
        check_events(events, force)
    chosen = chosen_encoder(encoder, seed, input_scale, negative)
    graph = load(model, dt=dt)
    if not graph.populations:
        raise SettingsError(f"{model}: has no spiking populations; run 'spikewright convert' first")
    steps = Preprocessing.parse(str(graph.meta.get("preprocessing", "")) if preprocess is None else preprocess)
    whole = load_data(data, split="test", inputs=graph.inputs, preprocessing=steps, classes=classes_of(graph))
    dataset, choice = picked(whole, samples, first_samples, sample_seed)
    with progress("simulating", quiet=as_json) as move:
        measures = measure(
            graph,
            analog_of(graph),
            dataset,
            timesteps,
            task=task,
            encoder=chosen,
            batch_size=batch_size,
            engine=cast(Engine, engine),
            device=device,
            dtype=dtype,
            progress=move,
            events_to=events,
            force=force,
        )
    if output is not None:
        _write(measures, output, force)
    stored = None if events is None else load_events(events)
    if as_json:
        written = {} if stored is None else {"events": {"folder": str(events), "populations": dict(stored.counts)}}
        print_json({"model": model, "data": choice.as_json(), **measures.summary(), **written})
        return
    say(f"samples: {named(choice)}")
    out.print(comparison({str(graph.meta.get("method", model)): measures}))
    out.print(_populations(measures))
    out.print(_connections(measures))
    if any(reading.layers for reading in measures.others.values()):
        out.print(_others(measures))
    out.print(f"task: {tasks_text(measures.heads)}", highlight=False, markup=False, soft_wrap=True)
    for line in agreement_lines(measures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"engine: {measures.engine}", highlight=False)
    ratio = f"{measures.energy_spiking:,.0f} nJ against {measures.energy_analog:,.0f} nJ"
    constants = f"{measures.energy.ac} pJ an accumulate, {measures.energy.mac} pJ a multiply-accumulate, 45 nm"
    out.print(f"energy, estimated: {ratio} for the analog network ({constants})", highlight=False)
    if output is not None:
        out.print(f"written: {output}", highlight=False)
    if stored is not None:
        groups = "1 population" if len(stored) == 1 else f"{len(stored)} populations"
        said = f"{sum(stored.counts.values()):,} events of {groups}"
        out.print(f"written: {events}, {said}", highlight=False, soft_wrap=True)


def _populations(measures: Measures) -> Table:
    table = compact_table("populations", ("", "shape", "firing rate", "silent", "correlation"), 2)
    for name, layer in measures.layers.items():
        pearson = None if layer.correlation is None else layer.correlation.pearson
        correlation = "" if pearson is None else f"{pearson:.4f}"
        table.add_row(
            name, shape_text(layer.shape), f"{layer.firing.mean:.4f}", f"{layer.firing.silent:.1%}", correlation
        )
    return table


def _connections(measures: Measures) -> Table:
    table = compact_table("connections, per sample", ("", "synaptic operations"), 1)
    for name, synops in measures.synops.items():
        table.add_row(name, short(synops.total))
    return table


def _others(measures: Measures) -> Table:
    """What found measures say of single layers."""
    shown = [reading for reading in measures.others.values() if reading.layers]
    table = compact_table("by layer", ("", *(reading.title for reading in shown)), 1)
    for name in dict.fromkeys(name for reading in shown for name in reading.layers):
        table.add_row(name, *(reading.text(name) for reading in shown))
    return table


def _check_output(path: Path, force: bool) -> None:
    if path.suffix.lower() != ".npz":
        raise SettingsError(f"{shown(path)}: curves and rates are written as .npz")
    check_destination(path, force)


def _write(measures: Measures, path: Path, force: bool) -> None:
    """The curves ``(T,)``, the rate of every neuron, and histograms of rates, in spikes per timestep.

    Of one output the scores have their names, "accuracy" or "mse", and those against the analog network "agreement" or
    "agreement_mse"; of several they stand behind "head/NAME/".
    """
    arrays: dict[str, Any] = {"timestep": np.arange(1, measures.timesteps + 1)}
    for name, head in measures.heads.items():
        before = "" if len(measures.heads) == 1 else f"head/{name}/"
        arrays[f"{before}task"] = np.array(str(head.task))
        arrays |= {f"{before}{score}": curve for score, curve in head.scores.items()}
        arrays |= {f"{before}{agreement_name(score)}": curve for score, curve in head.agreement.items()}
    for name, layer in measures.layers.items():
        arrays[f"firing_rate_neurons/{name}"] = layer.firing.histogram
        arrays[f"firing_rate_edges/{name}"] = layer.firing.edges
    for name, reading in measures.others.items():
        arrays[f"others/{name}"] = np.array(reading.value)
        arrays |= {f"others/{name}/{layer}": np.array(value) for layer, value in reading.layers.items()}
    arrays |= measures.rates.arrays()
    with atomic_path(path, force) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
