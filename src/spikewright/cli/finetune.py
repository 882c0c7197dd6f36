"""``spikewright finetune``: a converted network trained on, for fewer steps, fewer operations, or a chip."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from spikewright.chips.fit import check as check_fit
from spikewright.chips.value import Fit
from spikewright.cli.console import (
    BinningOption,
    ClusterOption,
    ColumnsOption,
    DeviceOption,
    EncoderOption,
    EventValueOption,
    JsonOption,
    NegativeOption,
    OverlapOption,
    TaskOption,
    chosen_encoder,
    duration,
)
from spikewright.cli.options import IDLE_ON_EVENTS, check_idle, check_not_code, check_timesteps
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.presets import DataArgument, chosen, data_of, timesteps_for
from spikewright.cli.samples import DrawOption, FirstOption, SamplesOption, named, picked, say
from spikewright.cli.terminal import compact_table, out, print_json, stages
from spikewright.cli.unmet import fits_told, limits_told
from spikewright.conversion import Conversion
from spikewright.data import Dataset, Recordings, load_data
from spikewright.data.recordings import frames_in
from spikewright.data.sampling import draw
from spikewright.errors import DataError, Interruption, SettingsError
from spikewright.experiment import Candidate
from spikewright.files import shown
from spikewright.loading import load
from spikewright.measures import Measures, measure
from spikewright.measures.protocol import check_overlap, overlap_of
from spikewright.recordings import Binning
from spikewright.reports.answers import score_rows
from spikewright.reports.document import check_report
from spikewright.reports.training import training_report
from spikewright.settings import number
from spikewright.storage import check_save, save
from spikewright.tasks import SCORES
from spikewright.text import short, steps_to_show
from spikewright.training import Recipe, module
from spikewright.training.bounds import bounds
from spikewright.training.checkpoints import check_checkpoint
from spikewright.training.chip_rounding import ChipRounding
from spikewright.training.finetuning import Training
from spikewright.training.memory import give_memory_back

EVERY = 8
"""All timesteps are shown where there are so many or fewer."""
NARROW = 5
"""So many characters of a score, that all timesteps fit into 80 columns."""
MOST_SHOWN = 5
"""So many of more timesteps: a row then fits into 80 columns."""
HELD_OUT = 1000
"""How many training samples are kept to measure with where no test data are given; at most a tenth of them."""


def finetune(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A conversion that 'spikewright convert' wrote.", metavar="SPIKING")],
    data_set: DataArgument = None,
    data: Annotated[
        str | None, typer.Option(help="Samples to train with, with labels if there are any: as for convert.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="What was learned, a conversion like the one given.")
    ] = None,
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", help="The answer after so many is trained.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="How often all samples are seen.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples of one step of the optimiser.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam; falls to 0 along half a cosine.")] = 1e-3,
    surrogate: Annotated[
        str, typer.Option(help="What stands for the slope of spikes: atan:alpha=2, periodic_exponential, triangle …")
    ] = "atan",
    detach_reset: Annotated[bool, typer.Option("--detach-reset", help="Take resets for constants.")] = False,
    labels: Annotated[float, typer.Option(help="Weight of the loss of labels; 0 leaves them away.")] = 1.0,
    distillation: Annotated[
        float, typer.Option(help="Weight of the loss of the trained network's answers; 0 leaves them away.")
    ] = 1.0,
    biases: Annotated[bool, typer.Option("--biases/--no-biases", help="Whether biases learn too.")] = True,
    thresholds: Annotated[bool, typer.Option("--thresholds", help="Let thresholds learn too.")] = False,
    synops_limit: Annotated[
        str | None,
        typer.Option(
            help="The most synaptic operations of each layer, with --chip of each core; or LAYER=1e6,total=2e6, or by "
            "core 0:1e6,3:2e5: of a sample, or of a second with --dt."
        ),
    ] = None,
    synops_weight: Annotated[float, typer.Option(help="Weight of the loss of operations above the limit.")] = 1.0,
    firing_rate: Annotated[
        float | None, typer.Option(help="Spikes of a neuron in a step that a population should not exceed.")
    ] = None,
    dt: Annotated[str | None, typer.Option(help="Length of a step: 1ms, 500us or seconds.")] = None,
    chip: Annotated[str | None, typer.Option(help="Train to the integers of this chip: speck2f, say.")] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Clip weights: no event adds more than the threshold.")] = False,
    noise: Annotated[float, typer.Option(min=0, help="On weights while they learn: a share of the largest one.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of samples, noise, and what is held out.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Keep the state of training here, minute by minute, and go on from there.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="An HTML page about before and after.")] = None,
    test: Annotated[
        str | None, typer.Option(help="Samples to measure with, before and after; else some are held out of --data.")
    ] = None,
    samples: SamplesOption = None,
    first_samples: FirstOption = None,
    sample_seed: DrawOption = 0,
    binning: BinningOption = None,
    columns: ColumnsOption = None,
    encoder: EncoderOption = "constant",
    input_scale: EventValueOption = None,
    negative: NegativeOption = "events",
    task: TaskOption = None,
    budget: Annotated[float, typer.Option(help="GiB of activations kept for the way back; beyond, recomputed.")] = 2.0,
    device: DeviceOption = "cpu",
    allow_overlap: OverlapOption = False,
    force: ForceOption = False,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a spiking network on, from where conversion ended: by labels and by the answers of the trained network.

    Example: [bold]spikewright finetune spiking.safetensors --data mnist/ -T 4 --epochs 1 -o better.safetensors[/bold]

    In short: [bold]spikewright finetune spiking.safetensors mnist/[/bold] writes finetuned.safetensors.
    """
    data = data_of(data_set, data, "train with")
    output = chosen(data_set, "--output", output, Path("finetuned.safetensors"))
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch then asks for large pages, which saves a quarter of time
    give_memory_back()
    check_timesteps(timesteps)
    if not 0 < budget < float("inf"):
        raise SettingsError(f"--budget takes GiB above 0, not {budget:g}")
    seconds = None if dt is None else duration("--dt", dt)
    recipe = Recipe(
        timesteps=timesteps,
        epochs=epochs,
        batch_size=batch_size,
        rate=rate,
        surrogate=surrogate,
        detach_reset=detach_reset,
        labels=labels,
        distillation=distillation,
        biases=biases,
        thresholds=thresholds,
        synops_limit=parse_limits(synops_limit),
        dt=seconds,
        synops_weight=synops_weight,
        firing_rate=firing_rate,
        clip=clip,
        chip=chip,
        noise=noise,
        seed=seed,
        budget=int(budget * 2**30),
    )
    how = chosen_encoder(encoder, seed, input_scale, negative)
    check_not_code(model)
    places = {"--output": output, "--checkpoint": checkpoint, "--report": report}
    check_outputs(places, {"SPIKING": model, "--data": data, "--test": test})
    check_save(output, force)
    if checkpoint is not None:
        check_checkpoint(checkpoint)
    if report is not None:
        check_report(report, force)
    network = load(model)
    if not isinstance(network, Conversion):
        raise SettingsError(f"{model}: is no conversion; train what 'spikewright convert' wrote")
    _check_training(network, recipe)
    cut = network.binning if binning is None else Binning.parse(binning)
    found = _samples(network, data, "train", cut, columns)
    recorded = isinstance(found, Recordings)
    if recorded:
        check_idle(context, ("timesteps",), IDLE_ON_EVENTS["timesteps"])
        if seconds is None:
            raise SettingsError("recordings run on their events: say how long a timestep is (--dt 1ms)")
    else:
        timesteps_for(context, data_set, None, timesteps)
    if seconds is not None and not recorded and recipe.synops_loss(network) is None:
        raise SettingsError(
            "--dt would change nothing: it is of recordings, or makes operations those of a second: "
            "give --synops-limit too"
        )
    whole, choice = picked(found, samples, first_samples, sample_seed)
    given = None if test is None else _samples(network, test, "test", cut, columns)
    training, measured, kept = _parted(network, whole, given, seed, allow_overlap)
    settings: dict[str, Any] = {
        **({"dt": seconds} if recorded else {"timesteps": timesteps}),
        "encoder": how,
        "device": device,
        "task": task,
        "explain": False,
        "quiet": True,
        "cluster": cluster,
    }
    with _resumable(checkpoint), stages(quiet=as_json) as tell:

        def scores(what: str, conversion: Conversion, insist: bool) -> Measures:
            told = lambda done, total: tell(what, done, total)  # noqa: E731
            return measure(conversion, measured, progress=told, allow_overlap=insist, **settings)

        ready = Training(network, training, recipe, task, how, checkpoint, device)  # before anything is measured
        before = scores("before", network, kept or allow_overlap)
        learned = ready.run(tell)
        after = scores("after", learned.conversion, kept or allow_overlap)
    save(learned.conversion, output, force)
    fits = _fits(chip, network, learned.conversion)
    limits = bounds(recipe, network, before, after, recorded)
    if report is not None:
        told = {"command": context.obj, "model": model, "data": f"{data}: {named(choice)}", "test": test or "held out"}
        two = Candidate("before", network, before), Candidate("after", learned.conversion, after)
        title = f"{model}, trained on"
        training_report(report, learned, *two, fits, limits, title=title, settings=told, force=force)
    if as_json:
        print_json(
            {
                "recipe": recipe.summary(),
                "samples": len(training),
                "measured_on": {"samples": len(measured), "held_out": kept},
                "history": list(learned.history),
                "resumed": learned.resumed,
                "before": before.summary(),
                "after": after.summary(),
                "limits": [one.summary() for one in limits],
                "fits": {when: one.fits for when, one in fits.items()} if fits else None,
                "output": str(output),
                **({} if report is None else {"report": str(report)}),
            }
        )
        return
    on = f"{len(measured):,} of them held out" if kept else f"{len(measured):,} samples of {test}"
    say(f"samples: {named(choice)}; {len(training):,} trained on, measured on {on}")
    if learned.resumed:
        say(f"went on from {checkpoint}: {learned.resumed} of {epochs} epochs were done")
    say(f"mean loss of each epoch: {', '.join(f'{loss:.4g}' for loss in learned.history)}")
    out.print(before_and_after(before, after, seconds))
    for line in (*limits_told(limits), *fits_told(fits or {})):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    if kept:
        out.print("note: held-out samples may be those of calibration; --test measures with others", soft_wrap=True)
    out.print(f"written: {output}", highlight=False, soft_wrap=True)
    if report is not None:
        out.print(f"report: {report}", highlight=False, soft_wrap=True)


