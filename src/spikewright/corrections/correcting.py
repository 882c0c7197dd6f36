"""Correct a conversion, and remember what it was corrected for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spikewright.calibration.thresholds import parse as threshold_method
from spikewright.conversion import Conversion
from spikewright.corrections import Corrections, Given, correctors_of
from spikewright.data import as_dataset, sample_digests
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
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
    progress: Callable[[str, int, int], None] | None = None,
) -> Conversion:
    """Correct the spiking network of a conversion, by one corrector after the other.

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
    if not len(whole_set):
        raise DataError("there are no samples to correct with; give at least one")
    used = whole_set.sample(whole("samples", samples), whole("seed", seed, 0))
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    for one in chosen:
        steps = one.timesteps or _steps(timesteps) or steps_of_method(conversion) or DEFAULT
        told = None if progress is None else _stage(progress, f"correcting by {one}")
        given = Given(conversion, used, steps, how, seed, task, device, told)
        conversion = one.apply(given)
        if one.looks_at_samples:
            facts = conversion.calibration.with_samples(sample_digests(used))
            conversion = replace(conversion, calibration=facts)
    return conversion


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


def _stage(progress: Callable[[str, int, int], None], what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)
