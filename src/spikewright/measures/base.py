"""Measures that nobody lists: one a file, of this folder or of another package, taken along by ``measure``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from spikewright.engines import BatchRun, Run
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.registry import Registry, class_of
from spikewright.text import QUOTED, one_line

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MeasureResult:
    """What a measure found; tables, the report and files show it without knowing the measure.

    Attributes:
        title: what people call it, with its unit: "jitter, timesteps".
        value: of the whole network; NaN where it does not exist.
        layers: by node, where it has a value for each of some.
    """

    title: str
    value: float
    layers: Mapping[str, float] = field(default_factory=dict)

    def text(self, layer: str | None = None) -> str:
        """Its value as people read it, or that of one layer; empty for a layer that has none."""
        if layer is not None and layer not in self.layers:
            return ""
        value = self.value if layer is None else self.layers[layer]
        return f"{value:.4g}" if isfinite(value) else "–"

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "title": self.title,
            "value": float(self.value),
            "layers": {k: float(v) for k, v in self.layers.items()},
        }


class Measure(ABC):
    """Base of all that ``measure`` takes along by itself. The file's name is the measure's.

    One is made for each measurement, so that it may add up over batches.

    Args:
        graph: the spiking graph.
        timesteps: T.
    """

    def __init__(self, graph: Graph, timesteps: int) -> None:
        self.graph, self.timesteps = graph, timesteps

    def see(self, x: Tensor, run: BatchRun) -> None:  # noqa: B027
        """Look at a batch of samples ``(B, *shape)`` and at what it did, before both are forgotten."""

    def counted(self) -> Any:
        """What it has counted so far, for ``merge``: numbers, texts, arrays, and lists, tuples and tables of such.

        None, as here, says that it can neither be kept nor be put together from parts: then it is left out of runs in
        parts, and of those that go on.
        """
        return None

    def merge(self, counted: Any) -> None:  # noqa: B027
        """Take in what another one of it has counted of the samples that follow."""

    @abstractmethod
    def result(self, run: Run) -> MeasureResult:
        """What it found, once all samples were simulated; the run has counts and ``nonzero``, not the outputs."""


measures = Registry("spikewright.measures", "a measure", class_of(Measure), folder="spikewright.measures")
"""Every measure of this kind by name."""


class RegisteredMeasures:
    """All of them along one simulation. One that fails is left out, and said: it costs nobody the other numbers.

    Args:
        graph: the spiking graph.
        timesteps: T.
    """

    def __init__(self, graph: Graph, timesteps: int) -> None:
        self.warnings: list[str] = []
        self.running: dict[str, Measure] = {}
        for name, kind in measures().items():
            try:
                self.running[name] = kind(graph, timesteps)
            except Exception as error:  # a measure of somebody else may do anything
                self._lost(name, kind, error)

    def __call__(self, x: Tensor, run: BatchRun) -> None:
        for name, measure in list(self.running.items()):
            try:
                measure.see(x, run)
            except Exception as error:
                self._lost(name, type(measure), error)

    def counted(self) -> dict[str, Any]:
        """What those that can be merged have counted so far, by name."""
        found = {}
        for name, measure in list(self.running.items()):
            try:
                found[name] = measure.counted()
            except Exception as error:
                self._lost(name, type(measure), error)
        return found

    def merge(self, counted: Mapping[str, Any]) -> None:
        """Take in what others have counted of the samples that follow; whatever lacks them is left out."""
        for name, measure in list(self.running.items()):
            try:
                if counted.get(name) is None:
                    raise SettingsError("it cannot be put together from parts, as Measure.counted and merge would do")
                measure.merge(counted[name])
            except Exception as error:
                self._lost(name, type(measure), error)

    def results(self, run: Run) -> dict[str, MeasureResult]:
        """What each found, by its name."""
        found: dict[str, MeasureResult] = {}
        for name, measure in list(self.running.items()):
            try:
                result = measure.result(run)
                result.summary()  # numbers, and not something that only later turns out to be none
                found[name] = result
            except Exception as error:
                self._lost(name, type(measure), error)
        return found

    def _lost(self, name: str, kind: type[Measure], error: Exception) -> None:
        self.running.pop(name, None)
        why = one_line(f"{type(error).__name__}: {error}", QUOTED)
        self.warnings.append(f"measure '{name}', in {kind.__module__}, is left out: {why}")
