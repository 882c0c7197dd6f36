"""Events of a camera, at their times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.encoders.encoder import Encoder
from spikewright.errors import DataError
from spikewright.graph import Graph
from spikewright.recordings import EventBatch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RecordedEvents(Encoder):
    """Recordings (``EventBatch``) as they are; behind the end of a recording nothing comes. It is chosen by itself.

    Attributes:
        unit: what one event stands for.
        inputs: the names of the network's inputs, once it is fitted.
    """

    unit: float = 1.0
    inputs: tuple[str, ...] = ()

    def fitted(self, graph: Graph) -> RecordedEvents:
        return replace(self, inputs=tuple(graph.inputs))

    @property
    def event_values(self) -> Mapping[str, float]:
        return dict.fromkeys(self.inputs, float(np.float32(self.unit)))

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        return _events(x).at(t)

    def mean(self, x: Tensor, timesteps: int) -> Tensor:
        return _events(x).mean_frame()

    def wanted(self, shape: tuple[int, ...]) -> str:
        return f"recordings whose frames have the shape {shape}"


def _events(x: Any) -> EventBatch:
    if not isinstance(x, EventBatch):
        raise DataError(
            "the encoder recordings is for recordings of event cameras, and these are arrays: leave --encoder away for "
            "constant values, or give poisson for random spikes, or events for frames of event counts"
        )
    return x
