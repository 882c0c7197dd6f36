"""The largest values of each channel or of the layer: as many as percentiles need, exactly, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import _native
from spikewright.calibration.requests.float_bits import floats
from spikewright.calibration.requests.request import Accumulator, Arrays, Counted, Totals, Values

Ints = NDArray[np.int64]

AT_ONCE = 1 << 20
"""Values that are looked at before those that are kept are looked through."""
SLACK = 1.25
"""How many times what is wanted is kept before the smallest values are let go."""
ALL = np.iinfo(np.int64).max >> 1
"""More values than there will ever be."""
FEW_GROUPS = 1 << 16
"""Groups whose numbers fit 16 bits."""
NO_GROUPS = np.zeros(0, np.uint16)
"""Those of values that are all of one group."""


@dataclass(frozen=True)
class Largest(Counted[Arrays]):
    """The largest values, as many as percentiles from this one up need: ``Quantile`` looks among them.

    Attributes:
        percentile: 0 to 100.
        channels: of each channel, or of the layer.
        zeros: whether percentiles are over all rectified values; else over the positive ones only.
    """

    percentile: float
    channels: bool = False
    zeros: bool = False
    names: ClassVar[tuple[str, ...]] = ("patterns", "held")

    @property
    def key(self) -> str:
        return f"largest,{self.percentile!r},{self.channels},{self.zeros}"

    @classmethod
    def parse(cls, key: str) -> Self | None:  # noqa: ARG003 - it is never kept in a file
        return None

    @property
    def share(self) -> float:
        """Which part of the values lies above the percentile."""
        return 1 - self.percentile / 100

    @property
    def bytes(self) -> int:
        """What one value takes."""
        return 8 if self.channels else 4

    def has(self, quantile: Any) -> bool:
        """Whether a ``Quantile`` lies among them."""
        kind = quantile.channels, quantile.zeros
        return kind == (self.channels, self.zeros) and bool(self.percentile <= quantile.percentile)

    def accumulator(self, channels: int, one_pass: bool = False) -> LargestValues:  # noqa: ARG002
        return LargestValues(self, channels if self.channels else 1)

    def found(self, arrays: Arrays) -> Arrays:
        return arrays

    def check(self, arrays: Arrays, totals: Totals) -> None:  # noqa: ARG002
        raise ValueError(f"{self} is not kept in files")


class LargestValues(Accumulator):
    """Keeps the largest values of each group, all of them or up to a limit.

    What was let go of a group is not above ``low``, and what is kept is not below it: so what is kept are the largest
    values of the group, and those of two parts are the largest of both from the higher ``low`` up.

    Args:
        request: what is wanted.
        groups: channels, or 1 for the layer.

    Attributes:
        merged: whether values may be kept that are below the ``low`` of others.
    """

    def __init__(self, request: Largest, groups: int) -> None:
        self.request = request
        self.low = np.zeros(groups, np.int64)
        self.limit = np.full(groups, ALL)
        self.held = np.zeros(groups, np.int64)
        self.kept: list[tuple[NDArray[np.int32], NDArray[Any]]] = []
        self.order: NDArray[Any] | None = None
        self.merged = False

    @property
    def passes_left(self) -> int:
        return 0 if self.order is not None else 1

    @property
    def nbytes(self) -> int:
        """Bytes of the values that are kept."""
        return int(self.held.sum()) * self.request.bytes

    def fresh(self) -> LargestValues:
        """One that has seen nothing, and keeps nothing that this one has no use for."""
        made = LargestValues(self.request, len(self.low))
        made.low, made.limit = self.low.copy(), self.limit.copy()
        return made

    def add(self, values: Values) -> None:
        if values.seen is not None:  # which offered them on its way
            return
        for block in values.blocks:
            for rows, places in block.parts(AT_ONCE):
                self._keep(*block.values_from(floats(self.low + 1), rows, places))

    def offer(self, pattern: NDArray[np.int32], channel: NDArray[np.int32]) -> None:
        """See values of a batch by their patterns and channels: all above ``low`` among them."""
        native = _native.module()
        if len(self.low) == 1:
            pattern = pattern[pattern > self.low]
            self.held += len(pattern)
            self._append(pattern, NO_GROUPS)
        elif native is not None and len(self.low) <= FEW_GROUPS:
            self._append(*native.above(pattern, channel, self.low, self.held))
        else:
            good = pattern > self.low[channel]
            self._keep(pattern[good], channel[good])

    def _keep(self, pattern: NDArray[np.int32], channel: NDArray[Any]) -> None:
        if len(self.low) == 1:
            self.held += len(pattern)
            self._append(pattern, NO_GROUPS)
        else:
            self.held += np.bincount(channel, minlength=len(self.low))
            self._append(pattern, channel.astype(np.uint16 if len(self.low) <= FEW_GROUPS else np.int32))

    def _append(self, pattern: NDArray[np.int32], group: NDArray[Any]) -> None:
        """Keep values that are counted in ``held`` already."""
        if len(pattern):
            self.kept.append((pattern, group))
            self._shrink_if_full()

    @property
    def room(self) -> float:
        """How many values may be kept of all groups together."""
        return float(np.minimum(self.limit, ALL // len(self.limit)).sum())

    def _shrink_if_full(self) -> None:
        if self.held.sum() > SLACK * self.room:
            self.shrink()

    def allow(self, limit: Ints) -> None:
        """Keep so many values of each group from now on, ``(groups,)``."""
        self.limit = np.maximum(limit, 1)

    def shrink(self) -> None:
        """Let go of what is beyond the limit."""
        pattern, group = self._joined()
        self.kept = []  # lets its memory go
        native = _native.module()
        if len(self.low) == 1:
            parts = [self._largest(pattern, 0)]
        elif native is not None and len(self.low) <= FEW_GROUPS:
            self.kept = [native.largest(pattern, group, self.held, self.limit, self.low)]
            return
        elif (self.held > self.limit).any():
            pattern = pattern[np.argsort(group, kind="stable")]
            ends = np.cumsum(self.held)
            parts = [
                self._largest(pattern[end - held : end], k)
                for k, (end, held) in enumerate(zip(ends, self.held, strict=True))
            ]
            group = np.repeat(np.arange(len(self.low), dtype=group.dtype), self.held)
        else:
            parts = [pattern]
        self.kept = [(np.concatenate(parts), group)]

    def _largest(self, pattern: NDArray[np.int32], group: int) -> NDArray[np.int32]:
        beyond = len(pattern) - int(self.limit[group])
        if beyond <= 0:
            return pattern
        largest = np.partition(pattern, beyond)[beyond:]
        self.low[group], self.held[group] = largest[0], len(largest)
        return largest.copy()

    def _joined(self) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """All that is kept and not below ``low``, and its groups; empty for the only one. ``held`` says how much."""
        none = np.zeros(0, np.int32), np.zeros(0, np.uint16 if len(self.low) <= FEW_GROUPS else np.int32)
        patterns, groups = zip(*self.kept or [none], strict=True)
        pattern, group = np.concatenate(patterns), np.concatenate(groups)
        if self.merged and self.low.any():
            self.merged = False
            good = pattern >= (self.low if len(self.low) == 1 else self.low[group])
            if not good.all():
                pattern, group = pattern[good], group[good] if len(group) else group
            self.held = np.array([len(pattern)]) if len(self.low) == 1 else np.bincount(group, minlength=len(self.low))
        return pattern, group

    def merge(self, other: LargestValues) -> None:
        self.merged = True
        self.low = np.maximum(self.low, other.low)
        self.kept, self.held = self.kept + other.kept, self.held + other.held
        self._shrink_if_full()

    def finish_pass(self, totals: Totals, needed: Mapping[str, Accumulator]) -> None:  # noqa: ARG002
        pattern, group = self._joined()
        self.kept = []
        self.order = (group.astype(np.int64) << 31 | pattern) if len(self.low) > 1 else pattern
        self.order.sort()

    def at(self, rank: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """The patterns of values by their rank from the largest, 0, down, ``(groups,)``, and which are known."""
        assert self.order is not None
        known = (rank >= 0) & (rank < self.held)
        place = np.where(known, np.cumsum(self.held) - 1 - rank, 0)
        found = self.order[place].astype(np.int64) & ((1 << 31) - 1) if len(self.order) else np.zeros_like(rank)
        return np.where(known, found, 0), known

    def needed(self, totals: Totals, to_come: int | None) -> Ints:
        """``(groups,)``: how many of the largest values the percentiles need at most, whatever is still to come.

        Args:
            totals: of the population.
            to_come: values of a group; None where nobody knows.
        """
        positives, _ = totals.sizes(self.request.channels)
        if to_come is None:
            return np.full(len(positives), ALL // len(positives))
        above = np.ceil(self._above(totals) + self.request.share * to_come) + 2
        return np.minimum(above.astype(np.int64), positives + to_come)

    def weight(self, totals: Totals) -> NDArray[np.float64]:
        """``(groups,)``: how many values it needs compared with others, by what was seen."""
        return self._above(totals) + 1

    def _above(self, totals: Totals) -> NDArray[np.float64]:
        positives, zeros = totals.sizes(self.request.channels)
        return np.asarray(np.minimum(self.request.share * (positives + zeros * self.request.zeros), positives))

    def arrays(self, totals: Totals) -> Arrays:  # noqa: ARG002
        return {}
