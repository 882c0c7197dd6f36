"""One step of a graph as what it is: the dense forward pass of its layers, with counts in place of activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines.recording import Recording
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
        self.functions = {node.name: self._function(self._shifted(node)) for node in graph if node.inputs}

    def _shifted(self, node: Node) -> Node:
        """A layer whose bias has the initial potential of the neurons that alone read it, where all start alike."""
        reader = self._neurons_behind(node)
        if reader is None or not isinstance(node, Conv | Linear):
            return node
        return node.replace(bias=node.bias + np.float64(_common(reader.v_init)))

    def _neurons_behind(self, node: Node) -> IF | None:
        """The neurons that alone read a layer, if one number is all that their potentials begin with."""
        if not isinstance(node, Conv | Linear) or self.readers[node.name] != 1:
            return None
        reader = self.graph[self.graph.consumers[node.name][0]]
        return reader if isinstance(reader, IF) and np.ndim(_common(reader.v_init)) == 0 else None

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
        before = self.graph[node.inputs[0]]
        fresh = isinstance(before, Conv | Linear) and self.readers[before.name] == 1  # nobody else sees what arrives
        shifted = self._neurons_behind(before) is not None
        v_init, threshold = (
            self.put(_common(values) if np.ndim(_common(values)) == 0 else node.spread(values, shape))
            for values in (node.v_init, node.threshold)
        )
        unit = bool((threshold == 1).all())

        def counting(current: Tensor) -> Tensor:
            v = current if shifted else current.add_(v_init) if fresh else current + v_init
            return (v if unit else v.div_(threshold)).floor_().clamp_(0, most)

        return counting

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),  # noqa: ARG002 - a step records nothing
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


def _common(values: Array | float) -> Array:
    """The one number that all values are, or the values."""
    array = np.asarray(values)
    return array.reshape(-1)[0] if array.size and (array == array.reshape(-1)[0]).all() else array


def _as_it_is(value: Tensor) -> Tensor:
    return value
