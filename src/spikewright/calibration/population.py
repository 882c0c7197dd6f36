"""What calibration counts of one population: all its requests, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.calibration.requests import Accumulator, Counted, Histogram, Quantile, Totals, Values
from spikewright.calibration.requests._largest import Largest, LargestValues
from spikewright.calibration.requests._look import can_rectify, look_at
from spikewright.calibration.requests.float_bits import INFINITY
from spikewright.calibration.room import worth_keeping
from spikewright.calibration.statistics import NodeStatistics
from spikewright.errors import DataError
from spikewright.forward import InPlace
from spikewright.graph import Graph, Node
from spikewright.nodes import Input, Output, ReLU
from spikewright.parts import storable

if TYPE_CHECKING:
    from torch import Tensor

Hook = Callable[["Tensor"], None]


@dataclass(frozen=True)
class Rectifying(InPlace):
    """Shows a population its values, and rectifies them on the way where it can.

    Attributes:
        population: of a rectifier.
        pool, threads: as for ``Values``.
    """

    population: Population
    pool: ThreadPoolExecutor | None
    threads: int

    def __call__(self, value: Tensor) -> None:
        self.population.add(value, self.pool, self.threads)

    def overwrite(self, x: Tensor) -> bool:
        if not can_rectify(x):
            return False
        self.population.add(x, self.pool, self.threads, rectify=True)
        return True


@storable
class Population:
    """The accumulators of one node's requests.

    Args:
        node: a ReLU, an output (of what it reads), or an input (of the sizes of its values).
        before: the node whose values reach the rectifier.
        channels: of the node.
        layer: its index among the weighted layers.
        requests: what is asked of it; what these need is added.
        one_pass: whether percentiles of the layer may be those of the first pass.
        positions: values of a channel in one sample.
        largest: which largest values the first pass keeps, for percentiles.
    """

    def __init__(
        self,
        node: Node,
        before: str,
        channels: int,
        layer: int,
        requests: Collection[Counted[Any]],
        one_pass: bool,
        positions: int = 1,
        largest: Collection[Largest] = (),
    ) -> None:
        self.name, self.label, self.before = node.name, str(node), before
        self.channels, self.layer = channels, layer
        ceiling = getattr(node, "ceiling", None)
        self.ceiling = ceiling if isinstance(ceiling, float | int) else None
        self.signed = not isinstance(node, ReLU)
        self.rectifies = isinstance(node, ReLU) and node.ceiling is None
        self.is_input = isinstance(node, Input)
        self.asked = {request.key for request in requests}
        self.positions = positions
        among = {r.key: one for r in requests if isinstance(r, Quantile) for one in largest if one.has(r)}
        self.requests = (*largest, *_with_needs(requests, among.keys()))
        self.totals = Totals(channels)
        self.accumulators = {
            r.key: r.accumulator(channels, one_pass, among[r.key])
            if isinstance(r, Quantile) and r.key in among
            else r.accumulator(channels, one_pass)
            for r in self.requests
        }
        self.first_pass = True

    @property
    def passes_left(self) -> int:
        """How many passes are known to come."""
        return max((a.passes_left for a in self.accumulators.values()), default=0) or int(self.first_pass)

    def fresh(self) -> Population:
        """One for the same pass that has seen nothing in it yet, with what takes part in it."""
        made = object.__new__(Population)
        active = {key: a.fresh() for key, a in self.accumulators.items() if a.needs_pass}
        made.__dict__ = {**self.__dict__, "accumulators": active, "totals": Totals(self.channels)}
        return made

    def hooks(self, pool: ThreadPoolExecutor | None = None, threads: int = 1) -> list[tuple[str, Hook]]:
        """What to call in this pass with the values of which node; ``pool`` and ``threads`` as for ``Values``."""
        found: list[tuple[str, Hook]] = []
        if self.first_pass or self._of(before=False):
            rectifying = self.rectifies and self.first_pass
            add = partial(self.add, pool=pool, threads=threads)
            found.append((self.name, Rectifying(self, pool, threads) if rectifying else add))
        if self._of(before=True):
            found.append((self.before, self._add_before))
        return found

    def largest(self, to_come: int | None) -> list[tuple[LargestValues, Totals, int | None]]:
        """The largest values that are kept in this pass, for ``share_out``, with so many samples still to come."""
        values = None if to_come is None else to_come * self.positions
        return [
            (a, self.totals, None if values is None else values * (1 if a.request.channels else self.channels))
            for a in self.accumulators.values()
            if isinstance(a, LargestValues) and a.needs_pass
        ]

    def _of(self, before: bool) -> list[Accumulator]:
        known = ((r, self.accumulators.get(r.key)) for r in self.requests if r.before == before)
        return [a for _, a in known if a is not None and a.needs_pass]

    def add(self, x: Tensor, pool: ThreadPoolExecutor | None, threads: int, rectify: bool = False) -> None:
        """See a batch ``(B, C, ...)`` of the node's values, or of what it reads, to ``rectify`` it in its place."""
        if self.signed:
            x = x.abs() if self.is_input else x.relu()
        accumulators = self._of(before=False)
        floors = [floor for a in accumulators if (floor := a.floor) is not None]
        lowest = np.full(self.channels, INFINITY)
        for floor in floors:
            lowest = np.minimum(lowest, floor)
        values = Values(x, lowest if floors else None, pool, threads)
        if self.first_pass:
            look_at(values, [a for a in accumulators if isinstance(a, LargestValues)], self.totals.count, rectify)
            if not np.isfinite(values.maximum).all():
                raise DataError(
                    f"{self.label}: the data drive it to {values.maximum.max()}; check them for NaN and infinity"
                )
            self.totals.add(values)
        for accumulator in accumulators:
            accumulator.add(values)

    def _add_before(self, x: Tensor) -> None:
        """See a batch ``(B, C, ...)`` of what reaches the rectifier."""
        values = Values(x)
        for accumulator in self._of(before=True):
            accumulator.add(values)

    def merge(self, other: Population) -> None:
        """Take in what another one has seen of other samples in this pass."""
        self.totals.merge(other.totals)
        for key, accumulator in other.accumulators.items():
            self.accumulators[key].merge(accumulator)

    def finish_pass(self) -> None:
        """After a pass over all samples."""
        self.first_pass = False
        for accumulator in self.accumulators.values():
            if accumulator.needs_pass:
                accumulator.finish_pass(self.totals, self.accumulators)
        self.accumulators = {key: a for key, a in self.accumulators.items() if a.needs_pass or key in self.asked}

    def result(self) -> NodeStatistics:
        """What was found in all passes so far."""
        return NodeStatistics(
            layer=self.layer,
            ceiling=self.ceiling,
            count=self.totals.count,
            positives=self.totals.positives,
            maximum=self.totals.maximum,
            results={key: accumulator.arrays(self.totals) for key, accumulator in self.accumulators.items()},
        )


