"""What helps against a loss, of what a conversion has not got yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from spikewright.calibration.thresholds import threshold_method
from spikewright.calibration.thresholds.max import Max
from spikewright.conversion import Conversion
from spikewright.conversion.tuned import made_for
from spikewright.errors import SpikewrightError
from spikewright.nodes import IF
from spikewright.timesteps import Timesteps

HELP: Mapping[str, tuple[str, ...]] = {
    "clipping": ("a larger λ (--method percentile:99.99)", "λ chosen for this T (--method mmse:{t})"),
    "rounding": ("more timesteps", "λ chosen for this T (--method mmse:{t})", "several spikes a step (--spikes 2)"),
    "transient": (
        "--correct v_init:{t}",
        "--correct bias:steps:{t}",
        "an answer read later (--readout-from auto)",
        "more timesteps",
    ),
    "unevenness": (
        "--correct v_init:{t}",
        "where a chip can do it, --neurons signed",
        "where a chip can wait, --neurons schedule=layered",
        "more timesteps",
    ),
    "weights": ("weights as they were trained (--dtype float32)",),
}
"""What helps against each cause, the cheapest first, with ``{t}`` for T."""
POTENTIALS = ("v_init", "v_init_and_bias")
IN_TIME = (*POTENTIALS, "bias")
"""Corrections that make counts right over all steps of a run, the first ones too."""
LARGEST_PERCENTILE = 99.99


@dataclass(frozen=True)
class Had:
    """What a conversion has been given already, as far as advice asks.

    Attributes:
        corrected: names of corrections that looked at samples, with the timesteps that each was made for.
        per_step: whether there are biases for each step.
        method: the threshold method as text.
        chosen: whether ``auto`` chose method and corrections among others.
        signed, several: whether neurons may send −1, or several spikes a step.
        schedule: how their spikes are sent.
        readout_from: from when on the answer is read.
    """

    corrected: tuple[tuple[str, Timesteps], ...] = ()
    per_step: bool = False
    method: str = ""
    chosen: bool = False
    signed: bool = False
    several: bool = False
    schedule: str = "free"
    readout_from: int = 0

    @classmethod
    def of(cls, conversion: Conversion, readout_from: int = 0) -> Self:
        """What a conversion has, and how it is read."""
        neurons = conversion.spiking.of_type(IF)
        return cls(
            tuple((one.name, steps) for one in conversion.corrections if (steps := made_for(one)) is not None),
            any(node.step_bias is not None for node in neurons),
            conversion.calibration.method,
            bool(conversion.calibration.chosen),
            any(node.signed for node in neurons),
            any(node.max_spikes != 1 for node in neurons),
            next((node.schedule for node in neurons), "free"),
            readout_from,
        )

    @property
    def in_time(self) -> bool:
        """Whether counts were corrected over all steps of a run."""
        return any(name in IN_TIME for name, _ in self.corrected)

    def has(self, advice: str, timesteps: int) -> bool:
        """Whether a piece of advice is what was done already, or does not fit what was."""
        option = re.search(r"--([a-z-]+) ([a-z]+)", advice)
        name, word = option.groups() if option else ("", "")
        if name == "method":
            return self.chosen or self._by_method(word, timesteps)
        if name == "correct" and word == "bias":
            return self.per_step or self.schedule != "free"
        if name == "correct":
            tuned = any(one in POTENTIALS and timesteps in steps for one, steps in self.corrected)
            return self.chosen or tuned or self.schedule != "free"
        if name == "readout-from":  # a correction counts the first steps in; what it left out would be wrong again
            return bool(self.readout_from) or self.in_time or self.schedule != "free"
        if name == "neurons":
            return self.schedule != "free" or (self.signed and word == "signed")
        return "--spikes" in advice and (self.several or self.schedule != "free")

    def _by_method(self, word: str, timesteps: int) -> bool:
        """Whether λ are made for this T already, or cannot be larger."""
        try:
            method = threshold_method(self.method)
        except SpikewrightError:
            return False
        if word == "mmse":
            steps = getattr(method, "timesteps", None)
            return isinstance(steps, Timesteps) and timesteps in steps
        highest = 100.0 if isinstance(method, Max) else getattr(method, "percentile", 0.0)
        return bool(highest >= LARGEST_PERCENTILE)


def advice(cause: str, timesteps: int, had: Had) -> str:
    """What helps against a cause after T timesteps, of what is not there yet.

    Args:
        cause: one of ``OWN``, or ``WEIGHTS``.
        timesteps: T.
        had: what is there.
    """
    left = [text.format(t=timesteps) for text in HELP[cause] if not had.has(text, timesteps)]
    if not left:
        return "more timesteps"
    return left[0] if len(left) == 1 else f"{'; '.join(left[:-1])}; or {left[-1]}"
