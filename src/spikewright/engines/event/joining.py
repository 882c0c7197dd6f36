"""Layers of the plan side by side as one, for readers that take one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.engines.event.view import View, all_neurons, channels_last


@dataclass(frozen=True, eq=False)
class Source:
    """The neurons of one layer of the plan: ``size`` of them, numbered from ``first``.

    ``copies`` are, of a layer that joins others, the numbers of theirs that its own stand for, -1 for none.
    """

    layer: int
    first: int
    size: int
    copies: NDArray[np.int64] | None = None


def sources_of(view: View, sources: list[Source]) -> list[Source]:
    """The layers that a view reads."""
    read = np.bincount(view.neurons[view.neurons >= 0])
    return [s for s in sources if read[s.first : s.first + s.size].any()]


def add_source(sources: list[Source], layer: int, size: int, copies: NDArray[np.int64] | None = None) -> Source:
    """The neurons of one more layer, numbered after all others."""
    first = sources[-1].first + sources[-1].size if sources else 0
    sources.append(Source(layer, first, size, copies))
    return sources[-1]


def joined(plan: Any, view: View, sources: list[Source]) -> View:
    """A view of one neuron for each value as a layer of its own, which sends what they send, and the view of that.

    Factors stay with the view; ``sources`` gets the new layer. What one layer sends is copied a chunk of timesteps at a
    time, which costs next to nothing beside the sums that its readers make.
    """
    shape = view.shape
    neurons = channels_last(view.neurons[..., 0])
    read, layers, to = [], [], []
    for source in sources_of(view, sources):
        (places,) = np.nonzero((neurons >= source.first) & (neurons < source.first + source.size))
        layers.append(source.layer)
        read.append((neurons[places] - source.first).astype(np.int32))
        to.append(places.astype(np.int32))
    source = add_source(sources, plan.join(prod(shape[1:]), shape[0], layers, read, to), prod(shape), neurons)
    there = view.neurons >= 0
    return replace(view, neurons=np.where(there, all_neurons(shape, source.first).neurons, -1))
