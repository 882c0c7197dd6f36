"""What a conversion was corrected for, and whether a run is far from that."""

from __future__ import annotations

from collections.abc import Sequence

from spikewright.conversion.facts import Correction
from spikewright.errors import SettingsError
from spikewright.timesteps import Timesteps


def made_for(correction: Correction) -> Timesteps | None:
    """The timesteps that a correction was made for; None where it depends on none."""
    try:
        return Timesteps.parse(str(dict(correction.settings).get("timesteps")))
    except SettingsError:
        return None


def far_from_tuned(corrections: Sequence[Correction], timesteps: int, encoder: str) -> tuple[str, ...]:
    """A sentence where a run is unlike those that corrections were made for: by another encoder, or over less than half
    the fewest timesteps or more than twice the most.

    Args:
        corrections: of the conversion that runs.
        timesteps: T of the run.
        encoder: of the run, by its name.
    """
    for correction in corrections:
        tuned = dict(correction.settings)
        steps = made_for(correction)
        learned_on_recordings = correction.name == "finetune" and tuned.get("encoder") == encoder == "recordings"
        if (
            steps is None or learned_on_recordings
        ):  # learned at longer timesteps than those of runs, which takes less time
            continue
        differing = []
        if not (steps.first <= 2 * timesteps and timesteps <= 2 * steps.last):
            differing.append((f"T = {steps}", f"T = {timesteps}"))
        if tuned.get("encoder", encoder) != encoder:
            differing.append((f"the encoder {tuned['encoder']}", encoder))
        if differing:
            made, run = (" and ".join(words) for words in zip(*differing, strict=True))
            return (
                f"the correction {correction.name} was made for {made}, and this run has {run}: "
                "correct the network for such runs",
            )
    return ()
