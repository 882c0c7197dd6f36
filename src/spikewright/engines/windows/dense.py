"""One step of a graph as what it is: the dense forward pass of its layers, with counts in place of activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines.reference import BatchRun
from spikewright.forward import split_inputs, tensors_on
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, Conv, Linear, MaxPool, Output, SpikeMaxPool

if TYPE_CHECKING:
    from torch import Tensor


class DenseStep:
    """A graph from ``one_step`` ready to run its one step, as ``reference.Simulation`` runs it.

    Images have their channels last in memory, counts are made in place where nobody else reads what arrives, and values
    are let go after their last reader: a step costs little more than the forward pass of the network.

    Args:
        graph: of neurons that only add up and send: of ``one_step``.
        device, dtype: of the products.
    """

    name = "dense"

    def __init__(self, graph: Graph, device: str = "cpu", dtype: str = "float32") -> None:
        self.graph, self.put = graph, tensors_on(device, dtype)
        self.readers = Counter({name: len(readers) for name, readers in graph.consumers.items()})
        self.functions = {node.name: self._function(node) for node in graph if node.inputs}

    def _function(self, node: Node) -> Callable[..., Tensor]:
        if isinstance(node, Output):
            return _as_it_is
        if isinstance(node, SpikeMaxPool):
            return MaxPool.bind(node, self._laid_out)
        if isinstance(node, IF):
            return self._counting(node)
        return node.bind(self._laid_out)

    def _laid_out(self, array: Array) -> Tensor:
        """On the device, with channels last in memory where these are filters of images."""
        import torch

        tensor = self.put(array)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    def _counting(self, node: IF) -> Callable[[Tensor], Tensor]:
        shape, most = self.graph.shapes[node.name], node.max_spikes
        alone = self.readers[node.inputs[0]] == 1 and isinstance(self.graph[node.inputs[0]], Conv | Linear)
        v_init, threshold = (
            self.put(np.asarray(values) if np.ndim(values) == 0 else node.spread(values, shape))
            for values in (node.v_init, node.threshold)
        )

        def counting(current: Tensor) -> Tensor:
            v = current.add_(v_init) if alone else current + v_init
            return v.div_(threshold).floor_().clamp_(0, most)

        return counting

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Collection[str] = (),  # noqa: ARG002 - a step records nothing
        first: int = 0,
    ) -> BatchRun:
        """Run one batch, ``(B, *sample shape)``, for the only step."""
        import torch

        assert timesteps == 1
        left, values, run = Counter(self.readers), dict[str, "Tensor"](), BatchRun({}, {})
        with torch.inference_mode():
            inputs = split_inputs(self.graph, encoder.at(x.to(self.put(np.zeros(0))), 0, first))
            for node in self.graph:
                if node.inputs:
                    value = self.functions[node.name](*(values[name] for name in node.inputs))
                else:
                    value = inputs[node.name]
                    value = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
                values[node.name] = value
                if isinstance(node, Output):
                    run.outputs[node.name] = value[:, None]
                elif node.population:
                    run.counts[node.name] = value
                for name in node.inputs:
                    left[name] -= 1
                    if not left[name]:
                        del values[name]
        return run


def _as_it_is(value: Tensor) -> Tensor:
    return value
