"""What does not change with time: the currents that biases and a constant input cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from spikewright.forward import tensors_on
from spikewright.graph import Graph, Node, ToTensor
from spikewright.nodes import Conv, Output
from spikewright.nodes._window import torch_padding

if TYPE_CHECKING:
    from torch import Tensor


MOST_TAPS = 32
"""Weights of a filter up to which a convolution is faster as a product: a first layer's, mostly."""


def is_small(node: Conv) -> bool:
    """Whether a convolution is faster as a product, or tap by tap, than as a convolution of torch's."""
    return node.groups == 1 and node.weight[0].size <= MOST_TAPS and node.bias.ndim == 1


class Resting:
    """The graph run with no spikes at all.

    What stands between populations is linear, so this is the part of every current that is the same at each step.

    Args:
        graph: a spiking graph.
        silent: nodes that send only events, none here: populations, relays, inputs that change with time.
        constant: whether the inputs are the same at every step.
        elsewhere: nodes that nobody asks for here.

    Attributes:
        fixed: by node, what is the same for all samples, ``(1, *shape)``.
        work: what ``of`` does for each sample: values computed, or so many times 512 multiply-accumulates.
    """

    def __init__(self, graph: Graph, silent: Collection[str], constant: bool, elsewhere: Collection[str] = ()) -> None:
        import torch

        self.put = tensors_on()
        self.silent = frozenset(silent)
        self.zeros = {name: torch.zeros((1, *graph.shapes[name])) for name in silent}
        self.functions: dict[str, Callable[..., Tensor]] = {}
        sampled: dict[str, Node] = {}
        nodes = [node for node in graph if node.name not in elsewhere]
        for node in nodes:
            read = [name for name in node.inputs if name not in self.silent]
            if any(name in sampled for name in read) or (constant and not node.inputs):
                sampled[node.name] = node
        self.sampled = tuple(sampled.values())
        self.work = sum(max(prod(graph.shapes[name]), graph.macs(node) // 512) for name, node in sampled.items())
        self.fixed: dict[str, Tensor] = {}
        with torch.inference_mode():
            self._walk([node for node in nodes if node.name not in sampled], self.fixed, self.zeros, 1)
        self.functions = {node.name: self._function(node) for node in self.sampled}

    def of(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What arrives at each node ``(B, *shape)``, or ``(1, *shape)`` where that is the same for all samples.

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
        if node.population or isinstance(node, Output):
            return _as_it_is
        if isinstance(node, Conv) and is_small(node):
            return _as_product(node, self.put)
        return node.bind(self.put)


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _as_product(node: Conv, put: ToTensor) -> Callable[[Tensor], Tensor]:
    """A convolution as the product of all windows and the weights.

    Where windows are small this takes a fifth of the time of a convolution, and channels come last in memory, as the
    engine wants them.
    """
    import torch
    import torch.nn.functional as F

    filters, axes = len(node.weight), range(2, 2 + len(node.kernel))
    weight, bias = put(node.weight).reshape(filters, -1).T, put(node.bias)
    reach = [d * (k - 1) + 1 for k, d in zip(node.kernel, node.dilation, strict=True)]
    spread: tuple[Any, ...] = (..., *(slice(None, None, d) for d in node.dilation))
    order = (0, *axes, 1, *range(2 + len(axes), 2 + 2 * len(axes)))

    def forward(x: Tensor) -> Tensor:
        windows = F.pad(x, torch_padding(node.padding))
        for axis, length, stride in zip(axes, reach, node.stride, strict=True):
            windows = windows.unfold(axis, length, stride)
        windows = windows[spread].permute(order)
        shape = windows.shape[: 1 + len(axes)]
        return torch.addmm(bias, windows.reshape(-1, len(weight)), weight).reshape(*shape, filters).movedim(-1, 1)

    return forward
