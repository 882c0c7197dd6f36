"""Which samples were used for what: what a network was calibrated and tuned on must not be what it is measured on.

Samples are compared by digests of what they are before preprocessing (``sample_digests``). Data sets hold copies by
nature: blank frames, the same picture twice. So up to one sample in a hundred may be among both, and is told; more is
refused before anything runs, unless whoever measures insists: then it stands beside every score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion
from spikewright.data import Dataset, sample_digests
from spikewright.data.recordings import frames_in
from spikewright.errors import DataError

NATURAL = 0.01
"""The largest share of samples that may be in both sets by nature: beyond it, one was taken from the other."""


@dataclass(frozen=True)
class Overlap:
    """How many of the samples to be measured with a network was calibrated or corrected on.

    Attributes:
        shared: so many of them.
        samples: to be measured with.
        known: whether the conversion remembers its samples; where λ were given, or came from statistics alone, nobody
            knows.
    """

    shared: int
    samples: int
    known: bool = True

    @property
    def natural(self) -> bool:
        """Whether the samples in both sets may be copies that the data have by nature, or there are none."""
        return self.shared <= NATURAL * self.samples

    def __str__(self) -> str:
        """In a sentence."""
        if not self.known:
            return "nobody knows which samples it was calibrated on"
        if not self.shared:
            return "none of the samples it is measured on was calibrated on"
        which = (
            "1 of these samples was" if self.shared == 1 else f"{self.shared:,} of these {self.samples:,} samples were"
        )
        flatters = "as may be by nature" if self.natural else "scores on others may be lower"
        return f"{which} used for calibration too: {flatters}"


def overlap_of(calibrated: NDArray[np.uint64], data: Dataset) -> Overlap:
    """How many of some samples were calibrated on; each is read once for it.

    Args:
        calibrated: the digests of the samples of calibration; none where nobody knows them.
        data: the samples to be measured with.
    """
    known = bool(len(calibrated))
    samples = frames_in(data)
    shared = int(np.isin(sample_digests(samples), calibrated).sum()) if known else 0
    return Overlap(shared, len(samples), known)


def check_overlap(overlap: Overlap, allowed: bool) -> None:
    """Refuse to measure on what was calibrated on.

    Args:
        overlap: of the samples.
        allowed: whether somebody insists.

    Raises:
        DataError: saying how many samples are in both sets, and what to do.
    """
    if not (overlap.natural or allowed):
        raise DataError(
            f"{overlap.shared:,} of the {overlap.samples:,} samples to measure with are those of calibration, so that "
            "scores would flatter: take others, or insist with allow_overlap=True (--allow-overlap), which then stands "
            "beside the scores"
        )


def drawn_seeds(conversion: Conversion) -> dict[str, int]:
    """The seeds of all that was drawn for a conversion, as far as they are known, by what it was drawn for."""
    found = dict(conversion.calibration.seeds)
    for one in conversion.corrections:
        seed = dict(one.settings).get("seed")
        found |= {f"samples of {one.name}": seed} if isinstance(seed, int) else {}
    return found


@dataclass(frozen=True)
class Protocol:
    """How a measurement came about.

    Attributes:
        calibration: what λ come from, as text.
        selected: what else was chosen on calibration data, each as text.
        chosen: how all of that was chosen among others, as text; empty where somebody said it.
        overlap: of the samples measured on with those.
        seeds: of everything that was drawn, by what it was drawn for.
    """

    calibration: str
    selected: tuple[str, ...]
    overlap: Overlap
    seeds: Mapping[str, int] = field(default_factory=dict)
    chosen: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """It in sentences."""
        chosen = ", ".join([f"thresholds ({self.calibration})", *self.selected])
        chosen += f", preferred to others by {self.chosen}" if self.chosen else ""
        seeds = ", ".join(f"{what} {seed}" for what, seed in self.seeds.items())
        return (
            f"chosen on calibration data: {chosen}; nothing on the samples it is measured on",
            str(self.overlap),
            *([f"seeds: {seeds}"] if seeds else []),
        )

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "calibration": self.calibration,
            "selected": list(self.selected),
            "chosen": self.chosen,
            "shared_samples": self.overlap.shared if self.overlap.known else None,
            "disjoint": self.overlap.shared == 0 if self.overlap.known else None,
            "seeds": dict(self.seeds),
        }
