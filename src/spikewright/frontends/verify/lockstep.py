"""A graph and a framework, value by value.

Behind a step (``floor``, ``round``) a rounding error becomes a whole step. There the value before the step is compared,
the step itself where that value is not next to one, and both sides go on from the framework's value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from spikewright.forward import Forward
from spikewright.frontends.verify.original import Trace
from spikewright.frontends.verify.samples import Batch
from spikewright.graph import Graph, Node
from spikewright.nodes import Add, ChannelAffine, Floor, ReLU, Round, Sigmoid, Softmax, Tanh

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 8.0
"""How often the graph's own rounding error may come on top of the tolerance: both sides round, each in its order."""
VANISHING = 1e-30
"""What lies below is nothing, whatever the range."""
SATURATED = 1e-6
"""The same behind a sigmoid, tanh or softmax, whose tails every framework rounds in its own way: their range is 1."""


@dataclass(frozen=True)
class Difference:
    """What is not the same at a node.

    Attributes:
        node: its name.
        apart: how far, at most.
        reach: the largest value that the framework has there.
        shapes: what either side gives, where even that differs.
    """

    node: str
    apart: float
    reach: float
    shapes: str = ""

    def __str__(self) -> str:
        return self.shapes or f"by {self.apart:.3g} where values reach {self.reach:.3g}"


class Lockstep:
    """Both sides of a comparison.

    Args:
        graph: the imported one.
        trace: the framework's intermediate values, where it shows them.
        tolerance: how far values may be apart, as a fraction of the largest.
    """

    def __init__(self, graph: Graph, trace: Trace | None, tolerance: float) -> None:
        self.graph, self.trace, self.tolerance = graph, trace, tolerance
        self.forward = Forward(graph)
        self.outputs = self.forward.output_names
        self.floors: dict[str, float] = {}
        for node in graph:
            bounded = isinstance(node, Sigmoid | Tanh | Softmax)
            self.floors[node.name] = (
                SATURATED if bounded else max((self.floors[n] for n in node.inputs), default=VANISHING)
            )
        names = set(trace.names if trace else ())
        owners = {node.name: _seen_behind(graph, node, names) for node in graph.of_type(Floor, Round)}
        self.steps = {step: owner for step, owner in owners.items() if owner}
        self.clipped = {step: _clip_behind(graph, graph[step]) for step in self.steps}

    def far(self, step: str, before: Tensor) -> Tensor:
        """Where a value is so far from every step that rounding cannot carry it over one.

        Args:
            step: the name of the node that rounds.
            before: what goes into it.
        """
        finite = before[before.isfinite()]
        margin = self.tolerance * max(1.0, float(finite.abs().max()) if finite.numel() else 1.0)
        low, high = before - margin, before + margin
        for name in (step, *self.clipped[step]):
            low, high = (self.forward.functions[name](value) for value in (low, high))
        return low == high

    def difference(self, name: str, ours: Tensor, theirs: Tensor, batch: Batch) -> Difference | None:
        """Whether values differ by more than the tolerance, and by more than rounding explains.

        Args:
            name: of the node.
            ours: what the graph has there, for a batch.
            theirs: what the framework has.
            batch: what both were given.
        """
        if not same_layout(ours, theirs):
            shapes = f"the graph gives {tuple(ours.shape)}, the model {tuple(theirs.shape)}"
            return Difference(name, inf, inf, shapes)
        apart, reach = distance(ours, theirs)
        allowed = max(self.tolerance * reach, self.floors.get(name, VANISHING))
        if apart > allowed and not self.steps:
            allowed += ROUNDING * self._rounding(name, batch)
        return Difference(name, apart, reach) if apart > allowed else None

    def _rounding(self, name: str, batch: Batch) -> float:
        """How far the graph's own value at a node is from its value in double precision."""
        kept: list[Tensor] = []
        for dtype in ("float64", "float32"):
            Forward(self.graph, dtype=dtype)(batch, watch={name: lambda value: kept.append(value.double())})
        return distance(kept[1], kept[0])[0]

    def walk(self, batch: Batch) -> tuple[Difference | None, Batch]:
        """Both sides, node by node; behind a step both go on from the framework's value.

        Returns:
            the first difference; and the graph's outputs, where there is none.
        """
        import torch

        assert self.trace is not None
        walked = _Walked(self, batch)
        with torch.no_grad():
            for name, found in self.trace.values(batch):
                theirs = found.detach().float().cpu()
                ours, far = walked.at(name)
                if far is not None and ours.numel() == theirs.numel():
                    theirs = theirs.reshape(ours.shape)
                    walked.values[name] = theirs
                    ours = ours.where(far, theirs)
                difference = self.difference(name, ours, theirs, batch)
                if difference is not None:
                    return difference, {}
                walked.compared(name)
            walked.advance(None)
        return None, {name: walked.values[name] for name in self.outputs}


