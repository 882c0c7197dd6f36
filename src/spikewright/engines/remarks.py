"""What is odd about a run: samples unlike those of calibration, neurons that never fire, answers that never differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.poisson import FittedPoisson
from spikewright.engines.reference import BatchRun
from spikewright.forward import split_inputs
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Input
from spikewright.parts import storable
from spikewright.text import brief, listed

if TYPE_CHECKING:
    from torch import Tensor

BEYOND, BELOW = 0.1, 0.1
"""Samples are unlike those of calibration where more than this part of the values that are not zero lies beyond λ, or
where the largest is below this part of it."""

ASK = "are they preprocessed as they were then?"


@storable
@dataclass(frozen=True, eq=False)
class InputObservations:
    """The values of one input over some samples.

    Attributes:
        lowest, highest: of all values.
        values, nonzero, beyond: how many there are, are not zero, and lie beyond ``limit``.
        first: ``(*shape)``, of the first sample.
        alike: whether all samples are equal.
        known: what calibration saw at most, or None.
        limit: what must not be passed: ``known``, or what an event of the encoder stands for; or None.
        cut: whether the encoder sends what is beyond as the limit.
    """

    lowest: float
    highest: float
    values: int
    nonzero: int
    beyond: int
    first: Array
    alike: bool
    known: float | None
    limit: float | None
    cut: bool

    __repr__ = brief

    @classmethod
    def of(cls, x: Array, known: float | None, limit: float | None, cut: bool) -> InputObservations:
        """What is seen of one batch ``(B, *shape)``."""
        low, high = float(x.min()), float(x.max())
        beyond = int(np.count_nonzero(np.abs(x) > limit)) if limit is not None and max(-low, high) > limit else 0
        alike = len(x) == 1 or (bool((x[1] == x[0]).all()) and bool((x == x[:1]).all()))
        nonzero = int(np.count_nonzero(x != 0))  # of comparisons it is counted faster than of numbers
        return cls(low, high, x.size, nonzero, beyond, x[0].copy(), alike, known, limit, cut)

    @property
    def reach(self) -> float:
        """The value of the largest size."""
        return self.highest if self.highest >= -self.lowest else self.lowest

    def merged(self, other: InputObservations) -> InputObservations:
        """Over the samples of both."""
        return InputObservations(
            lowest=min(self.lowest, other.lowest),
            highest=max(self.highest, other.highest),
            values=self.values + other.values,
            nonzero=self.nonzero + other.nonzero,
            beyond=self.beyond + other.beyond,
            first=self.first,
            alike=self.alike and other.alike and np.array_equal(self.first, other.first),
            known=self.known,
            limit=self.limit,
            cut=self.cut,
        )

    def remarks(self, which: str, samples: int) -> list[str]:
        """What is odd about them.

        Args:
            which: "inputs", or which of several.
            samples: how many there were.
        """
        if self.lowest == self.highest:
            return [f"{which} are {self.lowest + 0.0:.6g} everywhere: are these the data?"]
        found = []
        if self.alike and samples > 1:
            found.append(f"{which} are the same in all {samples:,} samples")
        if self.cut and self.limit is not None and self.beyond:
            part = f"{100 * self.beyond / self.values:.3g} % of the values"
            found.append(
                f"{which} reach {self.reach:.6g}: poisson sends what is beyond {self.limit:.6g} as that, {part}"
            )
        elif self.known is not None and self.beyond > BEYOND * self.nonzero:
            found.append(f"{which} reach {self.reach:.6g}, calibration saw up to {self.known:.6g}: {ASK}")
        if self.known is not None and 0 < abs(self.reach) < BELOW * self.known:
            found.append(f"{which} reach only {self.reach:.6g}, calibration saw up to {self.known:.6g}: {ASK}")
        return found


@storable
@dataclass(frozen=True, eq=False)
class Observations:
    """What was seen of some samples of a run, as far as remarks are made of it.

    Attributes:
        samples: how many.
        inputs: by input, its values; none where samples are recorded events.
        answers: by output, the last answer to the first sample.
        same: by output, whether the last answers to all samples are equal.
        neurons: names of the populations that are made to fire.
    """

    samples: int = 0
    inputs: Mapping[str, InputObservations] = field(default_factory=dict)
    answers: Mapping[str, Array] = field(default_factory=dict)
    same: Mapping[str, bool] = field(default_factory=dict)
    neurons: tuple[str, ...] = ()

    __repr__ = brief

    def merged(self, other: Observations) -> Observations:
        """Over the samples of both, these first."""
        if not self.samples or not other.samples:
            return self if self.samples else other
        return Observations(
            samples=self.samples + other.samples,
            inputs={name: own.merged(other.inputs[name]) for name, own in self.inputs.items()},
            answers=self.answers,
            same={
                name: same and other.same[name] and np.array_equal(self.answers[name], other.answers[name])
                for name, same in self.same.items()
            },
            neurons=self.neurons,
        )

    def remarks(self, counts: Mapping[str, Array], timesteps: int) -> tuple[str, ...]:
        """What is odd, a sentence each.

        Args:
            counts: spikes of either sign by population, over all samples and timesteps.
            timesteps: T.
        """
        found: list[str] = []
        for name, own in self.inputs.items():
            found += own.remarks("inputs" if len(self.inputs) == 1 else f"values of input '{name}'", self.samples)
        silent = [name for name in self.neurons if not counts[name].any()]
        over = f"in {self.samples:,} sample{'s' * (self.samples > 1)} over {timesteps} timestep{'s' * (timesteps > 1)}"
        if silent:
            groups = "a population" if len(silent) == 1 else f"{len(silent)} populations"
            found.append(f"{groups} never fired {over}: {listed(silent, 3)}")
        varied = not self.inputs or any(not own.alike for own in self.inputs.values())
        for name, same in self.same.items():
            if same and varied and self.samples > 1:
                which = "the answer" if len(self.same) == 1 else f"the answer of '{name}'"
                found.append(f"{which} is the same for all {self.samples:,} samples")
        return tuple(found)


class RunWatcher:
    """Looks at every batch of a run.

    Args:
        graph: the spiking graph.
        encoder: fitted to it.
    """

    def __init__(self, graph: Graph, encoder: Encoder) -> None:
        self.graph = graph
        self.cut = isinstance(encoder, FittedPoisson)
        self.known = {node.name: node.event_value for node in graph.of_type(Input)}
        self.limits = encoder.event_values if isinstance(encoder, FittedPoisson) else self.known
        self.neurons = tuple(node.name for node in graph.of_type(IF))

    def observe(self, x: Tensor, run: BatchRun) -> Observations:
        """What is seen of one batch ``(B, *sample shape)``, in the memory of the host, and of what it did."""
        values = split_inputs(self.graph, x) if tuple(x.shape[1:]) == self.graph.sample_shape else {}  # else events
        inputs = {
            name: InputObservations.of(one.numpy(), self.known[name], self.limits.get(name), self.cut)
            for name, one in values.items()
        }
        last = {name: outputs.numpy(force=True)[:, -1] for name, outputs in run.outputs.items()}
        answers = {name: one[0].copy() for name, one in last.items()}
        same = {name: len(one) == 1 or bool((one == one[:1]).all()) for name, one in last.items()}
        return Observations(len(x), inputs, answers, same, self.neurons)
