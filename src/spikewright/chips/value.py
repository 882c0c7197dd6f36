"""What checking a network against a chip gives: a value that is printed, drawn, and plain numbers."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from spikewright.chips.bandwidth import Bandwidth
from spikewright.chips.chip import Chip
from spikewright.chips.floor_plan import Place, floor_plan, places_of
from spikewright.chips.integers import LayerLoss
from spikewright.chips.layer_fit import LayerFit, Used
from spikewright.chips.network import ChipNetwork
from spikewright.chips.savings import Saving
from spikewright.chips.trials import Trial, told
from spikewright.drawing import Picture
from spikewright.errors import Problem
from spikewright.tabular import Table, Tabular

READABLE = 560.0
"""The width in pixels below which a floor plan of three columns scrolls instead of getting smaller."""


@dataclass(frozen=True, eq=False)
class Fit(Tabular):
    """Whether a network fits a chip, and all that is known about it; ``str`` prints it.

    Attributes:
        chip: it was checked against.
        layers: in order.
        problems: what no core computes, with what would do instead.
        broken: limits that the network as a whole breaks.
        remarks: what to know beside: the clock that biases need, assumptions.
        network: as layers of the chip; only what can be, where there are problems.
        clock_hz: the rate of the slow clock that biases need; None where there are none, or nobody said how long a step
            is.
        bandwidth: how busy every core is; None where nothing was said of rates.
        exceeded: limits on synaptic operations per second that are exceeded, a sentence each.
        savings: what remedies would save where it is busiest.
        tried: remedies that need no training, simulated: the network as it is first.
        synops_limit: the most synaptic operations of a core in a second that somebody gave, for all or by number.
        losses: of a network of integers what each layer lost by becoming such.
        used: of a chip whose neurons are all together, how much of what it has.
    """

    chip: Chip
    layers: tuple[LayerFit, ...]
    problems: tuple[Problem, ...]
    broken: tuple[str, ...]
    remarks: tuple[str, ...]
    network: ChipNetwork | None = None
    clock_hz: float | None = None
    bandwidth: Bandwidth | None = None
    exceeded: tuple[str, ...] = ()
    savings: tuple[Saving, ...] = ()
    tried: tuple[Trial, ...] = ()
    synops_limit: float | Mapping[int, float] | None = None
    losses: tuple[LayerLoss, ...] = ()
    used: tuple[Used, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it fits, and no limit on operations per second that was given is exceeded."""
        return self.fits and not self.exceeded

    @property
    def fits(self) -> bool:
        """Whether all of it can be computed, each layer by a core of its own, within all limits."""
        return not self.problems and not self.broken and all(layer.fits for layer in self.layers)

    @property
    def cores(self) -> Mapping[str, int]:
        """The core of each layer that has one, by name."""
        return {layer.layer: layer.core for layer in self.layers if layer.core is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        return {
            "chip": self.chip.name,
            "fits": self.fits,
            "layers": [layer.summary() for layer in self.layers],
            "problems": [{"what": p.operator, "where": p.where, "advice": p.advice} for p in self.problems],
            "broken": list(self.broken),
            "remarks": list(self.remarks),
            "clock_hz": self.clock_hz,
            "bandwidth": None if self.bandwidth is None else self.bandwidth.summary(),
            "exceeded": list(self.exceeded),
            "savings": [saving.summary() for saving in self.savings],
            "tried": [trial.summary() for trial in self.tried],
            "synops_limit": self._plain_limit(),
            "losses": {loss.layer: loss.summary() for loss in self.losses},
            "used": [one.summary() for one in self.used],
        }

    def _plain_limit(self) -> float | dict[str, float] | None:
        limit = self.synops_limit
        return {str(core): most for core, most in limit.items()} if isinstance(limit, Mapping) else limit

    def limit_of(self, core: int | None) -> float | None:
        """The most synaptic operations a second of a core; None where nobody said."""
        if isinstance(self.synops_limit, Mapping):
            return None if core is None else self.synops_limit.get(core)
        return self.synops_limit

    @property
    def limits(self) -> Mapping[str, float]:
        """The most synaptic operations a second of the core of each layer, where somebody gave one."""
        found = {layer.layer: self.limit_of(layer.core) for layer in self.layers}
        return {name: float(most) for name, most in found.items() if most is not None}

    @property
    def rewrites(self) -> Mapping[str, tuple[str, ...]]:
        """The layers in which each rewrite was made, by its name."""
        found: dict[str, tuple[str, ...]] = {}
        for layer in self.layers:
            for name in layer.rewrites:
                found[name] = (*found.get(name, ()), layer.layer)
        return found

    @property
    def places(self) -> tuple[Place, ...]:
        """What a picture shows: every core with the layer that it gets, then layers without one."""
        return places_of(self.chip, self.layers, self.network, self.bandwidth, self.limit_of)

    def picture(self, *, title: str = "") -> Picture:
        """A floor plan as one SVG: the cores with what fills them.

        Args:
            title: above it; what it is a fit to, and whether, unless given.
        """
        return floor_plan(self.places, self.used, title=title or self.verdict, lines=(*self.lines(), *self.remarks))

    def _table(self) -> Table:
        """A row a layer: the core that it gets, and the memory that it takes."""
        rows = [
            (one.layer, one.core, one.fits, one.kernel_words, one.neuron_words, one.bias_words, one.macs)
            for one in self.layers
        ]
        titles = ("layer", "core", "fits", "kernel words", "neuron words", "bias words", "synops of an event from each")
        return Table.of_rows(titles, rows, [self.verdict, *self.lines()])

    def _repr_html_(self) -> str:
        """Its picture, which notebooks show, and what it prints."""
        picture = self.picture()
        source = b64encode(picture.svg.encode()).decode()
        least = min(picture.width, READABLE)
        size = f'style="width: {picture.width:.0f}px; max-width: 100%; min-width: {least:.0f}px"'
        return (
            f'<div style="overflow-x: auto"><img {size} alt="{escape(self.verdict)}" '
            f'src="data:image/svg+xml;base64,{source}"></div>'
            f'<pre style="white-space: pre-wrap">{escape(str(self))}</pre>'
        )

    @property
    def verdict(self) -> str:
        """``speck2f: it fits``."""
        if self.fits and not self.runs:
            return f"{self.chip}: it fits, but exceeds the limit that was given"
        return f"{self.chip}: it fits" if self.fits else f"{self.chip}: it does not fit"

    def advice(self) -> list[str]:
        """What remedies save, computed and tried, a line each."""
        return [*map(str, self.savings), *told(self.tried)]

    def lines(self) -> list[str]:
        """What stands in the way, what would do, and what to know, a line each."""
        found = [f"{problem}" for problem in self.problems]
        found += list(self.broken)
        for layer in self.layers:
            found += [f"{layer.layer}: {limit}" for limit in layer.broken]
            if layer.changes:
                found.append(f"{layer.layer} would fit with {'; or '.join(map(str, layer.changes))}")
        return [*found, *self.exceeded]

    def __str__(self) -> str:
        busy = [] if self.bandwidth is None else list(map(str, self.bandwidth.layers))
        used, losses = map(str, self.used), map(str, self.losses)
        found = [*map(str, self.layers), *used, *busy, *losses, *self.lines(), *self.advice(), *self.remarks]
        return "\n  ".join([self.verdict, *found])

    __repr__ = __str__
