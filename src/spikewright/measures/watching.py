"""All that looks at a simulation for ``measure``, as one observer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spikewright.conversion import Conversion
from spikewright.encoders import Encoder
from spikewright.engines import BatchRun, RunSettings
from spikewright.graph import Graph
from spikewright.input_sums import InputSums
from spikewright.measures.base import RegisteredMeasures
from spikewright.measures.correlation import CorrelationObserver
from spikewright.measures.early_exit import MarginObserver
from spikewright.measures.scores import Scoring
from spikewright.tasks import Head
from spikewright.text import steps_to_show

if TYPE_CHECKING:
    from torch import Tensor


class Watching:
    """Scores, correlation, sums of inputs, margins and found measures; what it counts can be kept and put together.

    Args:
        conversion: what runs; None for a spiking graph alone.
        graph: the spiking graph.
        encoder: fitted to it.
        settings: of the run.
        asked: what is asked of every output, with the targets of the samples that it will see.
        samples: how many samples the whole run has.
        first: the place of the first sample that it sees.
        batch: the number of the first batch that it sees, among those of the whole run.
        exits: whether the margins of an early exit are kept.
    """

    def __init__(
        self,
        conversion: Conversion | None,
        graph: Graph,
        encoder: Encoder,
        settings: RunSettings,
        asked: Mapping[str, Head],
        samples: int,
        first: int = 0,
        batch: int = 0,
        exits: bool = False,
    ) -> None:
        timesteps = settings.timesteps
        self.scoring = Scoring(asked, steps_to_show(timesteps), batch)
        self.correlation = None
        if conversion is not None:
            self.correlation = CorrelationObserver(
                conversion.reference,
                conversion.units,
                timesteps,
                samples,
                device=settings.device,
                encoder=encoder,
                answers=self._answered,
                batch=batch,
            )
        self.sums = InputSums(graph, encoder, timesteps, first, batch)
        self.found = RegisteredMeasures(graph, timesteps)
        head = next(iter(asked.values()))
        self.margins = MarginObserver(graph, head, settings.readout_from) if exits else None

    def _answered(self, _x: Tensor, analog: Mapping[str, Tensor], run: BatchRun) -> None:
        self.scoring(analog, run)

    def __call__(self, x: Tensor, run: BatchRun) -> None:
        """See a batch of samples and what it did."""
        (self.scoring.alone if self.correlation is None else self.correlation)(x, run)
        self.sums(x, run)
        self.found(x, run)
        if self.margins is not None:
            self.margins(x, run)

    @property
    def _parts(self) -> dict[str, Any]:
        found = {"scoring": self.scoring, "sums": self.sums, "found": self.found}
        found |= {} if self.correlation is None else {"correlation": self.correlation}
        return found | ({} if self.margins is None else {"margins": self.margins})

    def counted(self) -> dict[str, Any]:
        """What was counted so far, for ``merge``."""
        return {label: part.counted() for label, part in self._parts.items()}

    def merge(self, counted: Mapping[str, Any]) -> None:
        """Take in what another one has counted of the samples that follow."""
        for label, part in self._parts.items():
            part.merge(counted[label])


@dataclass(frozen=True)
class WatchingParts:
    """Makes what looks at the parts of a run: see ``Watch``.

    Attributes:
        conversion: what runs; None for a spiking graph alone.
        asked: what is asked of every output, without targets.
        samples: how many samples the whole run has.
        exits: whether the margins of an early exit are kept.
    """

    conversion: Conversion | None
    asked: Mapping[str, Head]
    samples: int
    exits: bool

    def made(self, graph: Graph, settings: RunSettings, batch: int, labels: Mapping[str, Any]) -> Watching:
        """The observer of a part whose first batch has such a number, and whose samples have such labels."""
        asked = {name: replace(head, targets=labels.get(name)) for name, head in self.asked.items()}
        encoder, first = settings.chosen_encoder.fitted(graph), settings.first_sample or 0
        return Watching(self.conversion, graph, encoder, settings, asked, self.samples, first, batch, self.exits)
