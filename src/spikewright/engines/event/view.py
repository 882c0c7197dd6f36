"""What a node without neurons passes on: for each of its values, which neurons it is a sum of.

Flattening, cropping, concatenating, upsampling and pooling only choose, repeat and add up values. As long as nothing
else happens no work is done for them while time runs: the operator that reads them is told where each neuron's spikes
stand in its grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Node, Shape
from spikewright.nodes import (
    AvgPool,
    ChannelAffine,
    Concat,
    Flatten,
    GlobalAvgPool,
    Identity,
    Pad,
    Permute,
    Reshape,
    SumPool,
    Upsample,
)


@dataclass(frozen=True, eq=False)
class View:
    """Sums of neurons, in the shape of a node.

    Attributes:
        neurons: ``(*shape, K)``: the neurons of each value by their number in the plan, -1 for none.
        factors: ``(*shape, K)``: what each is multiplied by.
        mixed: whether a value may hold, beside its neurons, something that is the same at every step.
    """

    neurons: NDArray[np.int64]
    factors: NDArray[np.float32]
    mixed: bool = False

    @property
    def shape(self) -> Shape:
        return self.neurons.shape[:-1]

    @property
    def plain(self) -> bool:
        """Whether each value is one neuron as it is and nothing else, or no neuron."""
        single = not self.mixed and self.neurons.shape[-1] == 1
        return single and bool((self.factors == 1)[self.neurons >= 0].all())

    def moved(self, how: Callable[[NDArray[Any]], NDArray[Any]]) -> View:
        """Both arrays moved in the same way; ``how`` sees arrays with one axis more than the shape."""
        return View(how(self.neurons), how(self.factors), self.mixed)

    def without_empty(self) -> View:
        """The columns that hold no neuron at all taken out."""
        filled = np.unique(np.nonzero(self.neurons >= 0)[-1])
        kept = filled if len(filled) else np.zeros(1, np.int64)
        return View(self.neurons[..., kept], self.factors[..., kept], self.mixed)


def nothing(shape: Shape) -> View:
    """Values that no neuron changes."""
    return View(np.full((*shape, 1), -1, np.int64), np.ones((*shape, 1), np.float32))


def channels_last(values: NDArray[Any]) -> NDArray[Any]:
    """An array in the shape of a node put in the engine's order, flat."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(-1)


def all_neurons(shape: Shape, first: int) -> View:
    """The neurons of one layer of the plan, which lie channels last there and are numbered from ``first``."""
    last = np.arange(first, first + prod(shape), dtype=np.int64).reshape(*shape[1:], shape[0])
    neurons = np.moveaxis(last, -1, 0)[..., None]
    return View(neurons, np.ones(neurons.shape, np.float32))


def view_of(node: Node, given: list[View], shape: Shape) -> View | None:
    """What a node of this kind makes of views, or None if it is not among those that only choose and add up."""
    rule = _RULES.get(type(node))
    return None if rule is None else rule(node, given, shape)


def _same(node: Identity, given: list[View], shape: Shape) -> View:
    return given[0]


def _reshape(node: Flatten | Reshape, given: list[View], shape: Shape) -> View:
    return given[0].moved(lambda a: a.reshape(*shape, a.shape[-1]))


def _permute(node: Permute, given: list[View], shape: Shape) -> View:
    return given[0].moved(lambda a: a.transpose(*node.axes, a.ndim - 1))


def _pad(node: Pad, given: list[View], shape: Shape) -> View:
    return padded(given[0], node.padding)


def padded(view: View, padding: Sequence[tuple[int, int]]) -> View:
    """No neurons before and after along each axis; a negative number crops."""
    crop = tuple(slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(view.shape, padding, strict=True))
    return _with_none(view.moved(lambda a: a[crop]), [*((max(low, 0), max(high, 0)) for low, high in padding), (0, 0)])


def _concat(node: Concat, given: list[View], shape: Shape) -> View:
    most = max(view.neurons.shape[-1] for view in given)
    wide = [_widened(view, most) for view in given]
    neurons, factors = (np.concatenate([getattr(v, a) for v in wide], axis=node.axis) for a in ("neurons", "factors"))
    return View(neurons, factors, any(view.mixed for view in given))


def _widened(view: View, width: int) -> View:
    extra = [(0, 0)] * len(view.shape) + [(0, width - view.neurons.shape[-1])]
    return _with_none(view, extra)


def _with_none(view: View, width: list[tuple[int, int]]) -> View:
    neurons = np.pad(view.neurons, width, constant_values=-1)
    return View(neurons, np.pad(view.factors, width, constant_values=1), view.mixed)


def _upsample(node: Upsample, given: list[View], shape: Shape) -> View:
    def repeated(values: NDArray[Any]) -> NDArray[Any]:
        for axis, factor in enumerate(node.factor, start=1):
            values = values.repeat(factor, axis=axis)
        return values

    return given[0].moved(repeated)


def _affine(node: ChannelAffine, given: list[View], shape: Shape) -> View:
    scale = node.scale if node.scale.shape == shape else node.scale.reshape(-1, *(1 for _ in shape[1:]))
    factors = given[0].factors * np.broadcast_to(scale, shape)[..., None]
    return View(given[0].neurons, factors, given[0].mixed or bool(node.bias.any()))


def _sum_pool(node: SumPool, given: list[View], shape: Shape) -> View:
    return _windows(node, given[0], shape)


def _avg_pool(node: AvgPool, given: list[View], shape: Shape) -> View:
    summed = _windows(node, given[0], shape)
    share = (1 / node.divisors(given[0].shape[1:])).astype(np.float32)
    return View(summed.neurons, summed.factors * share[..., None], summed.mixed)


def _windows(node: SumPool, view: View, shape: Shape) -> View:
    wide = padded(view, ((0, 0), *node.reach))
    axes = tuple(range(1, len(shape)))

    def summed(values: NDArray[Any]) -> NDArray[Any]:
        windows = np.lib.stride_tricks.sliding_window_view(values, node.kernel, axes)
        strided = windows[(slice(None), *(slice(None, None, s) for s in node.stride))]
        return strided[tuple(slice(n) for n in shape)].reshape(*shape, -1)

    joined = wide.moved(summed).without_empty()
    return View(joined.neurons, joined.factors, view.mixed or prod(node.kernel) > 1)


def _global_pool(node: GlobalAvgPool, given: list[View], shape: Shape) -> View:
    count = np.float32(1 / prod(given[0].shape[1:]))
    pooled = given[0].moved(lambda a: a.reshape(*shape, -1))
    return View(pooled.neurons, pooled.factors * count, mixed=True)


_RULES: Mapping[type[Node], Callable[[Any, list[View], Shape], View]] = {
    AvgPool: _avg_pool,
    ChannelAffine: _affine,
    Concat: _concat,
    Flatten: _reshape,
    GlobalAvgPool: _global_pool,
    Identity: _same,
    Pad: _pad,
    Permute: _permute,
    Reshape: _reshape,
    SumPool: _sum_pool,
    Upsample: _upsample,
}
