"""What a threshold method is: a small frozen value that says which statistics it needs and makes λ of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Request
from spikewright.errors import SettingsError
from spikewright.settings import check_fields, number

Found = TypeVar("Found")


class NodeFacts(Protocol):
    """What a method may ask of the statistics of one population."""

    @property
    def layer(self) -> int:
        """The index of the weighted layer that the population stands behind, from 0 on; 0 for an input too."""
        ...

    @property
    def maximum(self) -> NDArray[np.float64]:
        """The largest value of each channel, ``(channels,)``."""
        ...

    def __getitem__(self, request: Request[Found]) -> Found: ...


@dataclass(frozen=True)
class Method(ABC):
    """Base of all threshold methods."""

    main: ClassVar[str | None] = None
    """The field that may be written right after the colon."""

    def __post_init__(self) -> None:
        check_fields(self, self.name)

    def requests(self, layer: int) -> tuple[Request[Any], ...]:  # noqa: ARG002
        """What it needs to know of the population behind weighted layer ``layer``, beside ``NodeFacts``."""
        return ()

    @abstractmethod
    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        """λ of one population: shape ``()`` or ``(channels,)``."""

    def whole(self, node: NodeFacts) -> float:
        """λ of the whole layer, for channels that were never active."""
        return float(np.max(node.maximum))

    @property
    def name(self) -> str:
        """The name on the command line: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        words: list[str] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == self.main:
                words.insert(0, f"{value:.10g}")
            elif isinstance(value, bool):
                words += [f.name] if value else []
            elif value != f.default:
                words.append(f"{f.name}={value:.10g}")
        return self.name + (":" + ",".join(words) if words else "")

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Self:
        """The method that the words after its name say: see ``words_of``.

        Raises:
            SettingsError: for an option that does not exist, comes twice, or has no such value.
        """
        settings: dict[str, float | bool] = {}
        known = {f.name: f for f in fields(cls)}
        name = cls.__module__.rpartition(".")[2]
        for position, word in enumerate(words):
            label, equals, text = word.partition("=")
            main = position == 0 or label[:1] in "+-.0123456789"
            if main and not equals and cls.main and label not in known:
                label, text = cls.main, label
            if label not in known:
                raise SettingsError(f"{name}: unknown option '{word[:40]}'; it has {', '.join(known)}")
            if label in settings:
                hint = "" if equals else "; decimals have a point, as in 99.9"
                raise SettingsError(f"{name}: {label} is given twice{hint}")
            switch = isinstance(known[label].default, bool)
            settings[label] = _truth(name, label, text) if switch else _number(name, label, text)
        return cls(**settings)


def words_of(text: str) -> list[str]:
    """The words of a method's text, its name first; colons, commas and spaces part them alike.

    ``99.9%`` and ``p99.9`` are other ways to write ``percentile:99.9``, and so is ``percentile=99.9``.
    """
    joined = re.sub(r"\s*=\s*", "=", text.strip().lower())
    words = [word for word in re.split(r"[\s:,;]+", joined) if word]
    if not words:
        return []
    short = re.fullmatch(r"p(\d.*)|(\d.*)%", words[0])
    if short:
        return ["percentile", short[1] or short[2], *words[1:]]
    name, equals, value = words[0].partition("=")
    return [name, *([value] if equals else []), *words[1:]]


def _number(name: str, label: str, text: str) -> float:
    found = number(text.removesuffix("%") if label == "percentile" else text)
    if found is None:
        raise SettingsError(f"{name}: {label} takes a number, not '{text[:40]}'")
    return found


def _truth(name: str, label: str, text: str) -> bool:
    if text in ("", "true", "yes", "1"):
        return True
    if text in ("false", "no", "0"):
        return False
    raise SettingsError(f"{name}: {label} is there or not; write it without '={text[:40]}'")
