"""What layers keep for their way back, made smaller: spikes of 0 and 1 are found again, or are a byte each.

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from spikewright.graph import Graph, Node
from spikewright.nodes import IF


def sends_single(node: Node | None) -> bool:
    """Whether a node sends nothing but 0 and 1."""
    return isinstance(node, IF) and node.max_spikes == 1 and not node.signed


def read_alone(graph: Graph, node: Node, nodes: Sequence[Node]) -> bool:
    """Whether a node alone reads what a layer among some others has just made.

    Args:
        graph: of all of them.
        node: with one input.
        nodes: those that are run together.
    """
    source = graph[node.inputs[0]]
    made = source.weighted and not source.population and any(one is source for one in nodes)
    return made and len(graph.consumers[source.name]) == 1


@contextmanager
def kept_smaller(spikes: Tensor, again: Callable[[], Tensor] | None, fits: bool) -> Iterator[None]:
    """Within, nothing of some spikes is kept for the way back, or a byte for each, if they are 0 and 1.

    Args:
        spikes: of a whole population.
        again: gives them once more, in one row as they lie in memory; None where they are kept as bytes.
        fits: whether they are nothing but 0 and 1.
    """
    if not fits:
        yield
        return
    place, size, kind = spikes.data_ptr(), spikes.numel(), spikes.dtype

    def pack(kept: Tensor) -> Tensor | _Again:
        if kept.data_ptr() != place or kept.numel() != size or not _in_one_piece(kept):
            return kept
        return kept.to(torch.uint8) if again is None else _Again(again, kept.shape, kept.stride())

    def unpack(kept: Tensor | _Again) -> Tensor:
        if isinstance(kept, _Again):
            return kept.row().as_strided(kept.shape, kept.stride)
        return kept.to(kind) if kept.dtype == torch.uint8 else kept

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


class _Again(NamedTuple):
    """What is found again where it is needed, and how it lies in memory."""

    row: Callable[[], Tensor]
    shape: torch.Size
    stride: tuple[int, ...]


def _in_one_piece(values: Tensor) -> bool:
    return values.is_contiguous() or (values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last))
