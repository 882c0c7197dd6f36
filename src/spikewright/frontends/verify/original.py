"""The framework's side of a comparison, as every frontend describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.frontends.verify.samples import Batch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOLERANCE = 1e-4
"""How far values may be apart, as a fraction of the largest."""
ON_A_GPU = 1e-2
"""The same on a GPU, which may multiply with ten-bit mantissas."""
ROUNDED = {"float16": 1e-2, "bfloat16": 5e-2}
"""The same where a framework computes in half precision."""
AT_ONCE = 2**26
"""Intermediate values of a batch that are asked for in one run."""
SIZES = (2, 3)
"""The batch sizes of samples, where the framework's program leaves it open."""


@dataclass(frozen=True)
class Trace:
    """The intermediate values of a framework.

    Attributes:
        names: of the graph's nodes whose values come, in the graph's order; one may come twice.
        values: gives them for a batch, one after the other, so that nobody need keep them all.
        size: the only batch size that it takes; None for any.
    """

    names: tuple[str, ...]
    values: Callable[[Batch], Iterator[tuple[str, Tensor]]]
    size: int | None = None


@dataclass(frozen=True)
class Original:
    """A model in its framework.

    Attributes:
        framework: its name, for people.
        run: a batch for each input in, the batch of each output out, by the graph's names and in its order of axes.
        dtypes: what the inputs are.
        own_size: the batch size that it is known to take.
        sizes: those that it may take; the one that is written into it, where there is one.
        tolerance: a fraction of the range.
        trace: its intermediate values, where it can show them.
        exact: ``run`` in double precision, where that can be had.
        hint: what may be behind a difference at a node of the graph; empty where nobody knows.
        notes: what there is to say of the comparison.
    """

    framework: str
    run: Callable[[Batch], Batch]
    dtypes: Mapping[str, torch.dtype]
    own_size: int = 1
    sizes: tuple[int, ...] = SIZES
    tolerance: float = TOLERANCE
    trace: Trace | None = None
    exact: Callable[[Batch], Batch] | None = None
    hint: Callable[[str], str] = lambda node: ""  # noqa: ARG005
    notes: tuple[str, ...] = ()


def groups(sizes: Sequence[int]) -> Iterator[slice]:
    """Values that are asked for together: so many that they fit in memory.

    Args:
        sizes: how many numbers each value has.
    """
    start, total = 0, 0
    for place, size in enumerate(sizes):
        if place > start and total + size > AT_ONCE:
            yield slice(start, place)
            start, total = place, 0
        total += size
    if sizes:
        yield slice(start, len(sizes))
