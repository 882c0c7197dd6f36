"""One way to convert a network, as a value with a text, and the words of the command line that do the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self, get_args

from spikewright.calibration import Method, threshold_method
from spikewright.calibration.thresholds.auto import Auto
from spikewright.conversion import Neurons, NeuronsByPopulation, Readout, View, spikes_of
from spikewright.corrections import Corrector, corrector
from spikewright.corrections.gain import Gain
from spikewright.errors import SettingsError
from spikewright.experiment.converting import METHOD
from spikewright.nodes.spike_max_pool import Policy
from spikewright.settings import number
from spikewright.timesteps import Timesteps


@contextmanager
def naming(point: object) -> Iterator[None]:
    """Say of settings that do not go together which point of a grid has them.

    Args:
        point: that is made or run within.

    Raises:
        SettingsError: what was raised within, with the point named.
    """
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"the point {point} cannot be tried: {error}") from error


@dataclass(frozen=True)
class Point:
    """One way to convert a network: settings by name, each as its text.

    ``str`` gives its text, ``method=percentile:99.9,channels gain=4``, which ``parse`` reads; names and values are
    those of ``SETTINGS``, and what is not named is as ``convert`` has it.

    Attributes:
        settings: names and texts, in the order in which they were given.
    """

    settings: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.settings
        pairs = given.items() if isinstance(given, Mapping) else given
        found: dict[str, str] = {}
        for name, text in pairs:
            if name in found:
                raise SettingsError(f"a point has {name} twice, {found[name]} and {text}; give one")
            found[name] = setting(name, text)
        object.__setattr__(self, "settings", tuple(found.items()))
        with naming(self):
            _ = self.neurons

    def __getitem__(self, name: str) -> str:
        """The text of a setting; what it is usually where it is not named."""
        return dict(self.settings).get(name, SETTINGS[name].usual)

    def __str__(self) -> str:
        return shlex.join(f"{name}={text}" for name, text in self.settings)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A point from its text.

        Raises:
            SettingsError: for a setting that does not exist, comes twice, or has no such value.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SettingsError(f"a point is a text like 'method=max gain=4', not '{text[:40]}'") from error
        return cls(tuple(name_and_text(word) for word in words))

    @property
    def method(self) -> Method:
        """The threshold method."""
        return threshold_method(self["method"])

    @property
    def corrections(self) -> tuple[Corrector, ...]:
        """What is corrected after conversion, in order: the gain of the first layer comes first."""
        gain = float(self["gain"])
        return self._corrections if gain == 1 else (Gain(factor=gain), *self._corrections)

    @property
    def _corrections(self) -> tuple[Corrector, ...]:
        """Those of the setting "correct"."""
        return () if self["correct"] == NOTHING else tuple(map(corrector, self["correct"].split(JOINED)))

    def fitted(self, timesteps: Timesteps) -> Point:
        """The same with corrections for these T where their text does not say for which."""
        chain = (
            replace(one, timesteps=timesteps) if one.looks_at_samples and one.timesteps is None else one
            for one in self._corrections
        )
        text = JOINED.join(map(str, chain)) or NOTHING
        return Point(tuple((name, text if name == "correct" else own) for name, own in self.settings))

    @property
    def neurons(self) -> NeuronsByPopulation:
        """What the populations are like."""
        return _neurons_as(tuple(self[name] for name in OF_NEURONS))

    @property
    def options(self) -> dict[str, Any]:
        """The keywords of ``convert`` beside the method and corrections."""
        return {"neurons": self.neurons, "view": self["view"], "readout": self["readout"]}

    @property
    def words(self) -> list[str]:
        """The options of ``spikewright convert`` that make this conversion."""
        found = ["--method", str(self.method)]
        for correction in self.corrections:
            found += ["--correct", str(correction)]
        for name in ("neurons", "spikes", "reset", "v_init", "v_min", "leak", "max_pool", "view", "readout"):
            if self[name] != SETTINGS[name].usual:
                found += [f"--{name.replace('_', '-')}", self[name]]
        return found


@dataclass(frozen=True)
class Setting:
    """One setting of a conversion that may be varied.

    Attributes:
        usual: its text where nothing is said.
        read: its text in the one form that it is shown in.
        ranges: whether it takes ranges of numbers.
        takes: what it takes, in words.
    """

    usual: str
    read: Callable[[str], str]
    takes: str
    ranges: bool = False


NOTHING = "none"
USUAL_NEURONS = "free"
"""Neurons that are as usual in all: they fire at any step."""
JOINED = "+"
"""What stands between corrections that follow one another."""


def setting(name: str, text: str) -> str:
    """The text of a setting in its one form.

    Raises:
        SettingsError: for a setting that does not exist, or has no such value.
    """
    if name not in SETTINGS:
        raise SettingsError(f"nothing is called '{name[:40]}' that could be varied; there are {', '.join(SETTINGS)}")
    return SETTINGS[name].read(text.strip())


def name_and_text(word: str) -> tuple[str, str]:
    """``gain=1..10`` as the name and the text behind it.

    Raises:
        SettingsError: for a word without either.
    """
    name, equals, text = word.partition("=")
    if not (name.strip() and equals and text.strip()):
        raise SettingsError(f"a setting is written NAME=VALUE, as in gain=1..10, not '{word[:40]}'")
    return name.strip(), text.strip()


OF_NEURONS = ("reset", "spikes", "v_init", "v_min", "leak", "max_pool", "neurons")
"""The settings that neurons follow from."""


@lru_cache(1024)
def _neurons_as(texts: tuple[str, ...]) -> NeuronsByPopulation:
    """Neurons by the texts of the settings that they follow from: many points of a grid have the same."""
    given = dict(zip(OF_NEURONS, texts, strict=True))
    base = Neurons(
        reset=_literal(given["reset"]),
        max_spikes=spikes_of(given["spikes"]),
        v_init=float(given["v_init"]),
        v_min=None if given["v_min"] == NOTHING else float(given["v_min"]),
        leak=float(given["leak"]),
        max_pool=_literal(given["max_pool"]),
    )
    return NeuronsByPopulation.parse(given["neurons"], base)


def _literal(text: str) -> Any:
    return text


def _method(text: str) -> str:
    found = threshold_method(text)
    if isinstance(found, Auto):
        raise SettingsError(f"{found} chooses by itself what a grid would; give it to convert, or name methods here")
    return str(found)


def _corrections(text: str) -> str:
    if text == NOTHING:
        return text
    return JOINED.join(str(corrector(word)) for word in text.split(JOINED))


def _number(name: str, least: float | None = None) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = number(text)
        if found is None or found != found or (least is not None and found <= least):
            domain = "a number" if least is None else f"a number above {least:g}"
            raise SettingsError(f"{name} takes {domain}, or a range like 1..10, not '{text[:40]}'")
        return f"{found:.10g}"

    return read


def _lowest(text: str) -> str:
    return text if text == NOTHING else _number("v_min")(text)


def _choice(name: str, words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise SettingsError(f"{name} takes {' or '.join(words)}, not '{text[:40]}'")
        return text

    return read


def _spikes(text: str) -> str:
    found = spikes_of(text)
    return {1: "single", None: "multi"}.get(found, str(found))


def _neurons(text: str) -> str:
    return str(NeuronsByPopulation.parse(text)) or USUAL_NEURONS


SETTINGS: Mapping[str, Setting] = {
    "method": Setting(METHOD, _method, "a threshold method"),
    "correct": Setting(NOTHING, _corrections, f"none, or corrections with {JOINED} between"),
    "gain": Setting("1", _number("gain", 0.0), "the gain of the first layer", ranges=True),
    "neurons": Setting("", _neurons, "as --neurons of convert"),
    "spikes": Setting("single", _spikes, "single, multi, or a cap", ranges=True),
    "reset": Setting("subtract", _choice("reset", ("subtract", "zero")), "subtract or zero"),
    "v_init": Setting("0.5", _number("v_init"), "a fraction of the threshold", ranges=True),
    "v_min": Setting(NOTHING, _lowest, "none, or a fraction of the threshold"),
    "leak": Setting("1", _number("leak"), "the decay of the potential per step", ranges=True),
    "max_pool": Setting("count_max", _choice("max_pool", get_args(Policy)), "how max pooling acts on spikes"),
    "view": Setting("weights", _choice("view", get_args(View)), "what takes the scale"),
    "readout": Setting("potential", _choice("readout", get_args(Readout)), "of the output layer"),
}
"""What may be varied, by name: the options of ``spikewright convert``, and the gain of the first layer."""

Reset = Literal["subtract", "zero"]