def populations(
    graph: Graph,
    asked: Callable[[Node, int], Collection[Counted[Any]]],
    one_pass: bool,
    samples: int | None,
    memory: int,
) -> list[Population]:
    """The populations to watch: every input, ReLU and output of a graph.

    Args:
        graph: the folded graph.
        asked: the requests of a node behind a weighted layer of such an index.
        one_pass: as for ``Population``.
        samples: how many there are; None where nobody knows.
        memory: MiB for their largest values.
    """
    watched: list[tuple[Node, str, tuple[int, ...], int, set[Counted[Any]]]] = []
    for node in graph:
        if not node.inputs:
            watched.append((node, node.name, graph.shapes[node.name], 0, set(asked(node, 0))))
        elif isinstance(node, ReLU | Output):
            layer, before = _layer_index(graph, node), node.inputs[0]
            watched.append((node, before, graph.input_shapes(node)[0], layer, {Histogram(), *asked(node, layer)}))
    searched = [
        ([r for r in requests if not (one_pass and isinstance(r, Quantile) and not r.channels)], prod(shape))
        for _, _, shape, _, requests in watched
    ]
    return [
        Population(node, before, shape[0], layer, requests, one_pass, prod(shape[1:]), largest)
        for (node, before, shape, layer, requests), largest in zip(
            watched, worth_keeping(searched, samples, memory), strict=True
        )
    ]


def _with_needs(requests: Iterable[Counted[Any]], without: Collection[str] = ()) -> tuple[Counted[Any], ...]:
    """Requests and all that they need, but those of the keys ``without``, each once, what is needed first."""
    found: dict[str, Counted[Any]] = {}
    for request in sorted(requests, key=lambda one: one.key):
        for one in (*(() if request.key in without else _with_needs(request.needs)), request):
            found.setdefault(one.key, one)
    return tuple(found.values())


def _layer_index(graph: Graph, node: Node) -> int:
    """How many weighted layers lie on the shallowest way from the input up to the one before this node."""
    depth: dict[str, int] = {}
    for other in graph:
        depth[other.name] = min((depth[i] for i in other.inputs), default=0) + (
            other.weighted and other.type != "ChannelAffine"
        )
    return max(depth[node.name] - 1, 0)
