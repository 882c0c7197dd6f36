"""Run the network over the data and gather statistics, in memory that does not grow with the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.quantiles import (
    CHANNEL_SHIFTS,
    LAYER_SHIFTS,
    RankSearch,
    interpolate,
    patterns,
    virtual_index,
)
from spikewright.calibration.statistics import NodeStatistics, Statistics
from spikewright.calibration.thresholds import Method, Wish
from spikewright.calibration.thresholds.percentile import Percentile
from spikewright.data import Dataset, as_dataset
from spikewright.errors import DataError
from spikewright.forward import Forward
from spikewright.graph import Graph, Node
from spikewright.nodes import Output, ReLU

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]


def calibrate(
    graph: Graph,
    data: Any,
    methods: Sequence[Method] = (Percentile(),),
    *,
    batch_size: int = 256,
    one_pass: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Statistics:
    """Statistics of every ReLU and every output of a graph.

    Args:
        graph: the folded graph, from ``prepare``.
        data: a Dataset, an array ``(N, *shape)``, or a pair of such an array and labels.
        methods: what λ will be asked for; a percentile of a layer takes a second pass over the data, of every
            channel two more.
        batch_size: samples that run side by side; changes nothing but speed and memory.
        one_pass: stop after the first pass; a percentile is then known to within
            ``Statistics.relative_error`` for layers (channels are still refined).
        device: a torch device.
        progress: called with (samples done, samples in all passes).

    Raises:
        DataError: for an empty data set, samples of another shape, or values that are not finite.
    """
    dataset = as_dataset(data)
    if not len(dataset):
        raise DataError("the calibration set is empty; give at least one sample")
    gatherers = _gatherers(graph, methods)
    forward = Forward(graph, device)
    deep = any(wish.channels for g in gatherers.values() for wish in g.wishes)
    refined = any(g.wishes for g in gatherers.values())
    passes = 1 + (0 if not refined else 2 if deep else 0 if one_pass else 1)
    total = passes * len(dataset)
    _sweep(forward, dataset, batch_size, {n: g.first for n, g in gatherers.items()}, progress, 0, total)
    searches = {name: g.searches(one_pass) for name, g in gatherers.items()}
    for number in range(1, passes):
        active = {name: [s for s in found.values() if not s.done] for name, found in searches.items()}
        active = {name: found for name, found in active.items() if found}
        for found in active.values():
            for search in found:
                search.start()
        hooks = {name: _refiner(found) for name, found in active.items()}
        _sweep(forward, dataset, batch_size, hooks, progress, number * len(dataset), total)
        for found in active.values():
            for search in found:
                search.finish()
    return Statistics(
        nodes={name: g.result(searches[name]) for name, g in gatherers.items()},
        key=statistics_key(graph, dataset),
        samples=len(dataset),
        exact=not one_pass,
    )


def statistics_key(graph: Graph, data: Any) -> str:
    """A fingerprint of a graph's structure and weights and of a data set."""
    digest = hashlib.sha256()
    for node in graph:
        digest.update(json.dumps([node.type, node.name, node.inputs, repr(node.settings)]).encode())
        for name, array in sorted(node.arrays.items()):
            digest.update(name.encode() + str(array.shape).encode())
            digest.update(array.tobytes())
    digest.update(as_dataset(data).fingerprint.encode())
    return digest.hexdigest()


def _sweep(
    forward: Forward,
    dataset: Dataset,
    batch_size: int,
    watch: dict[str, Callable[[Tensor], None]],
    progress: Progress | None,
    before: int,
    total: int,
) -> None:
    """One pass over the data."""
    import torch

    done = 0
    for x, _ in dataset.batches(batch_size):
        forward(torch.from_numpy(np.ascontiguousarray(x)), watch)
        done += len(x)
        if progress is not None:
            progress(before + done, total)


def _gatherers(graph: Graph, methods: Sequence[Method]) -> dict[str, _Gatherer]:
    found = {}
    for node in graph:
        if isinstance(node, ReLU | Output):
            layer = _layer_index(graph, node)
            wishes = {wish for method in methods for wish in method.wishes(layer)}
            found[node.name] = _Gatherer(node, graph.shapes[node.name][0], layer, wishes)
    return found


def _layer_index(graph: Graph, node: Node) -> int:
    """How many weighted layers lie on the shallowest way from the input up to the one before this node."""
    depth: dict[str, int] = {}
    for other in graph:
        depth[other.name] = min((depth[i] for i in other.inputs), default=0) + (
            other.weighted and other.type != "ChannelAffine"
        )
    return max(depth[node.name] - 1, 0)


def _refiner(searches: list[RankSearch]) -> Callable[[Tensor], None]:
    def refine(x: Tensor) -> None:
        pattern = patterns(x)
        for search in searches:
            groups = len(search.ranks)
            search.add(pattern.reshape(1, -1) if groups == 1 else _by_channel(pattern))

    return refine


