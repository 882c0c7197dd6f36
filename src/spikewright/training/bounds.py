"""Limits that a network was trained to keep, and what it did: of synaptic operations and of firing rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion
from spikewright.measures import Measures
from spikewright.text import short
from spikewright.training.losses import SynOpsLoss
from spikewright.training.recipe import Recipe


@dataclass(frozen=True)
class Bound:
    """A limit, and what a network did before and after training, on average over samples.

    Attributes:
        of: a layer, "core 3", "total" of all layers, or a population.
        unit: what is counted.
        limit: the most of it.
        before, after: how much it was.
        without: layers that hear no spikes of neurons, whose operations are not in it though measures count them.
    """

    of: str
    unit: str
    limit: float
    before: float
    after: float
    without: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether it is no more than the limit after training."""
        return self.after <= self.limit

    def __str__(self) -> str:
        """``core 3: 210 k synaptic operations a second, 2.10 times the limit of 100 k``."""
        times = self.after / self.limit
        much = f"{times:.2f} times" if times < 100 else f"{times:,.0f} times"
        found = "within" if self.kept else "just above" if times < 1.01 else much
        return f"{self.of}: {short(self.after)} {self.unit}, {found} the limit of {short(self.limit)}"

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        own = {label: getattr(self, label) for label in ("of", "unit", "limit", "before", "after")}
        return own | {"without": list(self.without), "kept": self.kept}


def bounds(
    recipe: Recipe, conversion: Conversion, before: Measures, after: Measures, recorded: bool = False
) -> tuple[Bound, ...]:
    """Every limit that a network was trained to keep, of operations and then of firing rates.

    Args:
        recipe: how it was trained.
        conversion: the network before.
        before: what it did.
        after: what it did afterwards, on the same samples.
        recorded: whether samples are recordings: see ``Recipe.synops_loss``.
    """
    return (
        *operation_bounds(recipe.synops_loss(conversion, recorded), before, after),
        *rate_bounds(recipe.firing_rate, before, after),
    )


def operation_bounds(loss: SynOpsLoss | None, before: Measures, after: Measures) -> tuple[Bound, ...]:
    """The limits of a loss of operations, by layer or core and of the total."""
    if loss is None or not isinstance(loss.limits, Mapping):
        return ()
    unit = "synaptic operations a " + ("sample" if loss.dt is None else "second")
    counted = [counted_operations(loss, one) for one in (before, after)]
    found = [
        Bound(f"core {place}" if isinstance(place, int) else place, unit, limit, counted[0][place], counted[1][place])
        for place, limit in loss.limits.items()
    ]
    if loss.total is not None:
        first, last = (sum(own[name] for name in loss.costs) for own in counted)
        others = tuple(name for name, one in before.synops.items() if one.total and name not in loss.costs)
        found.append(Bound("total", unit, loss.total, first, last, others))
    return tuple(found)


def rate_bounds(most: float | None, before: Measures, after: Measures) -> tuple[Bound, ...]:
    """The limit of firing rates, population by population."""
    if most is None:
        return ()
    rates = [{name: layer.firing.mean for name, layer in one.layers.items()} for one in (before, after)]
    return tuple(Bound(name, "spikes a neuron and step", most, rates[0][name], rates[1][name]) for name in rates[0])


def counted_operations(loss: SynOpsLoss, measures: Measures) -> dict[str | int, float]:
    """The mean operations by layer and core that a loss is about: of a sample, or of a second where it has ``dt``.

    Args:
        loss: what a spike costs where.
        measures: of the network.
    """
    times = measures.timesteps if loss.dt is None else 1 / loss.dt
    found: dict[str | int, float] = {}
    costs: list[tuple[str | int, Mapping[str, NDArray[np.float64]]]] = [*loss.costs.items(), *loss.cores.items()]
    for place, sources in costs:
        done = sum(
            float((cost * measures.rates.sizes(name).reshape(cost.shape)).sum()) for name, cost in sources.items()
        )
        found[place] = done * times
    return found
