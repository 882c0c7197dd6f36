"""What is odd about a run: samples unlike those of calibration, neurons that never fire, answers that never differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.encoders import Encoder
from spikewright.encoders.poisson import FittedPoisson
from spikewright.engines.reference import BatchRun
from spikewright.forward import split_inputs
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Input
from spikewright.text import listed

if TYPE_CHECKING:
    from torch import Tensor

BEYOND, BELOW = 0.1, 0.1
"""Samples are unlike those of calibration where more than this part of the values that are not zero lies beyond λ, or
where the largest is below this part of it."""

ASK = "are they preprocessed as they were then?"


@dataclass
class _Seen:
    """The values of one input so far."""

    lowest: float = float("inf")
    highest: float = -float("inf")
    values: int = 0
    nonzero: int = 0
    beyond: int = 0
    first: Tensor | None = None
    alike: bool = True

    @property
    def reach(self) -> float:
        """The value of the largest size."""
        return self.highest if self.highest >= -self.lowest else self.lowest


class RunWatcher:
    """Looks at every batch of a run; an observer of ``simulate``.

    Args:
        graph: the spiking graph.
        encoder: fitted to it.
    """

    def __init__(self, graph: Graph, encoder: Encoder) -> None:
        self.graph, self.encoder = graph, encoder
        self.inputs = {node.name: _Seen() for node in graph.of_type(Input)}
        self.known = {node.name: node.event_value for node in graph.of_type(Input)}
        self.limits = encoder.event_values if isinstance(encoder, FittedPoisson) else self.known
        self.answers: dict[str, Tensor] = {}
        self.same: dict[str, bool] = {}
        self.samples = 0

    def __call__(self, x: Tensor, run: BatchRun) -> None:
        self.samples += len(x)
        if tuple(x.shape[1:]) == self.graph.sample_shape:  # recorded events are no values
            for name, values in split_inputs(self.graph, x).items():
                self._look(name, values)
        for name, outputs in run.outputs.items():
            last = outputs[:, -1]
            first = self.answers.setdefault(name, last[:1].clone())
            self.same[name] = self.same.get(name, True) and bool((last == first).all())

    def _look(self, name: str, x: Tensor) -> None:
        seen = self.inputs[name]
        low, high = (float(end) for end in x.aminmax())
        seen.lowest, seen.highest = min(seen.lowest, low), max(seen.highest, high)
        seen.values += x.numel()
        seen.nonzero += int(x.count_nonzero())
        limit = self.limits.get(name)
        if limit is not None and max(-low, high) > limit:
            seen.beyond += int((x.abs() > limit).count_nonzero())
        if seen.first is None:
            seen.first = x[:1].clone()
        seen.alike = seen.alike and bool((x == seen.first).all())

    def remarks(self, counts: Mapping[str, Array], timesteps: int) -> tuple[str, ...]:
        """What is odd, a sentence each.

        Args:
            counts: spikes by population, over all samples and timesteps.
            timesteps: T.
        """
        found = [text for name, seen in self.inputs.items() if seen.values for text in self._of_input(name, seen)]
        silent = [node.name for node in self.graph.of_type(IF) if not counts[node.name].any()]
        over = f"in {self.samples:,} sample{'s' * (self.samples > 1)} over {timesteps} timestep{'s' * (timesteps > 1)}"
        if silent:
            groups = "a population" if len(silent) == 1 else f"{len(silent)} populations"
            found.append(f"{groups} never fired {over}: {listed(silent, 3)}")
        varied = any(not seen.alike for seen in self.inputs.values()) or not any(s.values for s in self.inputs.values())
        for name, same in self.same.items():
            if same and varied and self.samples > 1:
                which = "the answer" if len(self.same) == 1 else f"the answer of '{name}'"
                found.append(f"{which} is the same for all {self.samples:,} samples")
        return tuple(found)

    def _of_input(self, name: str, seen: _Seen) -> list[str]:
        which = "inputs" if len(self.inputs) == 1 else f"values of input '{name}'"
        if seen.lowest == seen.highest:
            return [f"{which} are {seen.lowest:.6g} everywhere: are these the data?"]
        found = []
        if seen.alike and self.samples > 1:
            found.append(f"{which} are the same in all {self.samples:,} samples")
        known, limit = self.known[name], self.limits.get(name)
        if isinstance(self.encoder, FittedPoisson) and limit is not None and seen.beyond:
            part = f"{100 * seen.beyond / seen.values:.2g} % of the values"
            found.append(f"{which} reach {seen.reach:.6g}: poisson cuts {part}, those beyond {limit:.6g}, to it")
        elif known is not None and seen.beyond > BEYOND * seen.nonzero:
            found.append(f"{which} reach {seen.reach:.6g}, calibration saw up to {known:.6g}: {ASK}")
        if known is not None and 0 < abs(seen.reach) < BELOW * known:
            found.append(f"{which} reach only {seen.reach:.6g}, calibration saw up to {known:.6g}: {ASK}")
        return found
