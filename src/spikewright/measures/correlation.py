"""How well firing rates follow the activations they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import BatchRun
from spikewright.engines.ends import Ends
from spikewright.forward import Forward
from spikewright.graph import Array, Graph, Shape
from spikewright.parts import Fold, storable
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor

POINTS = 1500


@dataclass(frozen=True, eq=False)
class Correlation:
    """The correlation of one population's rates with its analog activations, over every neuron and sample.

    Attributes:
        pearson: correlation of activation / λ with the firing rate; None where one of them never varies.
        rms: root of the mean squared difference, in units of λ.
        analog, spiking: up to 1,500 of the pairs, drawn evenly.
    """

    pearson: float | None
    rms: float
    analog: NDArray[np.float32]
    spiking: NDArray[np.float32]

    __repr__ = brief


@storable
@dataclass
class _Sums:
    """Sums that give the correlation, and what is drawn of each batch."""

    values: Fold = field(default_factory=Fold)
    lowest: NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.inf))
    highest: NDArray[np.float64] = field(default_factory=lambda: np.full(2, -np.inf))
    analog: list[NDArray[np.float32]] = field(default_factory=list)
    spiking: list[NDArray[np.float32]] = field(default_factory=list)

    def merge(self, other: _Sums) -> None:
        """Take in those of the samples that follow."""
        self.values.merge(other.values)
        self.lowest = np.minimum(self.lowest, other.lowest)
        self.highest = np.maximum(self.highest, other.highest)
        self.analog += other.analog
        self.spiking += other.spiking


class CorrelationObserver:
    """Watches a simulation and runs the trained network on the same samples.

    Args:
        reference: the trained network, with the names of the spiking one: ``Conversion.reference``.
        units: λ by population: ``Conversion.units``.
        timesteps: T of the simulation.
        samples: how many samples there will be, to draw the pairs evenly.
        seed: of the draw.
        device: a torch device.
        encoder: of the simulation; it knows which samples the trained network sees. None for constant currents.
        answers: called with the samples, the trained network's outputs by name, and the batch.
        batch: the number of the first batch that it sees, on which its draws depend.
    """

    def __init__(
        self,
        reference: Graph,
        units: Mapping[str, Array],
        timesteps: int,
        samples: int,
        seed: int = 0,
        device: str = "cpu",
        encoder: Encoder | None = None,
        answers: Callable[[Tensor, Mapping[str, Tensor], BatchRun], None] | None = None,
        batch: int = 0,
    ) -> None:
        self.forward = Forward(reference, device)
        self.units = {name: self._placed(unit, reference.shapes[name]) for name, unit in units.items()}
        self.timesteps, self.samples = timesteps, samples
        self.encoder = encoder or Constant()
        self.seed, self.batch = seed, batch
        self.random = np.random.default_rng((seed, batch))
        self.sums: dict[str, _Sums] = {}
        self.answers = answers

    def __call__(self, x: Tensor, run: BatchRun) -> None:
        self.random = np.random.default_rng((self.seed, self.batch))
        ends = Ends(x, self.timesteps)
        watch = {
            name: self._watcher(name, ends.mean(counts.double(), self.timesteps - 1))
            for name, counts in run.counts.items()
            if name in self.units
        }
        outputs = self.forward(self.encoder.mean(x, self.timesteps), watch)
        if self.answers is not None:
            self.answers(x, outputs, run)
        self.batch += 1

    def counted(self) -> tuple[int, dict[str, _Sums]]:
        """What was counted so far, for ``merge``."""
        return self.batch, self.sums

    def merge(self, counted: tuple[int, dict[str, _Sums]]) -> None:
        """Take in what another one has counted of the samples that follow."""
        self.batch, others = counted
        for name, sums in others.items():
            self.sums.setdefault(name, _Sums()).merge(sums)

    def _placed(self, unit: Array, shape: Shape) -> Tensor:
        """λ where the trained network runs, in double precision, so that it divides a batch of activations."""
        import torch

        wide = unit if unit.ndim in (0, len(shape)) else unit.reshape(-1, *(1 for _ in shape[1:]))
        return torch.tensor(wide, dtype=torch.float64, device=self.forward.to_tensor(np.zeros(0)).device)

    def _watcher(self, name: str, rates: Tensor) -> Callable[[Tensor], None]:
        def compare(activation: Tensor) -> None:
            a = (activation.double() / self.units[name]).flatten()
            r = rates.flatten()
            sums = self.sums.setdefault(name, _Sums())
            moments = (len(a), a.sum(), r.sum(), (a * a).sum(), (r * r).sum(), (a * r).sum(), ((a - r) ** 2).sum())
            sums.values.add(self.batch, np.array([float(m) for m in moments]))
            sums.lowest = np.minimum(sums.lowest, [float(a.min()), float(r.min())])
            sums.highest = np.maximum(sums.highest, [float(a.max()), float(r.max())])
            points = -(-POINTS * len(activation) // self.samples)
            chosen = self.random.integers(0, len(a), min(points, len(a)))
            sums.analog.append(a.cpu().numpy()[chosen].astype(np.float32))
            sums.spiking.append(r.cpu().numpy()[chosen].astype(np.float32))

        return compare

    def results(self) -> dict[str, Correlation]:
        """The correlation of every population, in the order of the network."""
        found = {}
        for name, sums in self.sums.items():
            n, a, r, aa, rr, ar, error = sums.values.totals[0]
            spread = (n * aa - a * a) * (n * rr - r * r)
            varies = bool((sums.highest > sums.lowest).all()) and spread > 0  # rounding alone can leave a spread
            pearson = float(np.clip((n * ar - a * r) / np.sqrt(spread), -1, 1)) if varies else None
            points = (np.concatenate(parts)[:POINTS] for parts in (sums.analog, sums.spiking))
            found[name] = Correlation(pearson, float(np.sqrt(error / n)), *points)
        return found