def parse_limits(text: str | None) -> dict[str | int, float] | float | None:
    """The limits of ``--synops-limit``: one number, or such by layer and of ``total``, and by core.

    Raises:
        SettingsError: for anything else.
    """
    if text is None:
        return None
    alone = number(text)
    found: dict[str | int, float] = {}
    for word in text.split(",") if alone is None else ():
        split = re.fullmatch(r"(.+)=([^=:]+)|(\d{1,9}):([^=:]+)", word.strip())
        place: str | int = "" if split is None else split[1] or int(split[3])
        most = None if split is None else number(split[2] or split[4])
        if most is None or place in found:
            raise SettingsError(
                "--synops-limit takes a number, or such by layer like conv1=1e6,total=2e6, or by core like "
                f"0:1e6,3:2e5, not '{text[:40]}'"
            )
        found[place] = most
    return found if alone is None else alone


def _check_training(network: Conversion, recipe: Recipe) -> None:
    """Refuse what cannot be trained, before data are read."""
    made = module(network, recipe.surrogate, biases=recipe.biases, thresholds=recipe.thresholds)
    if recipe.chip is not None:
        ChipRounding(made, recipe.chip)
    recipe.synops_loss(network, recorded=True)  # of frames it is asked again, when they are known


@contextmanager
def _resumable(checkpoint: Path | None) -> Iterator[None]:
    """An interruption in it says where the state of training stands, and how to go on.

    Raises:
        StorageError: in place of an interruption.
    """
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is None:
            how = "nothing was written; with --checkpoint state.safetensors the state of training is kept on the way"
        elif checkpoint.exists():
            how = f"the state of training stands in {shown(checkpoint)}: the same command goes on from there"
        else:
            how = f"nothing was written; {shown(checkpoint)} is written every minute of training and after each epoch"
        raise Interruption(f"interrupted; {how}") from None


