"""What each remedy against too many synaptic operations would save, computed for the network at hand.

The remedies are those of the vendor's guide to training for Speck: smaller kernels, fewer channels, decimators, and
weaker input or higher thresholds, which decimate events everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from spikewright.chips.bandwidth import Bandwidth, synops
from spikewright.chips.chip import Speck
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.text import percent


@dataclass(frozen=True)
class Saving:
    """One remedy for one layer.

    Attributes:
        layer: whose core does less.
        remedy: what to do.
        share: of its operations that is saved.
        train: whether the network must be trained again.
        enough: whether the limit is then kept; None where there is none.
    """

    layer: str
    remedy: str
    share: float
    train: bool
    enough: bool | None = None

    def __str__(self) -> str:
        """``conv2: a kernel of 1×1 saves 89 % (train again)``."""
        how = " (train again)" if self.train else ""
        told = {None: "", True: ": enough", False: ": not enough"}[self.enough]
        return f"{self.layer}: {self.remedy} saves {percent(self.share)} %{how}{told}"

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def savings(
    network: ChipNetwork, chip: Speck, busy: Bandwidth, layers: Sequence[str], limits: Mapping[str, float]
) -> tuple[Saving, ...]:
    """What each remedy would save for some layers, from the mean events that arrive there.

    Args:
        network: as layers of a chip.
        chip: whose decimators there are.
        busy: how busy its cores are.
        layers: the names of those that do too much.
        limits: by layer the most operations of its core in a second, where somebody gave one.
    """
    found = []
    for name in layers:
        layer, load, limit = network[name], busy[name], limits.get(name)
        before = float(synops(network, layer, busy.sent))
        if before <= 0:
            continue

        def told(
            remedy: str, after: float, train: bool, load: Any = load, before: float = before, limit: Any = limit
        ) -> Saving:
            kept = after / before
            enough = None if limit is None else bool(load.busiest * kept <= limit)
            return Saving(load.layer, remedy, 1 - kept, train, enough)

        smaller = _smaller(layer)
        if smaller is not None:
            after = float(synops(network, smaller, busy.sent))
            found.append(told(f"a kernel of {smaller.kernel}×{smaller.kernel}", after, True))
        outputs = layer.output_shape[0]
        if outputs > 1:
            found.append(told(f"{outputs // 2} channels", before * (outputs // 2) / outputs, True))
        before_it = [source for source in layer.sources if isinstance(network.sender(source), ChipLayer)]
        found += [_decimated(network, layer, one, chip, busy, told, limit) for one in before_it if chip.decimators[1:]]
        needed = 0.5 if limit is None else min(1.0, limit / load.busiest)
        remedy = f"{percent(1 - needed, up=True)} % fewer events before it, by a SynOps loss or higher thresholds,"
        found.append(told(remedy, before * needed, True))
    return tuple(found)


def _smaller(layer: ChipLayer) -> ChipLayer | None:
    """The layer with the next smaller kernel; None for one window over all of a map, or of one tap."""
    if layer.kernel < 3 or layer.output_shape[1:] == (1, 1):
        return None
    kernel = layer.kernel - 2
    weights = np.zeros((*layer.weights.shape[:2], kernel, kernel))
    padding = max(layer.padding[0] - 1, 0), max(layer.padding[1] - 1, 0)
    return layer.replace(weights=weights, padding=padding, v_init=0.0)


def _decimated(
    network: ChipNetwork, layer: ChipLayer, source: str, chip: Speck, busy: Bandwidth, told: Any, limit: float | None
) -> Saving:
    """The first decimator of a source that is enough, or the last; 1/2 where there is no limit."""
    found = None
    for number in sorted(chip.decimators)[1:]:
        sent = {**busy.sent, source: busy.sent[source] / number}
        found = told(f"a decimator of 1/{number} at {source}", float(synops(network, layer, sent)), False)
        if limit is None or found.enough:
            break
    return cast(Saving, found)
