"""Run a graph on batches: bind every node once, then call as often as there are batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array, Graph, Node, ToTensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor


OWN_MEMORY = frozenset({"Add", "ChannelAffine", "Conv", "ConvTranspose", "Linear"})
"""Types of nodes whose values never lie in the memory of what they read; of an ``Add`` where it adds anything."""


def tensors_on(device: str = "cpu", dtype: str = "float32") -> ToTensor:
    """A function that turns a numpy array into a tensor on ``device``.

    Raises:
        SettingsError: for a device this machine does not have, or an unknown dtype.
    """
    import torch

    if dtype not in ("float32", "float64"):
        raise SettingsError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
    try:
        target = torch.device(device)
        torch.zeros(1, device=target).item()  # "meta" has no values
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"device '{device}' cannot be used here; 'cpu' always works") from error
    kind: torch.dtype = getattr(torch, dtype)

    def put(array: Array) -> Tensor:
        return torch.tensor(array, dtype=kind, device=target)

    return put


class InPlace(ABC):
    """A watcher that can do the work of its node as well, in the place of what that reads: so it is looked at once."""

    @abstractmethod
    def __call__(self, value: Tensor) -> None:
        """See what the node gives."""

    @abstractmethod
    def overwrite(self, x: Tensor) -> bool:
        """See what the node gives, and put it in the place of its input; False for one that it leaves as it is."""


class Forward:
    """An analog graph ready to run.

    Args:
        graph: any graph without spiking populations.
        device: a torch device.
        dtype: ``"float32"`` or ``"float64"``.
    """

    def __init__(self, graph: Graph, device: str = "cpu", dtype: str = "float32") -> None:
        self.graph = graph
        self.to_tensor = tensors_on(device, dtype)
        self.functions: dict[str, Callable[..., Tensor]] = {node.name: node.bind(self.to_tensor) for node in graph}
        self.readers = Counter({name: len(r) for name, r in graph.consumers.items()})
        self.input_names = tuple(node.name for node in graph if not node.inputs)
        self.output_names = tuple(node.name for node in graph if node.type == "Output")

    def __call__(
        self, inputs: Mapping[str, Tensor] | Tensor, watch: Mapping[str, Callable[[Tensor], None]] | None = None
    ) -> dict[str, Tensor]:
        """The outputs of one batch.

        Args:
            inputs: a batch ``(B, *shape)``; for several inputs one of each by name, or all side by side.
            watch: what to call with the output of a node as soon as it is there; nothing is kept otherwise. An
                ``InPlace`` one may do the node's work, where nobody else reads what the node reads.

        Returns:
            the batch of every output node, by name.
        """
        import torch

        watch = watch or {}
        batch = self.batch(inputs)
        left = Counter(self.readers)
        values: dict[str, Tensor] = {}
        with torch.inference_mode():
            for node in self.graph:
                given = [values[i] for i in node.inputs] if node.inputs else [batch[node.name]]
                see = watch.get(node.name)
                if isinstance(see, InPlace) and self._alone(node) and see.overwrite(given[0]):
                    value = given[0]
                else:
                    value = self.functions[node.name](*given)
                    if see is not None:
                        see(value)
                values[node.name] = value
                for name in node.inputs:
                    left[name] -= 1
                    if not left[name]:
                        del values[name]
        return {name: values[name] for name in self.output_names}

    def _alone(self, node: Node) -> bool:
        """Whether a node is the only one to read its only input, which has memory of its own: another one that read it
        before may have given a view of it."""
        if len(node.inputs) != 1 or self.readers[node.inputs[0]] != 1:
            return False
        before = self.graph[node.inputs[0]]
        return before.type in OWN_MEMORY and (before.type != "Add" or len(before.inputs) > 1)

    def batch(self, inputs: Mapping[str, Tensor] | Tensor) -> dict[str, Tensor]:
        """The inputs by name, in place, with their shapes checked."""
        if not isinstance(inputs, Mapping):
            inputs = split_inputs(self.graph, inputs)
        found = {}
        for name in self.input_names:
            if name not in inputs:
                raise DataError(f"no batch for the input '{name}'")
            value = inputs[name]
            shape = self.graph.shapes[name]
            if tuple(value.shape[1:]) != shape:
                moved = (value.shape[-1], *value.shape[1:-1]) == shape
                way_out = "; its channels are last: give np.moveaxis(x, -1, 1)" if moved else ""
                raise DataError(
                    f"the network takes samples of shape {shape}, the data has {tuple(value.shape[1:])} "
                    f"(channels first, without the batch axis){way_out}"
                )
            like = self.to_tensor(np.zeros(0))
            found[name] = value.to(like.device, like.dtype)
        return found


def split_inputs(graph: Graph, x: Tensor) -> dict[str, Tensor]:
    """A batch of samples as one of each input: where a network has several, they lie side by side in a row.

    Raises:
        DataError: for rows of another length than the inputs have together.
    """
    import torch

    inputs = graph.inputs
    if len(inputs) == 1:
        return {next(iter(inputs)): x}
    if tuple(x.shape[1:]) != graph.sample_shape:
        raise DataError(
            f"the network has the inputs {', '.join(inputs)}: give a batch for each, or rows of "
            f"{graph.sample_shape[0]} values, not {tuple(x.shape[1:])}"
        )
    parts = torch.split(x, [prod(shape) for shape in inputs.values()], dim=1)
    return {name: part.reshape(-1, *shape) for part, (name, shape) in zip(parts, inputs.items(), strict=True)}


def run(graph: Graph, x: Any, keep: Collection[str] = (), dtype: str = "float32") -> dict[str, Array]:
    """Run a graph on one numpy batch: for tests, notebooks and small looks.

    Args:
        graph: any graph without spiking populations.
        x: ``(B, *input shape)``.
        keep: further nodes whose outputs are wanted.
        dtype: "float32" or "float64".

    Returns:
        numpy batches by node name: the outputs, and what ``keep`` names.
    """
    import torch

    kept: dict[str, Array] = {}

    def keeper(name: str) -> Callable[[Tensor], None]:
        def store(value: Tensor) -> None:
            kept[name] = value.cpu().numpy().copy()

        return store

    tensor = torch.as_tensor(np.ascontiguousarray(x))
    outputs = Forward(graph, dtype=dtype)(tensor, watch={name: keeper(name) for name in keep})
    return {**kept, **{name: value.cpu().numpy() for name, value in outputs.items()}}
