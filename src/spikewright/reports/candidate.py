"""What the report compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Graph
from spikewright.measures import Measures


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network converted by one threshold method.

    Attributes:
        label: the method as typed.
        scales: λ by population.
        normalised: the analog graph with the same scales.
        spiking: the spiking graph.
        measures: what it did.
    """

    label: str
    scales: Mapping[str, NDArray[np.float64]]
    normalised: Graph
    spiking: Graph
    measures: Measures
