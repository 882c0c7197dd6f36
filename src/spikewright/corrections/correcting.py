"""Correct a conversion, and remember what it was corrected for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from spikewright.calibration.thresholds import threshold_method
from spikewright.conversion import Conversion
from spikewright.conversion.over_steps import back_over_steps, conversion_over_steps
from spikewright.corrections import Corrections, Corrector, Given, LayerCorrector, correctors_of, layer_by_layer
from spikewright.corrections.memory import check_walk
from spikewright.data import Dataset, Recordings, as_dataset, sample_digests
from spikewright.data.recordings import EventDataset, frames_in
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.on_events import Prepared, on_events
from spikewright.engines.settings import RunSettings
from spikewright.engines.simulation import check_shape
from spikewright.engines.windows import schedule_of
from spikewright.errors import DataError, SettingsError, SpikewrightError
from spikewright.settings import whole
from spikewright.tasks import TaskChoice
from spikewright.timesteps import Timesteps

DEFAULT = Timesteps(4, 32)
"""What is corrected for where nobody says for how many timesteps."""
SAMPLES = 256
"""How many samples are corrected with where nobody says."""


def correct(
    conversion: Conversion,
    data: Any,
    correctors: Corrections,
    *,
    timesteps: Timesteps | int | str | None = None,
    samples: int = SAMPLES,
    encoder: Encoder | str = "constant",
    seed: int = 0,
    task: TaskChoice = None,
    device: str = "cpu",
    dt: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Conversion:
    """Correct the spiking network of a conversion, by one corrector after the other.

    Correctors that go layer by layer for the same last timestep share one walk: each population is corrected by all of
    them, in their order, before the next one is reached, which then meets the spikes that it will meet in the end.

    Args:
        conversion: whose trained network says what should come out.
        data: samples to correct with, none of which should be among those that accuracy is measured on. Labels are not
            looked at but to draw from all classes, unless a corrector says otherwise.
        correctors: values or their texts, ``"v_init:4..32"``; one, or several.
        timesteps: one T or a range that is corrected for, where a corrector's own text does not say; None for that of
            the threshold method, else 4..32.
        samples: how many samples are used: a draw in proportion to the classes.
        encoder: of the runs that are to be good.
        seed: of the draw, and of what correctors draw.
        task: what labels mean: see ``measure``.
        device: a torch device.
        dt: seconds of a timestep, where data are recordings: they run on their events, and T follows from them.
        progress: called with (what is being done, how much of it is done, how much there is).

    Returns:
        the conversion with another spiking network; ``corrections`` says what was done.

    Raises:
        SettingsError: for correctors or settings that cannot be.
        DataError: for samples that do not fit.
    """
    chosen = correctors_of(correctors)
    if not chosen:
        return conversion
    if not isinstance(conversion, Conversion):
        raise SettingsError(f"a conversion is corrected, as convert(...) gives it, not a {type(conversion).__name__}")
    whole_set = as_dataset(data, conversion.spiking.inputs)
    if whole_set.length == 0:
        raise DataError("there are no samples to correct with; give at least one")
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    used = whole_set.sample(whole("samples", samples), whole("seed", seed, 0))
    if isinstance(used, Recordings) and any(one.looks_at_samples for one in chosen):
        check_on_events(chosen, dt)
        on = on_events(conversion, used, RunSettings(encoder=how, dt=dt, device=device))
        return _on_events(conversion, used, on, chosen, timesteps, seed, task, progress)
    check_shape(conversion.spiking, how, whole_set.shape)
    steps = check_corrections(conversion, chosen, timesteps, len(used), how)
    for group in _walks(list(zip(chosen, steps, strict=True))):
        told = _stage(progress, group)
        given = [(one, Given(conversion, used, at, how, seed, task, device, told)) for one, at in group]
        conversion = _corrected(given)
        if any(one.looks_at_samples for one, _ in group):
            conversion = _knowing(conversion, used)
    return conversion


def check_on_events(chosen: Sequence[Corrector], dt: float | None) -> None:
    """Refuse corrections that cannot be made of runs on recordings, before any work is done.

    Args:
        chosen: in order.
        dt: seconds of a timestep.

    Raises:
        SettingsError: saying which, why, and what to do.
    """
    for one in chosen:
        if not one.looks_at_samples:
            continue
        if not isinstance(one, LayerCorrector):
            raise SettingsError(f"{one.name}: tries runs on values, and recordings run on their events: leave it out")
        if getattr(one, "steps", False):
            raise SettingsError(f"{one}: biases by step are for runs of one length on values; leave steps out")
        if dt is None:
            raise SettingsError(
                f"{one.name} looks at runs, and recordings run on their events: say how long a timestep is, dt=1e-3 "
                "(--dt 1ms)"
            )


def _on_events(
    conversion: Conversion,
    used: Recordings,
    on: Prepared,
    chosen: Sequence[Corrector],
    timesteps: Timesteps | int | str | None,
    seed: int,
    task: TaskChoice,
    progress: Callable[[str, int, int], None] | None,
) -> Conversion:
    """A conversion corrected on the events of recordings: over the timesteps of a frame, and back."""
    assert isinstance(on.data, EventDataset)
    lengths = sorted({timing.steps for timing in on.data.timings})
    if len(lengths) > 1:
        raise SettingsError(
            f"corrections look at runs of one length, and these recordings have {lengths[0]:,} to {lengths[-1]:,} "
            "timesteps: leave corrections out; 'spikewright finetune' learns from recordings of any length"
        )
    (length,) = lengths
    steps, how = on.data.steps_a_frame, on.settings.chosen_encoder
    for one in chosen:
        asked = one.timesteps or (_steps(timesteps) if one.looks_at_samples else None)
        if asked is not None and asked != Timesteps(length, length):
            raise SettingsError(
                f"{one}: recordings have {length:,} timesteps, which follow from them: leave {asked} out"
            )
    for group in _walks([(one, Timesteps(length, length)) for one in chosen]):
        told = _stage(progress, group)
        layered = any(one.looks_at_samples for one, _ in group)
        spread = conversion_over_steps(conversion, steps) if layered else conversion
        if layered:
            check_corrections(spread, [one for one, _ in group], Timesteps(length, length), len(used), how)
        given = [(one, Given(spread, on.data, at, how, seed, task, on.settings.device, told)) for one, at in group]
        found = _corrected(given)
        if not layered:
            conversion = found
            continue
        graph = back_over_steps(found.spiking, conversion.spiking, steps)
        conversion = _knowing(replace(conversion, spiking=graph, corrections=found.corrections), used)
    return conversion


def check_corrections(
    conversion: Conversion,
    chosen: Sequence[Corrector],
    timesteps: Timesteps | int | str | None = None,
    samples: int | None = None,
    encoder: Encoder | None = None,
) -> list[Timesteps]:
    """Refuse corrections that cannot be made, before any work is done.

    Args:
        conversion: what is to be corrected; its λ need not be known yet.
        chosen: in order.
        timesteps: as of ``correct``.
        samples: how many are corrected with, at most; None where nobody knows yet.
        encoder: of the runs that are to be good.

    Returns:
        what each is corrected for.

    Raises:
        SettingsError: saying which, why, and what to do.
    """
    before = [one.name for one in conversion.corrections]
    usual = _steps(timesteps) or steps_of_method(conversion) or DEFAULT
    steps = []
    for one in chosen:
        steps.append(one.timesteps or usual)
        one.check(conversion, steps[-1], before)
        before.append(one.name)
        free = isinstance(one, LayerCorrector) and schedule_of(conversion.spiking) == "free"
        if free and samples is not None:
            check_walk(one, conversion.spiking, samples, steps[-1], encoder is None or isinstance(encoder, Constant))
    return steps


def _corrected(group: Sequence[tuple[Corrector, Given]]) -> Conversion:
    """A conversion corrected by those that share a walk, or by one that goes its own way."""
    layered = [(one, given) for one, given in group if isinstance(one, LayerCorrector)]
    if layered:
        return layer_by_layer(layered)
    ((alone, given),) = group
    return alone.apply(given)


def _walks(chosen: Sequence[tuple[Corrector, Timesteps]]) -> Iterator[list[tuple[Corrector, Timesteps]]]:
    """Correctors, each with its T, in groups that one walk through the network does: those that go layer by layer, over
    as many steps, one behind the other."""

    def walk(each: tuple[int, tuple[Corrector, Timesteps]]) -> tuple[int, int]:
        number, (one, steps) = each
        return (-1, steps.last) if isinstance(one, LayerCorrector) else (number, 0)

    for _, group in groupby(enumerate(chosen), key=walk):
        yield [each for _, each in group]


def steps_of_method(conversion: Conversion) -> Timesteps | None:
    """The timesteps that the λ of a conversion were chosen for, where its threshold method says so."""
    try:
        method = threshold_method(conversion.calibration.method)
    except SpikewrightError:
        return None
    found = getattr(method, "timesteps", None)
    return found if isinstance(found, Timesteps) else None


def _steps(given: Timesteps | int | str | None) -> Timesteps | None:
    return given if given is None or isinstance(given, Timesteps) else Timesteps.parse(str(given))


def _stage(
    progress: Callable[[str, int, int], None] | None, group: Sequence[tuple[Corrector, Timesteps]]
) -> Callable[[int, int], None] | None:
    """What moves the bar of some correctors that share a walk; None where nobody looks."""
    what = f"correcting by {', '.join(str(one) for one, _ in group)}"
    return None if progress is None else lambda done, total: progress(what, done, total)


def _knowing(conversion: Conversion, used: Dataset) -> Conversion:
    """A conversion that remembers the samples that it was corrected on."""
    return replace(conversion, calibration=conversion.calibration.with_samples(sample_digests(frames_in(used))))