def _by_channel(x: Tensor) -> Tensor:
    """A batch ``(B, C, ...)`` as ``(C, values)``."""
    return x.transpose(0, 1).reshape(x.shape[1], -1)


class _Gatherer:
    """The first pass over one node, and the searches for what it could not settle."""

    def __init__(self, node: Node, channels: int, layer: int, wishes: set[Wish]) -> None:
        self.node, self.channels, self.layer = node, channels, layer
        self.wishes = sorted(wishes, key=lambda wish: wish.key)
        self.count, self.total, self.squares = 0, 0.0, 0.0
        self.histogram = np.zeros(1 << 15, np.int64)
        self.positives = np.zeros(channels, np.int64)
        self.maximum = np.zeros(channels)
        by_channel = any(wish.channels for wish in wishes)
        self.channel_histogram = np.zeros((channels, 1 << (31 - CHANNEL_SHIFTS[0])), np.int64) if by_channel else None

    def first(self, x: Tensor) -> None:
        """Count one batch ``(B, C, ...)``."""
        import torch

        positive = x if isinstance(self.node, ReLU) else x.relu()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        maximum = positive.amax(dim=axes).double().cpu().numpy()
        if not np.isfinite(maximum).all():
            raise DataError(f"{self.node}: the data drive it to {maximum.max()}; check them for NaN and infinity")
        self.maximum = np.maximum(self.maximum, maximum)
        self.count += x.numel()
        self.total += float(positive.sum(dtype=torch.float64))
        self.squares += float(torch.linalg.vector_norm(positive, dtype=torch.float64) ** 2)
        pattern = patterns(positive)
        bins = (pattern.reshape(-1) >> LAYER_SHIFTS[0]).clamp_(min=0)  # minus zero has a negative pattern
        self.histogram += torch.bincount(bins, minlength=len(self.histogram)).cpu().numpy()
        self.positives += (positive > 0).sum(dim=axes).cpu().numpy()
        if self.channel_histogram is not None:
            width = self.channel_histogram.shape[1]
            offset = torch.arange(self.channels, device=x.device) * width
            index = (_by_channel(pattern) >> CHANNEL_SHIFTS[0]).clamp_(min=0) + offset[:, None]
            counted = torch.bincount(index.reshape(-1), minlength=self.channel_histogram.size)
            self.channel_histogram += counted.cpu().numpy().reshape(self.channel_histogram.shape)

    def searches(self, one_pass: bool) -> dict[tuple[Wish, int], RankSearch]:
        """A search for the lower (0) and, where it is another, the upper (1) neighbour of each percentile."""
        # Bin 0 of the first pass holds the zeros and the smallest subnormals: only the latter are positive.
        self.histogram[0] -= self.count - self.positives.sum()
        if self.channel_histogram is not None:
            self.channel_histogram[:, 0] -= self.count // self.channels - self.positives
        found = {}
        for wish in self.wishes:
            counts = self.histogram[None]
            shifts: tuple[int, ...] = LAYER_SHIFTS[:1] if one_pass else LAYER_SHIFTS
            if wish.channels and self.channel_histogram is not None:
                counts, shifts = self.channel_histogram, CHANNEL_SHIFTS
            for side, rank in enumerate(self._ranks(wish)):
                found[wish, side] = RankSearch(counts, rank, shifts)
        return found

    def _ranks(self, wish: Wish) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ranks around a percentile among the positive values; -1 where that is a zero, or there is none."""
        positives, zeros = self._sizes(wish)
        index = virtual_index(wish.percentile, positives + zeros)
        low = np.floor(index).astype(np.int64)
        high = np.minimum(low + 1, positives + zeros - 1)
        return np.maximum(low - zeros, -1), np.maximum(high - zeros, -1)

    def _sizes(self, wish: Wish) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        positives = self.positives if wish.channels else self.positives.sum(keepdims=True)
        size = self.count // (self.channels if wish.channels else 1)
        return positives, (size - positives) * wish.zeros

    def result(self, searches: dict[tuple[Wish, int], RankSearch]) -> NodeStatistics:
        ceiling = getattr(self.node, "ceiling", None)
        return NodeStatistics(
            layer=self.layer,
            ceiling=ceiling if isinstance(ceiling, float | int) else None,
            count=self.count,
            histogram=self.histogram,
            positives=self.positives,
            maximum=self.maximum,
            total=self.total,
            squares=self.squares,
            quantiles={wish.key: self._quantile(wish, searches) for wish in self.wishes},
        )

    def _quantile(self, wish: Wish, searches: dict[tuple[Wish, int], RankSearch]) -> NDArray[np.float64]:
        positives, zeros = self._sizes(wish)
        index = virtual_index(wish.percentile, positives + zeros)
        low, high = (np.nan_to_num(searches[wish, side].values) for side in (0, 1))
        value = interpolate(low, high, index - np.floor(index))
        value = np.where(positives > 0, value, np.nan)
        return value if wish.channels else np.asarray(value[0])
