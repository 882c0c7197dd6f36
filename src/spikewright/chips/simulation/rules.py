"""What a chip does where its data sheet leaves it open, and in which order simultaneous events are worked off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spikewright.errors import SettingsError
from spikewright.settings import check_fields

STATE_LOW, STATE_HIGH = -(2**15), 2**15 - 1
"""The lowest and the highest potential that a word of 16 bits holds."""
_MASK = 2**64 - 1


@dataclass(frozen=True)
class ChipRules:
    """How a chip of integrate-and-fire cores works off its events, where that is not public; and what is tried out.

    ``str`` gives its text, ``fires=above,decimator=neuron,permute=7``, which ``parse`` reads; what is as usual is left
    out.

    Attributes:
        fires: whether a neuron fires "at" its threshold (v ≥ θ) or only "above" it (v > θ).
        decimator: whether a decimator counts the spikes of its whole "core" or of each "neuron".
        ticks: whether at a tick of the slow clock a neuron may "fire", or the bias is only "add"ed.
        permute: a seed: events of the same microsecond arrive at every core in an order drawn from it. None keeps the
            stated order: by source, then row, column and channel, each with its consequences before the next.
    """

    fires: Literal["at", "above"] = "at"
    decimator: Literal["core", "neuron"] = "core"
    ticks: Literal["fire", "add"] = "fire"
    permute: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.permute is not None and not 0 <= self.permute < 2**63:
            raise SettingsError(f"ChipRules: permute must be a seed from 0 on, below 2^63, not {self.permute}")

    def __str__(self) -> str:
        usual = ChipRules()
        labels = ("fires", "decimator", "ticks", "permute")
        own = [label for label in labels if getattr(self, label) != getattr(usual, label)]
        return ",".join(f"{label}={getattr(self, label)}" for label in own)

    @classmethod
    def parse(cls, text: str) -> ChipRules:
        """The rules of a text; an empty one says the usual.

        Raises:
            SettingsError: for a rule that does not exist, comes twice, or has no such value.
        """
        given: dict[str, str | int] = {}
        for word in filter(None, text.replace(" ", "").split(",")):
            label, equals, value = word.partition("=")
            if label not in ("fires", "decimator", "ticks", "permute") or not equals:
                raise SettingsError(
                    f"chip rules: unknown '{word[:40]}'; there are fires=at|above, decimator=core|neuron, "
                    "ticks=fire|add, permute=SEED"
                )
            if label in given:
                raise SettingsError(f"chip rules: {label} is given twice")
            if label == "permute" and not (value.isascii() and value.isdigit() and len(value) < 20):
                raise SettingsError(f"chip rules: permute takes a seed, a whole number, not '{value[:40]}'")
            given[label] = int(value) if label == "permute" else value
        return cls(**given)  # type: ignore[arg-type]


def mixed(value: int) -> int:
    """64 bits made of 64 bits, which look like chance (splitmix64, Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def shuffled(count: int, seed: int, sample: int, core: int, time: int) -> list[int]:
    """An order of the events that arrive at a core in one microsecond.

    Args:
        count: how many.
        seed: of the draw.
        sample: which sample of its data set.
        core: which layer of the network, counted from 0.
        time: the microsecond.

    Returns:
        which event comes first, second and so on.
    """
    state = seed
    for part in (sample, core, time):
        state = mixed(mixed(state) ^ part)
    return sorted(range(count), key=lambda k: (mixed(state ^ k), k))
