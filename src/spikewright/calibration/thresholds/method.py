"""What a threshold method is: a small frozen value that says which statistics it needs and makes λ of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright import worded
from spikewright.calibration.requests import Request
from spikewright.conversion.neurons import Neurons
from spikewright.worded import Worded

Found = TypeVar("Found")
USUAL = Neurons()


class FoundInData(Protocol):
    """What is known of the values of one population over the data."""

    @property
    def layer(self) -> int:
        """The index of the weighted layer that the population stands behind, from 0 on; 0 for an input too."""
        ...

    @property
    def maximum(self) -> NDArray[np.float64]:
        """The largest value of each channel, ``(channels,)``."""
        ...

    def __getitem__(self, request: Request[Found]) -> Found: ...


@dataclass(frozen=True, eq=False)
class NodeFacts:
    """What a method may ask about one population.

    Attributes:
        values: what was found in the data.
        neurons: what its neurons will be like.
        ceiling: of its ReLU, or None: λ is never above.
    """

    values: FoundInData
    neurons: Neurons = USUAL
    ceiling: float | None = None

    @property
    def layer(self) -> int:
        """The index of the weighted layer that the population stands behind, from 0 on; 0 for an input too."""
        return self.values.layer

    @property
    def maximum(self) -> NDArray[np.float64]:
        """The largest value of each channel, ``(channels,)``."""
        return self.values.maximum

    def __getitem__(self, request: Request[Found]) -> Found:
        return self.values[request]


@dataclass(frozen=True)
class Method(Worded, ABC):
    """Base of all threshold methods."""

    def requests(self, layer: int) -> tuple[Request[Any], ...]:  # noqa: ARG002
        """What it needs to know of the population behind weighted layer ``layer``, beside ``NodeFacts``."""
        return ()

    @abstractmethod
    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        """λ of one population: shape ``()`` or ``(channels,)``.

        A channel for which there is none has NaN or 0, and takes that of the whole layer.
        """

    def whole(self, node: NodeFacts) -> float:
        """λ of the whole layer, for channels that have none of their own."""
        return float(np.max(node.maximum))


def words_of(text: str) -> list[str]:
    """The words of a method's text, its name first.

    ``99.9%`` and ``p99.9`` are other ways to write ``percentile:99.9``, and so is ``percentile=99.9``.
    """
    words = worded.words_of(text)
    short = re.fullmatch(r"p(\d.*)|(\d.*)%", words[0]) if words else None
    return ["percentile", short[1] or short[2], *words[1:]] if short else words
