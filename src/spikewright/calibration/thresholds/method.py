"""What a threshold method is: a small frozen value that says which statistics it needs and makes λ of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.settings import check_fields


@dataclass(frozen=True)
class Wish:
    """A percentile to be found exactly.

    Attributes:
        percentile: 0 to 100.
        channels: one for each channel, or one for the layer.
        zeros: over all rectified activations; else over the positive ones only.
    """

    percentile: float
    channels: bool = False
    zeros: bool = False

    @property
    def key(self) -> str:
        return f"{self.percentile:.10g}" + (",channels" if self.channels else "") + (",zeros" if self.zeros else "")

    @classmethod
    def parse(cls, key: str) -> Wish | None:
        """The wish of a key; None for text that is none."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-\d+)?)(,channels)?(,zeros)?", key)
        wish = found and cls(float(found[1]), bool(found[2]), bool(found[3]))
        return wish if wish and wish.key == key and wish.percentile <= 100 else None


class NodeFacts(Protocol):
    """What a method may ask of the statistics of one population."""

    @property
    def layer(self) -> int: ...
    @property
    def maximum(self) -> NDArray[np.float64]: ...
    def quantile(self, wish: Wish) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Method(ABC):
    """Base of all threshold methods."""

    main: ClassVar[str | None] = None
    """The field that may be written right after the colon."""

    def __post_init__(self) -> None:
        check_fields(self)

    def wishes(self, layer: int) -> tuple[Wish, ...]:  # noqa: ARG002
        """The percentiles it needs of the population behind weighted layer ``layer``."""
        return ()

    @abstractmethod
    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        """λ of one population: shape ``()`` or ``(channels,)``."""

    def whole(self, node: NodeFacts) -> float:
        """λ of the whole layer, for channels that were never active."""
        return float(np.max(node.maximum))

    @property
    def name(self) -> str:
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
        """From the parts after the colon of the command-line form."""
        settings: dict[str, float | bool] = {}
        known = {f.name: f for f in fields(cls)}
        name = cls.__module__.rpartition(".")[2]
        for position, word in enumerate(words):
            label, equals, text = word.partition("=")
            if not equals and position == 0 and cls.main and label not in known:
                label, text = cls.main, label
            if label not in known:
                raise SettingsError(f"{name}: unknown option '{word}'; it has {', '.join(known)}")
            if isinstance(known[label].default, bool) and not text:
                settings[label] = True
                continue
            try:
                settings[label] = float(text)
            except ValueError:
                raise SettingsError(f"{name}: {label} takes a number, not '{text}'") from None
        return cls(**settings)
