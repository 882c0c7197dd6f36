"""What spiking populations are like: one value for all of them, or a default with exceptions by name or pattern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from spikewright.errors import SettingsError
from spikewright.nodes.integrate_and_fire import ONLY_WHAT_IS_KEPT, SCHEDULES, Schedule, check_windows
from spikewright.nodes.spike_max_pool import LONGEST_HORIZON, Policy
from spikewright.settings import check_fields, digits, number
from spikewright.text import listed


@dataclass(frozen=True)
class Neurons:
    """What the neurons of a spiking population are like.

    ``str`` gives its text, ``spikes=3,signed``, which names what is not usual; ``parse`` reads it.

    Attributes:
        reset: "subtract" keeps what is above the threshold; "zero" loses it.
        max_spikes: per neuron and step: 1 single, None any number, else a cap. Unless it is 1, the λ of a ReLU
            with a ceiling is chosen so that a whole number of spikes is the ceiling, and that number is its cap.
        v_init: initial potential as a fraction of the threshold; 0.5 halves the rounding error.
        v_min: lowest potential as a fraction of the threshold (negative), or None.
        leak: decay of the potential per step; 1 is integrate-and-fire.
        max_pool: how max pooling acts on spikes.
        horizon: timesteps of memory for the policies "exp_max" and "fir_max".
        signed: whether a neuron takes spikes back, by −1, while it has sent more than its potential bears out. It needs
            ``reset="subtract"`` and no leak.
        no_debt: whether potentials end at zero from below until the first spike.
        schedule: "free": a neuron may fire at any step. "layered" and "few_spike": it adds up all T steps of a window
            and sends in the next, its count evenly spaced, or the bits of its value; in texts the word alone. All
            populations of a network keep one schedule, which allows nothing of the above but another ``v_init``.
    """

    reset: Literal["subtract", "zero"] = "subtract"
    max_spikes: int | None = 1
    v_init: float = 0.5
    v_min: float | None = None
    leak: float = 1.0
    max_pool: Policy = "count_max"
    horizon: int = 16
    signed: bool = False
    no_debt: bool = False
    schedule: Schedule = "free"

    def __post_init__(self) -> None:
        check_fields(self)
        for label, good, domain in (
            ("max_spikes", self.max_spikes is None or self.max_spikes >= 1, "1 or more, or None"),
            ("v_min", self.v_min is None or self.v_min <= 0, "0 or below, or None"),
            ("leak", 0 <= self.leak <= 1, "in [0, 1]"),
            ("horizon", 1 <= self.horizon <= LONGEST_HORIZON, f"1 to {LONGEST_HORIZON:,} timesteps"),
        ):
            if not good:
                raise SettingsError(f"Neurons: {label} must be {domain}, not {getattr(self, label)}")
        if self.signed and (self.reset != "subtract" or self.leak != 1):
            raise SettingsError(f"Neurons: {ONLY_WHAT_IS_KEPT}")
        check_windows("Neurons", self.schedule, {f.name: getattr(self, f.name) for f in fields(self)})

    def __str__(self) -> str:
        return _changes(Neurons(), self)

    @classmethod
    def parse(cls, text: str, base: Neurons | None = None) -> Neurons:
        """Neurons of a text: the settings of ``base``, or the usual ones, but for those that it names.

        Raises:
            SettingsError: for an unknown setting, one that comes twice, or a value outside its domain.
        """
        given: dict[str, Any] = {}
        for word in filter(None, text.replace(" ", "").split(",")):
            label, equals, value = f"schedule={word}".partition("=") if word in SCHEDULES else word.partition("=")
            name = {"spikes": "max_spikes"}.get(label, label)
            if name not in _READERS or not (equals or name in _WORDS):
                known = ", ".join(_written(name) if name in _WORDS else f"{_written(name)}=" for name in _READERS)
                known = known.replace("schedule=", ", ".join(SCHEDULES))
                raise SettingsError(f"neurons: unknown setting '{word[:40]}'; there are {known}")
            if name in given:
                raise SettingsError(f"neurons: {label} is given twice")
            given[name] = _READERS[name](label, value) if equals else True
        return replace(base or cls(), **given)


@dataclass(frozen=True)
class NeuronsByPopulation:
    """What each population is like: a default, and exceptions by name or pattern.

    ``str`` gives its text, ``spikes=1; conv*: spikes=3; fc: reset=zero``, which ``parse`` reads.

    Attributes:
        default: of all populations that no pattern fits.
        exceptions: patterns (names in which ``*``, ``?`` and ``[...]`` stand for others), each with what populations of
            such names are like; of several that fit the last counts. A mapping will do.
    """

    default: Neurons = Neurons()
    exceptions: tuple[tuple[str, Neurons], ...] = ()

    def __post_init__(self) -> None:
        given = self.exceptions
        pairs = tuple(given.items()) if isinstance(given, Mapping) else tuple(map(tuple, given))
        object.__setattr__(self, "exceptions", pairs)
        for pair in ((None, self.default), *pairs):
            if len(pair) != 2 or not isinstance(pair[1], Neurons) or not isinstance(pair[0], str | None):
                raise SettingsError(f"exceptions are patterns of names, each with its Neurons, not {str(pair)[:60]}")
            if pair[1].schedule != self.default.schedule:
                raise SettingsError(
                    f"neurons: '{pair[0]}' is {pair[1].schedule}, all others {self.default.schedule}: a network has "
                    "one schedule; name it once, before any pattern"
                )

    def of(self, name: str) -> Neurons:
        """What the population of a name is like."""
        fitting = [neurons for pattern, neurons in self.exceptions if _fits(name, pattern)]
        return fitting[-1] if fitting else self.default

    def changed(self, text: str) -> NeuronsByPopulation:
        """The same with some settings changed, of exceptions too.

        Args:
            text: the settings, as ``Neurons.parse`` reads them.

        Raises:
            SettingsError: as ``Neurons.parse``, and where the settings do not go with those that are there.
        """
        exceptions = tuple((pattern, Neurons.parse(text, own)) for pattern, own in self.exceptions)
        return NeuronsByPopulation(Neurons.parse(text, self.default), exceptions)

    def check(self, populations: Iterable[str]) -> None:
        """Refuse patterns that no population fits.

        Raises:
            SettingsError: naming the pattern, and the populations there are.
        """
        names = tuple(populations)
        for pattern, _ in self.exceptions:
            if not any(_fits(name, pattern) for name in names):
                raise SettingsError(
                    f"neurons: no population is called '{pattern}'; there are {listed(names) or 'none'}"
                )

    def __str__(self) -> str:
        others = [
            f"{pattern}: {_changes(self.default, neurons) or f'reset={neurons.reset}'}"
            for pattern, neurons in self.exceptions
        ]
        return "; ".join(filter(None, (str(self.default), *others)))

    @classmethod
    def parse(cls, text: str, base: Neurons | None = None) -> NeuronsByPopulation:
        """Neurons by population of a text: clauses parted by semicolons, each a pattern, a colon and settings, or
        settings of all.

        Raises:
            SettingsError: as ``Neurons.parse``, and for a pattern that is empty or comes twice.
        """
        default = base or Neurons()
        clauses = [clause.strip() for clause in text.split(";") if clause.strip()]
        for clause in clauses:
            if ":" not in clause:
                default = Neurons.parse(clause, default)
        pairs = {}
        for clause in clauses:
            pattern, colon, settings = (part.strip() for part in clause.rpartition(":"))
            if colon and (not pattern or pattern in pairs or not settings):
                wrong = "is given twice" if pattern in pairs else "needs a name and settings"
                raise SettingsError(f"neurons: '{clause[:40]}' {wrong}; write conv*: spikes=3")
            if colon:
                pairs[pattern] = Neurons.parse(settings, default)
        return cls(default, tuple(pairs.items()))


NeuronsGiven = Neurons | NeuronsByPopulation | str | None
"""What the populations are like as people give it: a value, or its text; None for the usual."""


def neurons_of(given: NeuronsGiven) -> NeuronsByPopulation:
    """What each population is like, from a value or its text.

    Raises:
        SettingsError: for what is neither.
    """
    if isinstance(given, str):
        return NeuronsByPopulation.parse(given)
    if isinstance(given, NeuronsByPopulation):
        return given
    if given is not None and not isinstance(given, Neurons):
        raise SettingsError(
            "neurons must be Neurons, their text such as 'conv*: spikes=3', None, or "
            f"NeuronsByPopulation(Neurons(), {{'conv*': Neurons(max_spikes=3)}}), not {type(given).__name__}"
        )
    return NeuronsByPopulation(given or Neurons())


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _changes(base: Neurons, other: Neurons) -> str:
    """The settings that differ, as text."""
    named = [f.name for f in fields(base) if getattr(base, f.name) != getattr(other, f.name)]
    return ",".join(_setting(name, getattr(other, name)) for name in named)


def _setting(name: str, value: Any) -> str:
    """One setting as text: words that say it all stand alone."""
    if name == "schedule":
        return str(value)
    return name if value is True else f"{_written(name)}={_text(name, value)}"


def _written(name: str) -> str:
    """A setting as it is called in texts."""
    return "spikes" if name == "max_spikes" else name


def _text(name: str, value: Any) -> str:
    if name == "max_spikes":
        return {1: "single", None: "multi"}.get(value, str(value))
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value) if isinstance(value, str) else repr(value)


def spikes_of(text: str, label: str = "spikes") -> int | None:
    """How many spikes a neuron may send in one step, from ``single``, ``multi``, or a cap as a number.

    Raises:
        SettingsError: for anything else.
    """
    if text in ("single", "multi"):
        return 1 if text == "single" else None
    if cap := digits(text):
        return cap
    raise SettingsError(f"{label} takes single, multi, or a cap like 3, not '{text[:40]}'")


def _number(label: str, text: str) -> float:
    found = number(text)
    if found is None:
        raise SettingsError(f"neurons: {label} takes a number, not '{text[:40]}'")
    return found


def _whole(label: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SettingsError(f"neurons: {label} takes a whole number, not '{text[:40]}'")
    return int(text)


def _truth(label: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise SettingsError(f"neurons: {label} is a word of its own, or takes true or false, not '{text[:40]}'")
    return text == "true"


_READERS: Mapping[str, Any] = {
    "reset": lambda _, text: text,
    "max_spikes": lambda label, text: spikes_of(text, f"neurons: {label}"),
    "v_init": _number,
    "v_min": lambda label, text: None if text == "none" else _number(label, text),
    "leak": _number,
    "max_pool": lambda _, text: text,
    "horizon": _whole,
    "signed": _truth,
    "no_debt": _truth,
    "schedule": lambda _, text: text,
}
_WORDS = frozenset(f.name for f in fields(Neurons) if f.default is False)
"""The settings that are named to be chosen, without a value."""
