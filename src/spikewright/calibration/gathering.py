"""Run the network over the data and gather statistics, in memory that does not grow with the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.inputs import InputScale, InputWatcher, input_scale_text, parse_input_scale
from spikewright.calibration.looking import look
from spikewright.calibration.quantiles import (
    CHANNEL_SHIFTS,
    LAYER_SHIFTS,
    RankSearch,
    Refinement,
    Tally,
    floats,
    interpolate,
    patterns,
    values_from,
    virtual_index,
)
from spikewright.calibration.score import AnalogScoring
from spikewright.calibration.statistics import NodeStatistics, Statistics
from spikewright.calibration.thresholds import Method, Wish, parse_all
from spikewright.data import Dataset, as_dataset
from spikewright.errors import DataError, warn
from spikewright.forward import Forward
from spikewright.graph import Graph, Node
from spikewright.nodes import Input, Output, ReLU
from spikewright.settings import whole
from spikewright.tasks import TaskChoice

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]
FIRST_SAMPLES, FIRST_VALUES = 64, 1 << 18
"""All values of so many samples at least, and so many values, are binned: for pictures, and to learn where the
percentiles will lie."""
MARGIN, FEW = 4, 16
"""How many times more values than asked for are binned, and how many on top."""


def calibrate(
    graph: Graph,
    data: Any,
    methods: Sequence[Method | str] | Method | str = "percentile:99.9",
    *,
    input_scale: Method | str | float = "max",
    task: TaskChoice = None,
    batch_size: int = 256,
    one_pass: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Statistics:
    """Statistics of every ReLU of a graph, of what every output reads, before the activation it applies, and of inputs.

    What is odd about data and network becomes a warning. With labels the first pass counts how good the network is.

    Args:
        graph: the folded graph, from ``prepare``.
        data: a Dataset, an array ``(N, *shape)``, for several inputs a mapping of them by name, or a pair of such
            samples and labels.
        methods: what λ will be asked for, as values or as their text; a percentile of a layer takes a second pass
            over the data, of every channel two more.
        input_scale: how λ of an input comes about, which is what one event of the Poisson encoder stands for: "max",
            the largest size of its values; a percentile of their sizes without zeros ("percentile:99.9"), which cuts
            what is larger; or a number.
        task: what labels are for, as for ``measure``; None finds it.
        batch_size: samples that run side by side; changes nothing but speed and memory.
        one_pass: stop after the first pass; a percentile is then known to within
            ``Statistics.relative_error`` for layers (channels are still refined).
        device: a torch device.
        progress: called with (samples done, samples in all passes).

    Raises:
        DataError: for an empty data set, samples of another shape, or values that are not finite.
        SettingsError: for a method, input scale or batch size that is none.

    Warns:
        SpikewrightWarning: each of ``look(graph, statistics).warnings``.
    """
    batch_size = whole("batch_size", batch_size)
    chosen, scale = parse_all(methods), parse_input_scale(input_scale)
    dataset = as_dataset(data, graph.inputs)
    if not len(dataset):
        raise DataError("the calibration set is empty; give at least one sample")
    gatherers = _gatherers(graph, chosen, scale)
    watchers = {name: InputWatcher() for name in graph.inputs}
    forward = Forward(_before_activations(graph), device)
    scoring = AnalogScoring(graph, dataset, task, forward.to_tensor)
    deep = any(wish.channels for g in gatherers.values() for wish in g.wishes)
    refined = any(g.wishes for g in gatherers.values())
    passes = 1 + (0 if not refined else 2 if deep else 0 if one_pass else 1)
    total = passes * len(dataset)
    hooks = {name: _both(watchers[name], g.first) if name in watchers else g.first for name, g in gatherers.items()}
    _sweep(forward, dataset, batch_size, hooks, progress, 0, total, scoring)
    misled = {name: g for name, g in gatherers.items() if g.misled()}
    if misled:
        for gatherer in misled.values():
            gatherer.start(everything=True)
        _sweep(forward, dataset, batch_size, {n: g.first for n, g in misled.items()}, None, 0, total)
    searches = {name: g.searches(one_pass) for name, g in gatherers.items()}
    for number in range(1, passes):
        active = {name: [s for s in found.values() if not s.done] for name, found in searches.items()}
        active = {name: found for name, found in active.items() if found}
        refinements = {name: Refinement(found, gatherers[name].channels) for name, found in active.items()}
        hooks = {name: _of_sizes(hook) if name in watchers else hook for name, hook in refinements.items()}
        _sweep(forward, dataset, batch_size, hooks, progress, number * len(dataset), total)
        for refinement in refinements.values():
            refinement.finish()
    results = {name: g.result(searches[name]) for name, g in gatherers.items()}
    statistics = Statistics(
        nodes={name: found for name, found in results.items() if name not in watchers},
        key=statistics_key(graph, dataset),
        samples=len(dataset),
        exact=not one_pass,
        inputs={name: watcher.result(results[name].quantiles) for name, watcher in watchers.items()},
        input_scale=input_scale_text(scale),
        scores=scoring.results(),
        remarks=scoring.remarks,
    )
    warn(look(graph, statistics).warnings)
    return statistics


def statistics_key(graph: Graph, data: Any) -> str:
    """A fingerprint of a graph's structure and weights and of a data set."""
    data_key = as_dataset(data, graph.inputs).fingerprint
    return hashlib.sha256(f"{graph.fingerprint} {data_key}".encode()).hexdigest()


