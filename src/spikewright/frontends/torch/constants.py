"""Calls of an exported graph that depend on no input, or on its shape alone, are computed while reading: weight norms,
masks, ones."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from spikewright.causes import Cause
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.torch.call import ImportContext, Value
from spikewright.frontends.torch.trace import base_name, leaves, same_size

if TYPE_CHECKING:
    from torch import fx

FILLED = {"zeros": 0, "ones": 1}
"""What ``zeros_like`` and ``new_ones`` are full of; of ``full_like`` and ``new_full`` an argument says it."""
BATCHES = (1, 2, 3)
"""Sizes of a batch for which constants are computed that are made for a whole one."""


def fold(walk: ImportContext, node: fx.Node) -> Any:
    """The value of a call on constants; the batch axis of what is made for a whole batch has length one.

    What is made for a whole batch is made for batches of several sizes: it must hold the same for every sample.

    Returns:
        None where the call depends on an activation, on chance, or is no ATen operator.

    Raises:
        Refusal: for what depends on the size of the batch, or would fill the memory.
    """
    import torch
    from torch import fx

    target: Any = node.target
    given = [*leaves([walk.resolve(a) for a in [*node.args, *node.kwargs.values()]])]
    if any(isinstance(a, Value) for a in given) or target.namespace not in ("aten", "prims"):
        return _like(walk, node)
    if torch.Tag.nondeterministic_seeded in target.tags:
        return None
    sizes = [a for a in given if isinstance(a, torch.SymInt)]
    if any(not same_size(a, walk.batch) for a in sizes) or any(isinstance(a, torch.SymFloat) for a in given):
        return None
    check_constants(_largest(node))

    def at(argument: Any, k: int) -> Any:
        """An argument for the k-th size of a batch."""
        if isinstance(argument, list | tuple):
            return [at(a, k) for a in argument]
        if isinstance(argument, fx.Node) and argument in walk.by_batch:
            return walk.by_batch[argument][k]
        found = walk.resolve(argument)
        return BATCHES[k] if isinstance(found, torch.SymInt) else found

    depends = bool(sizes) or not walk.by_batch.keys().isdisjoint(node.all_input_nodes)
    with torch.no_grad():
        made = [
            target(*(at(a, k) for a in node.args), **{name: at(a, k) for name, a in node.kwargs.items()})
            for k in range(len(BATCHES) if depends else 1)
        ]
    return _of_batches(walk, node, made) if depends else made[0]


def _of_batches(walk: ImportContext, node: fx.Node, made: list[Any]) -> Any:
    """A constant that was made for batches of all sizes."""
    if not _alike(made):
        if not _one_for_each_sample(made):
            raise Refusal(Cause.BATCH_SIZE, "its constant depends on the size of the batch")
        walk.by_batch[node] = made
    return made[0]


def _like(walk: ImportContext, node: fx.Node) -> Any:
    """What is full of one number and has nothing but its shape from an activation; None of all else."""
    import torch

    base, example = base_name(node), node.meta.get("val")
    kind = base.removesuffix("_like").removeprefix("new_")
    if base == kind or kind not in (*FILLED, "full") or not isinstance(example, torch.Tensor):
        return None
    fill = FILLED[kind] if kind in FILLED else walk.resolve(node.args[2 if base == "new_full" else 1])
    lengths: list[Any] = list(example.shape)
    odd = [n for n in lengths if isinstance(n, torch.SymInt) and not same_size(n, walk.batch)]
    if odd or not isinstance(fill, int | float):
        return None
    check_constants(_largest(node))
    shapes = [[size if isinstance(n, torch.SymInt) else n for n in lengths] for size in BATCHES]
    return _of_batches(walk, node, [torch.full(shape, fill, dtype=example.dtype) for shape in shapes])


def _largest(node: fx.Node) -> int:
    """How many numbers the largest result of a call has, by the shapes that tracing found."""
    examples = node.meta.get("val")
    shapes = [getattr(e, "shape", ()) for e in (examples if isinstance(examples, list | tuple) else [examples])]
    return max((prod(n for n in shape if isinstance(n, int)) for shape in shapes), default=0)


def _alike(made: list[Any]) -> bool:
    """Whether batches of all sizes have the same constant."""
    import torch

    return all(isinstance(m, torch.Tensor) and torch.equal(m, made[0]) for m in made)


def _one_for_each_sample(made: list[Any]) -> bool:
    """Whether a constant repeats, along a first axis as long as the batch, what is the same for all samples."""
    import torch

    if not all(isinstance(m, torch.Tensor) and m.ndim and len(m) == n for m, n in zip(made, BATCHES, strict=True)):
        return False
    return all(m.shape[1:] == made[0].shape[1:] and torch.equal(m, made[0].expand(m.shape)) for m in made)
