"""The trained network, its spikes in steps and the chip, on the same samples and the same events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.chips.network import ChipLayer
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import SensorEvents
from spikewright.chips.simulation.measuring import WINDOW, ChipMeasures, measure_chip
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.chips.simulation.trains import PictureTrains, StepClock
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.measures import Measures, measure
from spikewright.recordings import Recording
from spikewright.tabular import Table, Tabular
from spikewright.tasks import SCORES, TaskChoice
from spikewright.text import listed


@dataclass(frozen=True, eq=False)
class ChipComparison(Tabular):
    """A network on a chip beside itself in steps, and the trained one; ``str`` prints it.

    Attributes:
        quantised: what the chip ran.
        chip: what came of it.
        stepped: what the conversion did with the same events in steps, and the trained network; None without one.
    """

    quantised: Quantised
    chip: ChipMeasures
    stepped: Measures | None = None

    def spikes(self, layer: str) -> tuple[float, float | None]:
        """Spikes of a layer's neurons, a sample: on the chip, and in steps."""
        if self.stepped is None:
            return self.chip.layers[layer].fired, None
        own = self.stepped.layers[layer]
        return self.chip.layers[layer].fired, own.firing.mean * self.stepped.timesteps * prod(own.shape)

    def score(self, output: str, name: str) -> tuple[float, float | None, float | None]:
        """A score in the end: of the chip, in steps, and of the trained network."""
        on_chip = float(self.chip.scores[output][name][-1])
        if self.stepped is None:
            return on_chip, None, None
        head = self.stepped.heads[output]
        stepped = head.scores.get(name)
        return on_chip, None if stepped is None else float(stepped[-1]), head.analog.get(name)

    def keeps_firing(self, layer: str) -> KeepsFiring:
        """What of a layer keeps firing, since a weight exceeds the threshold."""
        return keeps_firing(self.quantised.network[layer], self.chip.waiting[layer])

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        firing = {name: self.keeps_firing(name).summary() for name in self.chip.layers}
        stepped = {} if self.stepped is None else {"stepped": self.stepped.summary()}
        return {"quantised": self.quantised.summary(), "chip": self.chip.summary(), **stepped, "keep_firing": firing}

    def _table(self) -> Table:
        """A row a layer: its spikes on the chip and in steps."""
        titles = ("layer", "spikes on the chip", "spikes in steps", "sent", "synops", "peak", "waiting")
        rows = []
        for name, layer in self.chip.layers.items():
            rows.append((name, *self.spikes(name), layer.sent, layer.synops, layer.peak, layer.waiting))
        return Table.of_rows(titles, rows, [line.strip() for line in str(self).splitlines()[1:]])

    def __str__(self) -> str:
        lines = [repr(self.chip)]
        for output, scores in self.chip.scores.items():
            for name in scores:
                kind = SCORES[name]
                parts = zip(("chip", "in steps", "trained"), self.score(output, name), strict=True)
                told = ", ".join(f"{what} {kind.text(v, unit=True)}" for what, v in parts if v is not None)
                lines.append(f"{output}, {kind.title}: {told}")
        return "\n  ".join(lines)

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class KeepsFiring:
    """The neurons of a layer that keep firing: one event lifts them above the threshold by more than a spike takes off.

    Attributes:
        weight: the largest.
        threshold: of the layer.
        above: how many weights exceed it.
        share: of its neurons that wait when a sample ends, and fire at whatever comes next.
        channels: those where most neurons wait, the worst first, each with the share of its neurons.
    """

    weight: float
    threshold: float
    above: int
    share: float
    channels: tuple[tuple[int, float], ...]

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        channels = [{"channel": channel, "share": share} for channel, share in self.channels]
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "channels": channels}


def keeps_firing(layer: ChipLayer, waiting: Any, most: int = 5) -> KeepsFiring:
    """What of a layer keeps firing.

    Args:
        layer: of integers.
        waiting: by channel the share of neurons that wait.
        most: how many channels are told.
    """
    shares = np.asarray(waiting, np.float64)
    worst = [int(k) for k in np.argsort(-shares, kind="stable")[:most] if shares[k] > 0]
    above = int((layer.weights > layer.threshold).sum())
    channels = tuple((k, float(shares[k])) for k in worst)
    return KeepsFiring(float(layer.weights.max()), float(layer.threshold), above, float(shares.mean()), channels)


def compare_on_chip(
    quantised: Quantised,
    data: Any,
    trains: StepClock | None = None,
    rules: ChipRules | None = None,
    *,
    beside: Conversion | None = None,
    task: TaskChoice = None,
    window: int = WINDOW,
    allow_overlap: bool = False,
    every_neuron: bool = False,
    events_to: Path | str | None = None,
    force: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> ChipComparison:
    """Run a data set as the chip would, and beside it in steps on the same events.

    Args:
        quantised: what the chip runs.
        data: as for ``measure_chip``.
        trains: how pictures are sent, or how long a recording runs: as for ``measure_chip``.
        rules: where the data sheet leaves it open.
        beside: the conversion that was quantised; of pictures alone.
        task: what labels mean.
        window: microseconds in which synaptic operations are counted.
        allow_overlap: whether it may be measured on samples of its calibration.
        every_neuron: whether to count what each neuron sends.
        events_to: as for ``measure_chip``.
        force: as for ``measure_chip``.
        progress: called with (what, samples done, samples in all).

    Raises:
        SettingsError: for a conversion that was not quantised to this, or settings that do not fit.
        DataError: for data that do not fit, or were calibrated on.
    """
    stepped = None

    def moved(label: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(label, done, total)

    if beside is not None:
        check_beside(quantised, beside)
        sent = PictureTrains(ticks=quantised.ticks) if trains is None else trains
        if isinstance(data, Recording | SensorEvents) or not isinstance(sent, PictureTrains):
            raise SettingsError("a recording runs on the chip alone: leave the conversion beside away")
        stepped = measure(
            beside,
            data,
            sent.timesteps,
            encoder=TrainFrames(quantised.network, sent),
            task=task,
            explain=False,
            allow_overlap=allow_overlap,
            progress=moved("simulating in steps"),
        )
    chip = measure_chip(
        quantised,
        data,
        trains,
        rules,
        task=task,
        window=window,
        allow_overlap=allow_overlap,
        every_neuron=every_neuron,
        events_to=events_to,
        force=force,
        progress=moved("simulating the chip"),
    )
    return ChipComparison(quantised, chip, stepped)


def check_beside(quantised: Quantised, beside: Conversion, called: str = "the conversion beside") -> None:
    """Refuse a conversion that a chip's network was not made of, as far as names and shapes tell.

    Args:
        quantised: what the chip runs.
        beside: what it may have been made of.
        called: what the message calls that.

    Raises:
        SettingsError: naming both.
    """
    layers = [layer.name for layer in quantised.network.layers]
    populations = [node.name for node in beside.spiking.populations]
    if sorted(populations) != sorted(layers) or dict(beside.spiking.inputs) != dict(quantised.inputs):
        raise SettingsError(
            f"{called} has the populations {listed(populations)}, the chip the layers {listed(layers)}: give what was "
            "quantised"
        )