def _sweep(
    forward: Forward,
    dataset: Dataset,
    batch_size: int,
    watch: Mapping[str, Callable[[Tensor], None]],
    progress: Progress | None,
    before: int,
    total: int,
    scoring: AnalogScoring | None = None,
) -> None:
    """One pass over the data."""
    import torch

    done = 0
    for x, _ in dataset.batches(batch_size):
        outputs = forward(torch.from_numpy(np.ascontiguousarray(x)), watch)
        if scoring is not None:
            scoring(outputs, len(x))
        done += len(x)
        if progress is not None:
            progress(before + done, total)


def _before_activations(graph: Graph) -> Graph:
    """The graph with outputs that give what they read: a scale is one of that."""
    return graph.replaced(*(Output(name=output.name, inputs=output.inputs) for output in graph.of_type(Output)))


def _both(*hooks: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    def call(x: Tensor) -> None:
        for hook in hooks:
            hook(x)

    return call


def _of_sizes(hook: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    """Of an input the sizes of values count, whatever their sign."""
    return lambda x: hook(x.abs())


def _gatherers(graph: Graph, methods: Sequence[Method], scale: InputScale) -> dict[str, _Gatherer]:
    found = {}
    for node in graph:
        if not node.inputs:
            asked = set(scale.wishes(0)) if isinstance(scale, Method) else set()
            found[node.name] = _Gatherer(node, graph.shapes[node.name][0], 0, asked)
        if isinstance(node, ReLU | Output):
            layer = _layer_index(graph, node)
            wishes = {wish for method in methods for wish in method.wishes(layer)}
            found[node.name] = _Gatherer(node, graph.input_shapes(node)[0][0], layer, wishes)
    return found


def _layer_index(graph: Graph, node: Node) -> int:
    """How many weighted layers lie on the shallowest way from the input up to the one before this node."""
    depth: dict[str, int] = {}
    for other in graph:
        depth[other.name] = min((depth[i] for i in other.inputs), default=0) + (
            other.weighted and other.type != "ChannelAffine"
        )
    return max(depth[node.name] - 1, 0)


def _shift(channels: bool) -> int:
    """Low bits that the bins of the first pass leave open."""
    return (CHANNEL_SHIFTS if channels else LAYER_SHIFTS)[0]


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
        self.display = Tally(1 << 15)
        self.showing = True
        self.positives = np.zeros(self.channels, np.int64)
        self.maximum = np.zeros(self.channels)
        groups = {wish.channels: self.channels if wish.channels else 1 for wish in self.wishes}
        self.binned = {c: Tally(n << (31 - _shift(c))) for c, n in groups.items()}
        self.cutoff = {c: np.zeros(n, np.int64) for c, n in groups.items()}

    def first(self, x: Tensor) -> None:
        """Count one batch ``(B, C, ...)``."""
        positive = x if isinstance(self.node, ReLU) else x.abs() if isinstance(self.node, Input) else x.relu()
        if self.showing:
            size = x[0].numel()
            lacking = max(FIRST_SAMPLES - self.samples, -((self.count - FIRST_VALUES) // size))
            self._count(positive[:lacking])
            if lacking > len(x):
                return
            self.showing = False
            if not self.everything:
                self.cutoff = {channels: self._cutoff(channels) for channels in self.binned}
            positive = positive[lacking:]
        if len(positive):
            self._count(positive)

    def _count(self, x: Tensor) -> None:
        import torch

        rows = x.reshape(*x.shape[:2], -1)
        maximum = rows.amax(dim=2).amax(dim=0).double().cpu().numpy()
        if not np.isfinite(maximum).all():
            raise DataError(f"{self.node}: the data drive it to {maximum.max()}; check them for NaN and infinity")
        self.maximum = np.maximum(self.maximum, maximum)
        self.count += x.numel()
        self.samples += len(x)
        exact = torch.float32 if rows.shape[2] <= 1 << 24 else torch.float64  # a sum of ones
        self.positives += rows.sign().sum(dim=2, dtype=exact).sum(dim=0, dtype=torch.float64).long().cpu().numpy()
        if not (self.showing or self.binned):
            return
        value, channel = values_from(x, floats(self._lowest()))
        pattern = patterns(value)
        if self.showing:
            self.display.add(pattern >> LAYER_SHIFTS[0])
        for channels, tally in self.binned.items():
            index = pattern >> _shift(channels)
            tally.add(index + (channel << (31 - _shift(channels))) if channels else index)

    def _lowest(self) -> NDArray[np.int64]:
        """``(channels,)``: the pattern from which values are binned."""
        patterns = [np.broadcast_to(cutoff << _shift(c), self.channels) for c, cutoff in self.cutoff.items()]
        return np.asarray(np.min(patterns, axis=0) if patterns else np.zeros(self.channels, np.int64))

    def _histogram(self, channels: bool) -> NDArray[np.int64]:
        """``(groups, bins)``: what was binned."""
        return self.binned[channels].counts().reshape(-1, 1 << (31 - _shift(channels)))

    def _cutoff(self, channels: bool) -> NDArray[np.int64]:
        """The bin from which ``MARGIN`` times as many of the first values lie as the percentiles ask for."""
        histogram = self._histogram(channels)
        above = np.zeros(len(histogram))
        for wish in self.wishes:
            if wish.channels == channels:
                positives, zeros = self._sizes(wish)
                above = np.maximum(above, MARGIN * ((1 - wish.percentile / 100) * (positives + zeros) + FEW))
        from_top = histogram[:, ::-1].cumsum(axis=1)
        short = (from_top < above[:, None]).sum(axis=1)
        return np.asarray(np.maximum(histogram.shape[1] - 1 - short, 0))

    def misled(self) -> bool:
        """Whether a wanted value lies below the cutoff that the first samples suggested."""
        for wish in self.wishes:
            histogram, cutoff = self._histogram(wish.channels), self.cutoff[wish.channels]
            kept = np.where(np.arange(histogram.shape[1]) >= cutoff[:, None], histogram, 0).sum(axis=1)
            below = self._sizes(wish)[0] - kept
            if any(((rank >= 0) & (rank < below)).any() for rank in self._ranks(wish)):
                return True
        return False

    def searches(self, one_pass: bool) -> dict[tuple[Wish, int], RankSearch]:
        """A search for the lower (0) and the upper (1) neighbour of each percentile."""
        found = {}
        for wish in self.wishes:
            counts = self._histogram(wish.channels).copy()
            counts[:, 0] += self._sizes(wish)[0] - counts.sum(axis=1)  # not binned: below everything that is wanted
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
            histogram=self.display.counts(),
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
