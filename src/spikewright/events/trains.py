"""The spikes of a population, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Array, Shape
from spikewright.parts import storable
from spikewright.text import brief

Step = tuple[NDArray[np.int64], NDArray[np.int32], Array]
"""What some samples sent in one timestep: sample, neuron and value of each event, by sample and neuron."""


@storable
@dataclass(frozen=True, eq=False)
class Events:
    """What a population sent, ordered by sample, timestep and neuron.

    A population has at most 2^31 neurons and a run fewer than 2^31 timesteps, so 32 bits hold them; samples have 64,
    since a data set that is streamed to disk may be of any length.

    Attributes:
        shape: of the population.
        sample: ``(E,)``, int64: the index of the sample in the data set.
        timestep: ``(E,)``, int32, from 0.
        neuron: ``(E,)``, int32: its index in the population's shape, in C order, so that channels come first.
        value: ``(E,)``, float32: spikes in that step, mostly 1 and never 0. A max pool sends what its policy makes of
            them, negative values too where it reads some.
    """

    shape: Shape
    sample: NDArray[np.int64]
    timestep: NDArray[np.int32]
    neuron: NDArray[np.int32]
    value: Array

    __repr__ = brief

    @classmethod
    def of_steps(
        cls, shape: Shape, steps: Sequence[Step], first: int = 0, timesteps: NDArray[np.int64] | None = None
    ) -> Events:
        """Put together what each timestep sent.

        Args:
            shape: of the population.
            steps: what was sent, step after step.
            first: the index of the first sample in its data set.
            timesteps: ``(S,)``, which steps these are; from 0 onwards by default.
        """
        sample, neuron, value = (np.concatenate(column) for column in zip(*steps, strict=True))
        number = np.arange(len(steps)) if timesteps is None else timesteps
        timestep = np.repeat(number.astype(np.int32), [len(step[0]) for step in steps])
        order = np.argsort(sample, kind="stable")
        return cls(
            shape,
            sample[order] + first,
            timestep[order],
            neuron[order],
            value[order],
        )

    @classmethod
    def joined(cls, shape: Shape, parts: Sequence[Events]) -> Events:
        """Those of consecutive samples as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            shape,
            np.concatenate([np.zeros(0, np.int64), *(part.sample for part in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(part.timestep for part in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(part.neuron for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.value for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.sample)

    def at_steps(self, timesteps: NDArray[np.int64]) -> Events:
        """Those of some timesteps ``(S,)``, in rising order."""
        kept = np.isin(self.timestep, timesteps)
        return Events(self.shape, self.sample[kept], self.timestep[kept], self.neuron[kept], self.value[kept])

    def dense(self, samples: int, timesteps: int, first: int = 0) -> Array:
        """The same as ``(samples, timesteps, *shape)``, 0 where nothing was sent.

        Args:
            samples: N.
            timesteps: T.
            first: the index of the first of the samples in its data set.

        Raises:
            IndexError: where events lie outside.
        """
        if len(self) and self.sample.min() < first:
            raise IndexError(f"an event of sample {self.sample.min()} lies before the first sample, {first}")
        found = np.zeros((samples, timesteps, prod(self.shape)), np.float32)
        found[self.sample - first, self.timestep, self.neuron] = self.value
        return found.reshape(samples, timesteps, *self.shape)
