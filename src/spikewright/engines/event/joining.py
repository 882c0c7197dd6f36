"""Layers of the plan side by side as one, for readers that take one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.engines.event.view import View, all_neurons
from spikewright.graph import Shape


@dataclass(frozen=True, eq=False)
class Source:
    """The neurons of one layer of the plan: ``size`` of them in so many ``channels``, numbered from ``first``.

    ``copies`` are, of a layer that joins others, the numbers of theirs that its own stand for, -1 for none; of sums one
    of the summed, which nothing asks for.
    """

    layer: int
    first: int
    size: int
    channels: int
    copies: NDArray[np.int64] | None = None


def sources_of(view: View, sources: list[Source]) -> list[Source]:
    """The layers that a view reads."""
    read = np.bincount(view.neurons[view.neurons >= 0])
    return [s for s in sources if read[s.first : s.first + s.size].any()]


def add_source(sources: list[Source], layer: int, shape: Shape, copies: NDArray[np.int64] | None = None) -> Source:
    """The neurons of one more layer of that shape, numbered after all others."""
    first = sources[-1].first + sources[-1].size if sources else 0
    sources.append(Source(layer, first, prod(shape), shape[0], copies))
    return sources[-1]


def joined(plan: Any, view: View, sources: list[Source]) -> View:
    """A view of one neuron for each value as a layer of its own, which sends what they send, and the view of that.

    Factors stay with the view; ``sources`` gets the new layer. What one layer sends is copied a chunk of timesteps at a
    time, which costs next to nothing beside the sums that its readers make.
    """
    shape, neurons = view.shape, _rows(view.neurons)
    layers, read, to, _ = _parts(neurons, sources_of(view, sources))
    layer = plan.join(prod(shape[1:]), shape[0], layers, read, to)
    source = add_source(sources, layer, shape, neurons[:, 0])
    return replace(view, neurons=np.where(view.neurons >= 0, all_neurons(shape, source.first).neurons, -1))


def summed(plan: Any, view: View, sources: list[Source]) -> View:
    """A view of sums as a layer of its own, which sends them, and the view of that; ``sources`` gets the new layer."""
    shape, neurons, factors = view.shape, _rows(view.neurons), _rows(view.factors)
    layers, read, to, at = _parts(neurons, sources_of(view, sources))
    weights = [np.ascontiguousarray(factors[places], np.float32) for places in at]
    layer = plan.join(prod(shape[1:]), shape[0], layers, read, to, weights)
    source = add_source(sources, layer, shape, neurons.max(axis=1))
    made = all_neurons(shape, source.first)
    there = (view.neurons >= 0).any(axis=-1, keepdims=True)
    return replace(made, neurons=np.where(there, made.neurons, -1))


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    """Neurons or factors of a view in the engine's order, ``(values, width)``."""
    return np.moveaxis(values, 0, -2).reshape(-1, values.shape[-1])


def _parts(neurons: NDArray[np.int64], sources: list[Source]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """By source: its layer, which of its neurons stand at which places, ``(values, width)``, and where that is said.

    One column after the other, so that neighbours stay neighbours.
    """
    layers, read, to, at = [], [], [], []
    for source in sources:
        column, place = np.nonzero(((neurons >= source.first) & (neurons < source.first + source.size)).T)
        layers.append(source.layer)
        read.append((neurons[place, column] - source.first).astype(np.int32))
        to.append(place.astype(np.int32))
        at.append((place, column))
    return layers, read, to, at
