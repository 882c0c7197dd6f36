"""What a node without neurons passes on: for each of its values, which neurons it is a sum of.

Flattening, cropping, concatenating, upsampling and pooling only choose, repeat and add up values. As long as nothing
else happens no work is done for them while time runs: the operator that reads them is told where each neuron's spikes
stand in its grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections
from spikewright.graph import Node, Shape

if TYPE_CHECKING:
    from torch import Tensor


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
        """The node's shape, without the axis of summed neurons."""
        return self.neurons.shape[:-1]

    @property
    def plain(self) -> bool:
        """Whether each value is one neuron as it is and nothing else, or no neuron."""
        single = not self.mixed and self.neurons.shape[-1] == 1
        return single and bool((self.factors == 1)[self.neurons >= 0].all())

    def moved(self, how: Callable[[NDArray[Any]], NDArray[Any]]) -> View:
        """Both arrays moved in the same way; ``how`` sees arrays with one axis more than the shape."""
        return View(how(self.neurons), how(self.factors), self.mixed)

    def chosen(self, axis: int, which: NDArray[np.int64]) -> View:
        """Some of what lies along an axis, which becomes as many axes as ``which`` has; nothing where it is below 0."""
        there = (which >= 0).reshape(*which.shape, *(1,) * (self.neurons.ndim - axis - 1))
        at = np.maximum(which, 0)
        neurons, factors = np.take(self.neurons, at, axis), np.take(self.factors, at, axis)
        return View(np.where(there, neurons, -1), np.where(there, factors, np.float32(1)), self.mixed)

    def widened(self, width: int) -> View:
        """Columns without neurons added."""
        extra = [(0, 0)] * len(self.shape) + [(0, width - self.neurons.shape[-1])]
        neurons = np.pad(self.neurons, extra, constant_values=-1)
        return View(neurons, np.pad(self.factors, extra, constant_values=1), self.mixed)

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


def with_channels_last(values: Tensor, lead: int = 1) -> Tensor:
    """A tensor with ``lead`` axes before the sample's own, of which the first has moved behind the others."""
    return values.movedim(lead, -1) if values.ndim > lead else values


def channels_last_rows(values: Tensor, lead: int = 1) -> NDArray[np.float32]:
    """A tensor with ``lead`` axes before the sample's own, with its values in the engine's order, flat."""
    array: NDArray[np.float32] = with_channels_last(values, lead).contiguous().float().numpy()
    return array.reshape(*array.shape[:lead], -1)


def all_neurons(shape: Shape, first: int) -> View:
    """The neurons of one layer of the plan, which lie channels last there and are numbered from ``first``."""
    last = np.arange(first, first + prod(shape), dtype=np.int64).reshape(*shape[1:], shape[0])
    neurons = np.moveaxis(last, -1, 0)[..., None]
    return View(neurons, np.ones(neurons.shape, np.float32))


def view_of(node: Node, given: list[View]) -> View | None:
    """What a node makes of views, or None if it does more than choose, repeat and add up values."""
    shapes = [view.shape for view in given]
    table = node.moving(*shapes)
    if table is not None:
        return _moved(given, table)
    made = node.connections(*shapes)
    return _summed(given[0], made) if made is not None and made.channelwise else None


def _moved(given: list[View], table: NDArray[np.int64]) -> View:
    width = max(view.neurons.shape[-1] for view in given)
    rows = [view.widened(width).moved(lambda a: a.reshape(-1, width)) for view in given]
    neurons, factors = (np.concatenate([getattr(row, label) for row in rows]) for label in ("neurons", "factors"))
    from_all = View(neurons, factors, any(view.mixed for view in given))
    return from_all.chosen(0, table)


def _summed(view: View, made: Connections) -> View:
    """For each output the sum of what lies behind its taps, times the window's share and the output's gain.

    What has a gain may have a bias too: something that is the same at every step.
    """
    behind = behind_taps(view, made)
    share = np.ones((), np.float64)
    for factor in made.factors or ():
        share = share[..., None] * factor
    gain = share.astype(np.float32) if made.gain is None else share * made.gain
    several = any(taps.shape[1] > 1 for taps in made.axes)
    mixed = view.mixed or several or made.gain is not None
    return View(behind.neurons, (behind.factors * gain[..., None]).astype(np.float32), mixed).without_empty()


def behind_taps(view: View, made: Connections) -> View:
    """All that lies behind the taps of each output, one after the other: of operators that mix no channels."""
    for axis, taps in enumerate(made.axes):
        view = view.chosen(1 + 2 * axis, taps)
    axes = len(made.axes)
    outputs, taps_last = (tuple(first + 2 * axis for axis in range(axes)) for first in (1, 2))
    return view.moved(lambda a: a.transpose(0, *outputs, *taps_last, 1 + 2 * axes).reshape(*made.outputs, -1))
