"""One network over many samples and timesteps: a few samples at a time, with what several read kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from spikewright.graph import Graph, Node, ToTensor
from spikewright.nodes import MaxPool, Output, ReLU

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 2**22
"""Values of the largest tensor that is worked on at one time."""


def is_sink(node: Node) -> bool:
    """Whether linear operators end in a node: a population, what a population was before, or an output."""
    return node.population or isinstance(node, ReLU | MaxPool | Output)


class Lane:
    """A network whose values are ``(B, S, *shape)``: S is 1 for what is the same at all steps, else T.

    What sinks send and inputs hold is kept for all samples, and so are sums and weighted values that several sinks
    read; everything between is worked out when it is asked for, for the samples of one chunk. What nobody reads any
    more is forgotten.

    Args:
        graph: the network, analog or spiking.
        to_tensor: puts arrays on the device.

    Attributes:
        graph: as it is now: ``replace`` changes it.
        kept: by node, ``(N, S, *shape)``: what is kept of all samples.
        shared: the nodes between sinks that are kept.
    """

    def __init__(self, graph: Graph, to_tensor: ToTensor) -> None:
        self.graph, self.to_tensor = graph, to_tensor
        self.kept: dict[str, Tensor] = {}
        self.functions: dict[str, Callable[..., Tensor]] = {}
        self.shared, self.readers = _shared(graph)

    def replace(self, *nodes: Node) -> None:
        """Put nodes in the place of those of their names, or before the sink that reads them; nothing kept changes."""
        graph = self.graph
        new = [node for node in nodes if node.name not in graph]
        graph = graph.replaced(*(node for node in nodes if node.name in graph))
        for node in new:
            (reader,) = (n.name for n in graph if is_sink(n) and node.inputs[0] in n.inputs)
            graph = graph.inserted(node, reader)
        self.graph = graph
        for node in nodes:
            self.functions.pop(node.name, None)

    def own(self, sink: str) -> tuple[str, ...]:
        """The nodes between what is kept and a sink, which nothing else reads, in order."""
        found: set[str] = set()
        waiting = list(self.graph[sink].inputs)
        while waiting:
            name = waiting.pop()
            node = self.graph[name]
            if name not in found and node.inputs and not is_sink(node) and name not in self.shared:
                found.add(name)
                waiting += node.inputs
        return tuple(node.name for node in self.graph if node.name in found)

    def rows(self, name: str, steps: int, samples: int) -> Iterator[slice]:
        """All samples in chunks that are small enough for what a node needs."""
        needed = [name, *self.graph[name].inputs, *self.own(name)]
        largest = max(prod(self.graph.shapes[n]) for n in {*needed, *(i for n in needed for i in self.graph[n].inputs)})
        size = max(CHUNK // (largest * steps), 1)
        for start in range(0, samples, size):
            yield slice(start, min(start + size, samples))

    def read(self, name: str, rows: slice) -> Tensor:
        """``(b, S, *shape)``: what a node reads, of some samples; of one with a single input."""
        return self.value(self.graph[name].inputs[0], rows)

    def value(self, name: str, rows: slice | Tensor, known: dict[str, Tensor] | None = None) -> Tensor:
        """``(b, S, *shape)``: the value of a node, of some samples."""
        known = {} if known is None else known
        if name in known:
            return known[name]
        if name in self.kept:
            found = self.kept[name][rows]
            return found if found.is_floating_point() else found.to(self.to_tensor(np.zeros(0)))
        node = self.graph[name]
        given = [self.value(source, rows, known) for source in node.inputs]
        steps = max(one.shape[1] for one in given)
        flat = [one.expand(-1, steps, *one.shape[2:]).flatten(0, 1) for one in given]
        made = self.function(node)(*flat)
        known[name] = made.reshape(-1, steps, *made.shape[1:])
        return known[name]

    def read_by(
        self, name: str, rows: slice | Tensor, functions: Mapping[str, Callable[..., Tensor]], mean_of: int = 0
    ) -> Tensor:
        """What a node reads, by other functions of some nodes before it; the mean over so many steps, where asked."""
        sources = {source for one in (name, *self.own(name)) for source in self.graph[one].inputs}
        known = {}
        for source in sources & set(self.kept) if mean_of else ():
            known[source] = self.kept[source][rows][:, :mean_of].to(self.to_tensor(np.zeros(0))).mean(1, keepdim=True)
        usual, self.functions = self.functions, {**self.functions, **functions}
        try:
            return self.value(self.graph[name].inputs[0], rows, known)
        finally:
            self.functions = usual

    def function(self, node: Node) -> Callable[..., Tensor]:
        """The forward function of a node."""
        if node.name not in self.functions:
            self.functions[node.name] = node.bind(self.to_tensor)
        return self.functions[node.name]

    def keep(self, name: str, values: Tensor) -> None:
        """Keep what a node sends, ``(N, S, *shape)``, and forget what nobody reads any more."""
        if self.readers[name]:
            self.kept[name] = values
        self.done(name)

    def done(self, name: str) -> None:
        """Nothing that stands before a node is read for it any more."""
        for source, readers in self.readers.items():
            readers.discard(name)
            if not readers:
                self.kept.pop(source, None)

    def settle(self, name: str, samples: int, steps: int) -> None:
        """Work out a shared node for all samples, and keep it."""
        import torch

        self.keep(name, torch.cat([self.value(name, rows).clone() for rows in self.rows(name, steps, samples)]))


def compact(values: Tensor) -> Tensor:
    """Counts in the smallest type that holds them: one byte each where they are whole and small."""
    import torch

    low, high = (float(end) for end in values.aminmax())
    if low >= -128 and high <= 127 and bool((values == values.round()).all()):
        return values.to(torch.int8)
    return values


def _shared(graph: Graph) -> tuple[frozenset[str], dict[str, set[str]]]:
    """The nodes between sinks that several sinks read; and for all that is kept, what kept nodes and sinks read it."""
    shared: set[str] = set()
    behind: dict[str, set[str]] = {}
    for node in reversed(graph.nodes):
        found: set[str] = set()
        for name in graph.consumers[node.name]:
            found |= {name} if is_sink(graph[name]) or name in shared else behind[name]
        behind[node.name] = found
        moves = type(node).moves is not Node.moves
        if len(found) > 1 and node.inputs and not is_sink(node) and not moves:
            shared.add(node.name)
    kept = {node.name for node in graph if not node.inputs or is_sink(node)} | shared
    return frozenset(shared), {name: set(behind[name]) for name in behind if name in kept}