def _samples(network: Conversion, spec: str, split: Any, binning: Binning | None, columns: str | None) -> Dataset:
    return load_data(
        spec,
        split=split,
        inputs=network.spiking.inputs,
        preprocessing=network.preprocessing,
        classes=network.classes,
        binning=binning,
        columns=columns,
    )


def _parted(
    network: Conversion, whole: Dataset, measured: Dataset | None, seed: int, allow_overlap: bool
) -> tuple[Dataset, Dataset, bool]:
    """What is trained on, what is measured on, and whether the latter was held out of the same data.

    Raises:
        DataError: for test samples among those that are trained or were calibrated on.
    """
    import numpy as np

    from spikewright.data import sample_digests

    if measured is None:
        count = min(HELD_OUT, len(whole) // 10)
        if not count:
            some = "1 sample is" if len(whole) == 1 else f"{len(whole)} samples are"
            raise DataError(f"{some} too few to hold some out: give test data with --test")
        kept = draw(whole.labels, len(whole), count, seed)
        return whole.subset(np.setdiff1d(np.arange(len(whole)), kept)), whole.subset(kept), True
    seen = np.concatenate([network.calibration.seen, sample_digests(frames_in(whole))])
    check_overlap(overlap_of(seen, measured), allow_overlap)
    return whole, measured, False


def _fits(chip: str | None, before: Conversion, after: Conversion) -> dict[str, Fit] | None:
    """How the network fits the chip, before and after."""
    return None if chip is None else {"before": check_fit(before, chip), "after": check_fit(after, chip)}


def before_and_after(before: Measures, after: Measures, dt: float | None) -> Table:
    """Scores at several timesteps, firing rates and operations of the network before and after training."""
    last, both = before.timesteps, {"before": before, "after": after}
    steps = list(range(1, last + 1))
    if last > EVERY or any(len(_narrow(cell)) > NARROW for one in both.values() for cell in _flat(one, steps)):
        steps = [1, 2, *steps_to_show(last)][-MOST_SHOWN:]
    named = len(score_rows(before, steps)) > 1
    work = "synops" if dt is None else "synops/s"
    columns = ("", *(["score"] if named else []), *(f"T={t}" for t in steps), "spikes/step", work)
    table = compact_table(_title(before), columns, 1 + named)
    for label, one in both.items():
        done = one.total_synops if dt is None else one.total_synops / (one.run.mean_steps * dt)
        first, *others = ([_narrow(cell) for cell in row] for row in score_rows(one, steps) or [[]])
        table.add_row(label, *first, f"{one.firing_rate:.3g}", short(done))
        for other in others:
            table.add_row("", *other)
    return table


def _title(before: Measures) -> str:
    """What the table is of, and the trained network's own score."""
    said, head = "before and after training", before.head
    kind = SCORES[head.task.main]
    if len(before.heads) > 1:
        return said
    analog = head.analog.get(head.task.main) if head.labelled else None
    told = "" if analog is None else f"; the trained network {kind.text(analog, unit=True)}"
    return f"{kind.axis(against=not head.labelled)}, {said}{told}"


def _flat(measures: Measures, steps: list[int]) -> list[str]:
    """The scores at timesteps as texts."""
    return [cell for row in score_rows(measures, steps) for cell in row]


def _narrow(cell: str) -> str:
    """All of 100 % in as few characters as there are, so that eight timesteps fit into 80 columns."""
    return "100" if cell == "100.00" else cell
