"""What a conversion remembers of its making: the data it was calibrated on, and what was corrected since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.settings import fits, plain
from spikewright.text import brief


def _no_digests() -> NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False)
class CalibrationFacts:
    """What λ come from.

    Attributes:
        method: the threshold method, as text; empty where λ were given.
        samples: how many samples were seen.
        digests: ``(samples,)``, of each raw sample, before preprocessing: see ``sample_digests``; ``(0,)`` where the
            samples themselves were not at hand.
        inputs: by input, the lowest and the highest value that the network saw.
        corrected: ``(K,)``, the digests of further samples, which λ do not come from but corrections do.
        chosen: how method, corrections and neurons were chosen on some of the samples; empty where somebody said them.
        seeds: of the draws among samples, by what was drawn: which of a data set these are, which were held out.
    """

    method: str = ""
    samples: int = 0
    digests: NDArray[np.uint64] = field(default_factory=_no_digests)
    inputs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    corrected: NDArray[np.uint64] = field(default_factory=_no_digests)
    chosen: str = ""
    seeds: Mapping[str, int] = field(default_factory=dict)

    __repr__ = brief

    def __post_init__(self) -> None:
        digests, corrected = np.array(self.digests), np.array(self.corrected)
        hints = (("method", str), ("samples", int), ("chosen", str))
        sound = all(fits(getattr(self, label), hint) for label, hint in hints) and self.samples >= 0
        if not sound or digests.dtype != np.uint64 or digests.shape not in ((0,), (self.samples,)):
            raise SettingsError(
                f"calibration facts of {str(self.samples)[:20]} samples cannot have {digests.dtype} digests of shape "
                f"{digests.shape}, by the method {str(self.method)[:40]!r}"
            )
        if corrected.dtype != np.uint64 or corrected.ndim != 1:
            raise SettingsError(f"digests of samples cannot be {corrected.dtype} of shape {corrected.shape}")
        seeds: Any = self.seeds
        if not isinstance(seeds, Mapping) or not fits(dict(seeds), dict[str, int]):
            raise SettingsError(f"seeds of draws are whole numbers by what was drawn, not {str(seeds)[:40]}")
        object.__setattr__(self, "seeds", dict(seeds))
        for name, ends in self.inputs.items():
            if not fits(ends, tuple[float, float]) or not ends[0] <= ends[1]:
                raise SettingsError(f"the values of an input '{name}' cannot range over {str(ends)[:40]}")
        for label, values in (("digests", digests), ("corrected", corrected)):
            values.setflags(write=False)
            object.__setattr__(self, label, values)
        object.__setattr__(self, "inputs", dict(self.inputs))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalibrationFacts):
            return NotImplemented
        own, theirs = ((one.method, one.samples, one.inputs, one.chosen, one.seeds) for one in (self, other))
        return own == theirs and all(
            np.array_equal(getattr(self, label), getattr(other, label)) for label in ("digests", "corrected")
        )

    @property
    def description(self) -> dict[str, Any]:
        """All but the digests, as plain JSON-like values: what files hold of it."""
        inputs = {name: list(ends) for name, ends in self.inputs.items()}
        return {
            "method": self.method,
            "samples": self.samples,
            "chosen": self.chosen,
            "seeds": dict(self.seeds),
            "inputs": inputs,
        }

    @classmethod
    def described(
        cls, description: Mapping[str, Any], digests: NDArray[np.uint64], corrected: NDArray[np.uint64]
    ) -> CalibrationFacts:
        """What a ``description`` and the two arrays of digests beside it were made of.

        Raises:
            SettingsError: for values that cannot be.
        """
        values = dict(description)
        inputs = {name: (float(low), float(high)) for name, (low, high) in values.pop("inputs").items()}
        return cls(**values, digests=digests, corrected=corrected, inputs=inputs)

    @property
    def seen(self) -> NDArray[np.uint64]:
        """The digests of all samples that anything was chosen on: by calibration and by corrections."""
        return np.concatenate([self.digests, self.corrected])

    def shared_with(self, digests: NDArray[np.uint64]) -> int:
        """How many of some samples, by their digests, are among those that calibration or a correction saw."""
        return int(np.isin(digests, self.seen).sum())

    def with_samples(self, digests: NDArray[np.uint64]) -> CalibrationFacts:
        """The same, and that corrections saw some samples, by their digests."""
        return replace(self, corrected=np.concatenate([self.corrected, np.setdiff1d(digests, self.seen)]))

    def drawn(self, what: str, seed: int) -> CalibrationFacts:
        """Calibration facts that hold the seed of a draw among the samples too."""
        return replace(self, seeds={**self.seeds, what: seed})

    def __str__(self) -> str:
        """``percentile:99.9 of 5,000 samples, values from 0 to 1``."""
        if not self.samples:
            return "λ were given"
        samples = "1 sample" if self.samples == 1 else f"{self.samples:,} samples"
        ranges = [f"{low:.6g} to {high:.6g}" for low, high in self.inputs.values()]
        if len(self.inputs) > 1:
            ranges = [f"'{name}' {span}" for name, span in zip(self.inputs, ranges, strict=True)]
        values = f", values from {', '.join(ranges)}" if ranges else ""
        chosen = f"; chosen by {self.chosen}" if self.chosen else ""
        return f"{self.method or 'λ'} of {samples}{values}{chosen}"


Setting = bool | int | float | str


@dataclass(frozen=True)
class Correction:
    """One correction of a spiking graph, made after its conversion.

    Attributes:
        name: of the correction.
        settings: what it was made with: names and plain values, in order.
    """

    name: str
    settings: tuple[tuple[str, Setting], ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.settings
        pairs = given.items() if isinstance(given, Mapping) else given
        object.__setattr__(self, "settings", tuple((label, plain(value)) for label, value in pairs))
        if not fits(self.name, str) or not self.name or not fits(self.settings, tuple[tuple[str, Setting], ...]):
            raise SettingsError(
                f"a correction has a name and settings that are text, numbers or truth values, not {str(self)[:60]}"
            )

    def __str__(self) -> str:
        """``name:label=value,label=value``."""
        words = ",".join(f"{label}={value}" for label, value in self.settings)
        return f"{self.name}:{words}" if words else str(self.name)
