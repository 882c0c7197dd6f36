"""What the inputs of a network send over a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import RunSettings
from spikewright.graph import Graph
from spikewright.parts import Fold
from spikewright.recordings import events_in

if TYPE_CHECKING:
    from torch import Tensor


class InputSums:
    """Adds up what every input sends, and its size, over samples and timesteps; an observer of ``simulate``.

    Args:
        graph: the spiking graph.
        encoder: fitted to it.
        timesteps: T.
        first: the place of the first sample in its data set.
        batch: the number of the first batch.
    """

    def __init__(self, graph: Graph, encoder: Encoder, timesteps: int, first: int = 0, batch: int = 0) -> None:
        self.graph, self.encoder, self.timesteps = graph, encoder, timesteps
        self.next, self.batch, self.factor = first, batch, 1.0
        self.folds: dict[str, Fold] = {}

    def __call__(self, x: Tensor, _run: object) -> None:
        from spikewright.forward import split_inputs

        events = events_in(x)
        if events is not None:
            sums = {next(iter(self.graph.inputs)): (_over_samples(events.total()), _over_samples(abs(events).total()))}
        else:
            sums = {}
            constant = isinstance(self.encoder, Constant)
            for t in range(1 if constant else self.timesteps):
                sent = split_inputs(self.graph, self.encoder.at(x, t, self.next))
                steps = self.timesteps if constant else 1
                for name, batch in sent.items():
                    wide = batch.double()
                    values, sizes = (steps * _over_samples(one) for one in (wide, wide.abs()))
                    before = sums.get(name)
                    sums[name] = (values, sizes) if before is None else (before[0] + values, before[1] + sizes)
        for name, (values, sizes) in sums.items():
            self.folds.setdefault(name, Fold()).add(self.batch, values, sizes)
        self.next += len(x)
        self.batch += 1

    @property
    def sums(self) -> dict[str, NDArray[np.float64]]:
        """What every input sent in all, in its shape, by its name."""
        return {name: fold.totals[0] / self.factor for name, fold in self.folds.items()}

    @property
    def sizes(self) -> dict[str, NDArray[np.float64]]:
        """The same of the sizes of what it sent."""
        return {name: fold.totals[1] / self.factor for name, fold in self.folds.items()}

    def counted(self) -> tuple[int, int, dict[str, Fold]]:
        """What was counted so far, for ``merge``."""
        return self.next, self.batch, self.folds

    def merge(self, counted: tuple[int, int, dict[str, Fold]]) -> None:
        """Take in what another one has counted of the samples that follow."""
        self.next, self.batch, others = counted
        for name, fold in others.items():
            self.folds.setdefault(name, Fold()).merge(fold)

    def divided(self, factor: float) -> InputSums:
        """The same of inputs so many times as small."""
        found = copy(self)
        found.factor = self.factor * factor
        return found


def _over_samples(values: Tensor) -> NDArray[np.float64]:
    """The sum over a batch ``(B, *shape)``, in double precision."""
    found: NDArray[np.float64] = values.double().sum(dim=0).cpu().numpy()
    return found


@dataclass(frozen=True)
class SumsOfParts:
    """Makes what adds up the inputs of the parts of a run: see ``Watch``."""

    def made(self, graph: Graph, settings: RunSettings, batch: int, labels: Mapping[str, Any]) -> InputSums:  # noqa: ARG002
        """The observer of a part whose first batch has such a number."""
        encoder = settings.chosen_encoder.fitted(graph)
        return InputSums(graph, encoder, settings.timesteps, settings.first_sample or 0, batch)
