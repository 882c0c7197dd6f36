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
    channel_values_from,
    interpolate,
    patterns,
    values_from,
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
FIRST_SAMPLES = 256
"""All values of so many samples are binned: for pictures, and to learn where the percentiles will lie."""
MARGIN, FEW = 4, 16
"""How many times more values than asked for are binned, and how many on top."""
SMALLEST = 2.0**-149
"""The smallest positive float32."""


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
    misled = {name: g for name, g in gatherers.items() if g.misled()}
    if misled:
        for gatherer in misled.values():
            gatherer.start(everything=True)
        _sweep(forward, dataset, batch_size, {n: g.first for n, g in misled.items()}, None, 0, total)
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
        for search in searches:
            search.add(x)

    return refine


class _Gatherer:
    """The first pass over one node, and the searches for what it could not settle.

    Every value of the first samples is binned. They tell above which value the wanted percentiles will lie, with
    room to spare; from then on only values above it are binned, the rest only counted. Should they have misled
    (``misled``), the pass is repeated with everything binned: the result is exact either way.
    """

    def __init__(self, node: Node, channels: int, layer: int, wishes: set[Wish]) -> None:
        self.node, self.channels, self.layer = node, channels, layer
        self.wishes = sorted(wishes, key=lambda wish: wish.key)
        self.start()

    def start(self, everything: bool = False) -> None:
        """Before a first pass; ``everything`` is binned in one that is repeated."""
        self.everything = everything
        self.count = self.samples = 0
        self.display = np.zeros(1 << 15, np.int64)
        self.positives = np.zeros(self.channels, np.int64)
        self.maximum = np.zeros(self.channels)
        widths = {False: (1, 1 << (31 - LAYER_SHIFTS[0])), True: (self.channels, 1 << (31 - CHANNEL_SHIFTS[0]))}
        self.binned = {c: np.zeros(widths[c], np.int64) for c in {wish.channels for wish in self.wishes}}
        self.cutoff = {c: np.zeros(len(histogram), np.int64) for c, histogram in self.binned.items()}

    def first(self, x: Tensor) -> None:
        """Count one batch ``(B, C, ...)``."""
        import torch

        positive = x if isinstance(self.node, ReLU) else x.relu()
        rows = positive.reshape(*positive.shape[:2], -1)
        maximum = rows.amax(dim=(0, 2)).double().cpu().numpy()
        if not np.isfinite(maximum).all():
            raise DataError(f"{self.node}: the data drive it to {maximum.max()}; check them for NaN and infinity")
        self.maximum = np.maximum(self.maximum, maximum)
        self.count += x.numel()
        self.positives += rows.sign().sum(dim=2).sum(dim=0, dtype=torch.float64).long().cpu().numpy()
        for channels in self.binned:
            self._bin(positive, channels)
        if self.samples < FIRST_SAMPLES:
            if False in self.binned:
                self.display = self.binned[False][0].copy()
            else:
                index = patterns(values_from(positive, SMALLEST)) >> LAYER_SHIFTS[0]
                self.display += torch.bincount(index, minlength=len(self.display)).cpu().numpy()
            self.samples += len(x)
            if self.samples >= FIRST_SAMPLES and not self.everything:
                self.cutoff = {channels: self._cutoff(channels) for channels in self.binned}

    def _bin(self, x: Tensor, channels: bool) -> None:
        """Bin what lies from the cutoff up."""
        import torch

        histogram = self.binned[channels]
        shift = (CHANNEL_SHIFTS if channels else LAYER_SHIFTS)[0]
        low = (self.cutoff[channels] << shift).clip(1).astype(np.int32).view(np.float32)
        if channels:
            value, channel = channel_values_from(x, torch.from_numpy(low).to(x.device))
            index = (patterns(value) >> shift) + channel * histogram.shape[1]
        else:
            index = patterns(values_from(x, float(low[0]))) >> shift
        histogram += torch.bincount(index, minlength=histogram.size).cpu().numpy().reshape(histogram.shape)

    def _cutoff(self, channels: bool) -> NDArray[np.int64]:
        """The bin from which ``MARGIN`` times as many of the first values lie as the percentiles ask for."""
        histogram = self.binned[channels]
        size = self.count // (self.channels if channels else 1)
        positives = self.positives if channels else self.positives.sum(keepdims=True)
        above = np.zeros(len(histogram))
        for wish in self.wishes:
            if wish.channels == channels:
                among = size if wish.zeros else positives
                above = np.maximum(above, MARGIN * ((1 - wish.percentile / 100) * among + FEW))
        from_top = histogram[:, ::-1].cumsum(axis=1)
        bins = histogram.shape[1] - 1 - (from_top < above[:, None]).sum(axis=1)
        return np.where(positives < above, 0, np.maximum(bins, 0))

    def misled(self) -> bool:
        """Whether a wanted value lies below the cutoff that the first samples suggested."""
        return any(((rank >= 0) & (rank < self._unseen(w))).any() for w in self.wishes for rank in self._ranks(w))

    def _unseen(self, wish: Wish) -> NDArray[np.int64]:
        """How many positive values were counted but not binned."""
        positives, _ = self._sizes(wish)
        return np.asarray(positives - self.binned[wish.channels].sum(axis=1))

    def searches(self, one_pass: bool) -> dict[tuple[Wish, int], RankSearch]:
        """A search for the lower (0) and the upper (1) neighbour of each percentile."""
        found = {}
        for wish in self.wishes:
            counts = self.binned[wish.channels].copy()
            counts[:, 0] += self._unseen(wish)  # below everything that is wanted
            shifts: tuple[int, ...] = LAYER_SHIFTS[:1] if one_pass else LAYER_SHIFTS
            for side, rank in enumerate(self._ranks(wish)):
                found[wish, side] = RankSearch(counts, rank, CHANNEL_SHIFTS if wish.channels else shifts)
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
            histogram=self.display,
            positives=self.positives,
            maximum=self.maximum,
            quantiles={wish.key: self._quantile(wish, searches) for wish in self.wishes},
        )

    def _quantile(self, wish: Wish, searches: dict[tuple[Wish, int], RankSearch]) -> NDArray[np.float64]:
        positives, zeros = self._sizes(wish)
        index = virtual_index(wish.percentile, positives + zeros)
        low, high = (np.nan_to_num(searches[wish, side].values) for side in (0, 1))
        value = interpolate(low, high, index - np.floor(index))
        value = np.where(positives > 0, value, np.nan)
        return value if wish.channels else np.asarray(value[0])