def _seen_behind(graph: Graph, step: Node, names: set[str]) -> str:
    """The step itself, or the value behind it that the framework shows, where one operator rounds, clips and adds."""
    node = step
    while node.name not in names:
        readers = graph.consumers[node.name]
        if len(readers) != 1 or not isinstance(graph[readers[0]], Add | ChannelAffine | ReLU):
            return ""
        node = graph[readers[0]]
    return node.name


def _clip_behind(graph: Graph, step: Node) -> tuple[str, ...]:
    """The nodes behind a step up to its clip, beyond whose bounds no step matters; none where the clip is before it."""
    behind: list[str] = []
    node = step
    while len(graph.consumers[node.name]) == 1:
        node = graph[graph.consumers[node.name][0]]
        if not isinstance(node, ChannelAffine | ReLU):
            break
        behind.append(node.name)
        if isinstance(node, ReLU):
            return tuple(behind)
    return ()


class _Walked:
    """The graph's side of a walk: values are computed when they are asked for, and kept while anyone needs them."""

    def __init__(self, lockstep: Lockstep, batch: Batch) -> None:
        self.forward, self.steps, self.far = lockstep.forward, lockstep.steps, lockstep.far
        self.inputs = self.forward.batch(batch)
        self.waiting = iter(self.forward.graph.nodes)
        self.readers = Counter(self.forward.readers)
        self.expected = Counter(lockstep.trace.names if lockstep.trace else ())
        self.values: Batch = {}
        self.safe: Batch = {}

    def at(self, name: str) -> tuple[Tensor, Tensor | None]:
        """The value of a node, and where it is far from steps if it is behind some that were not compared yet."""
        if name not in self.values:
            self.advance(name)
        return self.values[name], self.safe.pop(name, None)

    def advance(self, until: str | None) -> None:
        """Compute up to a node, or all."""
        for node in self.waiting:
            given = [self.values[i] for i in node.inputs] if node.inputs else [self.inputs[node.name]]
            self.values[node.name] = self.forward.functions[node.name](*given)
            if node.name in self.steps:
                owner, far = self.steps[node.name], self.far(node.name, given[0])
                others = self.safe.get(owner)
                self.safe[owner] = far if others is None else far & others
            for name in node.inputs:
                self.readers[name] -= 1
                self._release(name)
            if node.name == until:
                return

    def compared(self, name: str) -> None:
        self.expected[name] -= 1
        self._release(name)

    def _release(self, name: str) -> None:
        if self.readers[name] <= 0 and self.expected[name] <= 0 and name not in self.forward.output_names:
            self.values.pop(name, None)


def same_layout(ours: Tensor, theirs: Tensor) -> bool:
    """Whether both are as many values for as many samples; of a single sample the batch axis may be missing."""
    if ours.numel() != theirs.numel():
        return False
    return len(ours) == 1 or (theirs.ndim > 0 and len(theirs) == len(ours))


def distance(ours: Tensor, theirs: Tensor) -> tuple[float, float]:
    """How far two tensors of one size are apart where the second is finite, and the largest value of that there."""
    theirs = theirs.reshape(ours.shape)
    finite = theirs.isfinite()
    if not finite.all():
        ours, theirs = ours[finite], theirs[finite]
    if not theirs.numel():
        return 0.0, 0.0
    apart = (ours - theirs).abs().nan_to_num(nan=inf)
    return float(apart.max()), float(theirs.abs().max())


def changed(before: Batch, after: Batch, tolerance: float, floors: Mapping[str, float]) -> float:
    """How much outputs differ; 0 where that is within the tolerance, or below the floor of the output."""
    most = 0.0
    for name, value in before.items():
        theirs, ours = value.detach().float().cpu(), after[name].detach().float().cpu()
        if ours.shape != theirs.shape:
            return inf
        apart, reach = distance(ours, theirs)
        if apart > max(tolerance * reach, floors.get(name, VANISHING)):
            most = max(most, apart)
    return most
