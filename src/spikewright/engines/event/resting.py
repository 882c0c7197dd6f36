"""What does not change with time: the currents that biases and a constant input cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import TYPE_CHECKING

from spikewright.forward import place
from spikewright.graph import Graph, Node
from spikewright.nodes import Output

if TYPE_CHECKING:
    from torch import Tensor


class Resting:
    """The graph run with no spikes at all.

    What stands between populations is linear, so this is the part of every current that is the same at each step.

    Args:
        graph: a spiking graph.
        silent: nodes that send only events, none here: populations, relays, inputs that change with time.
        constant: whether the inputs are the same at every step.

    Attributes:
        fixed: by node, what is the same for all samples, ``(1, *shape)``.
        work: what ``of`` does for each sample: values computed, or so many times 512 multiply-accumulates.
    """

    def __init__(self, graph: Graph, silent: Collection[str], constant: bool) -> None:
        import torch

        self.put = place()
        self.silent = frozenset(silent)
        self.zeros = {name: torch.zeros((1, *graph.shapes[name])) for name in silent}
        self.functions: dict[str, Callable[..., Tensor]] = {}
        sampled: dict[str, Node] = {}
        for node in graph:
            read = [name for name in node.inputs if name not in self.silent]
            if any(name in sampled for name in read) or (constant and not node.inputs):
                sampled[node.name] = node
        self.sampled = tuple(sampled.values())
        self.work = sum(max(prod(graph.shapes[name]), graph.macs(node) // 512) for name, node in sampled.items())
        self.fixed: dict[str, Tensor] = {}
        with torch.inference_mode():
            self._walk([node for node in graph if node.name not in sampled], self.fixed, self.zeros, 1)
        self.functions = {node.name: self._function(node) for node in self.sampled}

    def of(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By node, what arrives at it ``(B, *shape)``, or ``(1, *shape)`` where that is the same for all samples.

        For populations it is the current; for relays, what they send at every step.
        """
        import torch

        values = dict(self.fixed)
        batch = len(next(iter(inputs.values())))
        with torch.inference_mode():
            self._walk(self.sampled, values, inputs, batch)
        return values

    def _walk(
        self, nodes: Collection[Node], values: dict[str, Tensor], inputs: Mapping[str, Tensor], batch: int
    ) -> None:
        for node in nodes:
            sent = [self.zeros[name] if name in self.silent else values[name] for name in node.inputs]
            given = [value.expand(batch, *value.shape[1:]) for value in sent]
            if not node.inputs:
                values[node.name] = inputs[node.name]
            else:
                function = self.functions.get(node.name) or self._function(node)
                values[node.name] = function(*given)

    def _function(self, node: Node) -> Callable[..., Tensor]:
        """Its forward function; a population's is what arrives at it."""
        return _as_it_is if node.population or isinstance(node, Output) else node.bind(self.put)


def _as_it_is(value: Tensor) -> Tensor:
    return value
