"""Weights of 8 bits: the network that ``dtype="int8"`` runs, and how far its weights are from the trained ones.

Of every output channel the weights become whole multiples, from −127 to 127, of one scale: the smallest ``m · 2^e``
with m from 8 to 15 of which 127 are enough for the largest of them. Each is rounded to the nearest multiple, half to
even. A scale of 4 bits times a weight of 8 bits is exact in single precision, and so is a sum of thousands of such
products, so that no order of addition matters. A channel whose weights are such multiples of some scale already keeps
them: rounding twice changes nothing more.

Rounded are the weights of every node that reads what changes with time: behind neurons, or behind an input that an
encoder makes spikes or events of. What a constant input alone reaches is computed once, from values; its weights stay,
and so do biases, thresholds and potentials everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Array, Graph, Node

MOST = 127
"""The largest multiple: 8 bits with a sign, the same above and below zero."""
FACTORS = np.arange(8, 16)
"""The m of scales ``m · 2^e``."""
LEAST = -149
"""The least e: every multiple is a float32 then, one of those without all 24 bits too."""
AT_ONCE = 2**20
"""Weights that are rounded in one go, in double precision."""
FEW = 64
"""So many weights of a channel say of nearly all others that they are no multiples yet."""


@dataclass(frozen=True, eq=False)
class EightBits:
    """A network whose weights are of 8 bits.

    Attributes:
        graph: the network.
        errors: by node whose weights were rounded, how far they are from what they were: the root mean square of the
            differences over that of the weights.
        error: the same of all these nodes together.
    """

    graph: Graph
    errors: Mapping[str, float]
    error: float


_KEPT: WeakKeyDictionary[Graph, dict[bool, EightBits]] = WeakKeyDictionary()


def round_weights(graph: Graph, encoder: Encoder | None = None) -> EightBits:
    """The network that ``dtype="int8"`` runs: made once for a graph, and kept in memory as long as that is there.

    Args:
        graph: a spiking graph.
        encoder: what makes its input of samples; constant values by default. Behind others the first layer reads spikes
            too.

    Raises:
        SettingsError: naming a node with weights that does not say whose they are.
    """
    constant = encoder is None or type(encoder) is Constant
    kept = _KEPT.setdefault(graph, {})
    if constant not in kept:
        kept[constant] = _rounded_graph(graph, constant)
    return kept[constant]


def _rounded_graph(graph: Graph, constant: bool) -> EightBits:
    nodes: dict[str, Node] = {}
    errors: dict[str, float] = {}
    off = whole = 0.0
    for node in _reading_spikes(graph, constant):
        squares = _Squares()
        try:
            nodes[node.name] = node.reweigh(squares)
        except GraphError as error:
            raise SettingsError(f"{error}, so that they cannot be rounded to 8 bits: choose dtype='float32'") from error
        errors[node.name] = squares.error
        off, whole = off + squares.off, whole + squares.whole
    made = graph.with_nodes(nodes.get(node.name, node) for node in graph)  # never the graph, which would keep itself
    return EightBits(made, errors, sqrt(off / whole) if whole else 0.0)


def _reading_spikes(graph: Graph, constant: bool) -> list[Node]:
    """The nodes with weights that read what changes with time: spikes, or what is left of them."""
    changing: set[str] = set()
    for node in graph:
        if node.population or not changing.isdisjoint(node.inputs) or not (node.inputs or constant):
            changing.add(node.name)
    return [node for node in graph if node.weighted and not changing.isdisjoint(node.inputs)]


class _Squares:
    """Rounds weights, and adds up the squares of what they were and of the differences."""

    off = whole = 0.0

    def __call__(self, weights: Array) -> Array:
        made = rounded_weights(weights)
        for before, after in zip(_blocks(weights), _blocks(made), strict=True):
            self.whole += float(np.square(before, dtype=np.float64).sum())
            self.off += float(np.square(after - before, dtype=np.float64).sum())
        return made

    @property
    def error(self) -> float:
        return sqrt(self.off / self.whole) if self.whole else 0.0


def rounded_weights(weights: Array) -> NDArray[np.float32]:
    """Weights of 8 bits.

    Args:
        weights: ``(outputs, ...)``, finite.

    Returns:
        in the same shape, the weights of each output as whole multiples of one scale: ``q · m · 2^e`` with
        −127 ≤ q ≤ 127 and 8 ≤ m ≤ 15.
    """
    made = np.array(weights, np.float32, order="C")
    for block in _blocks(made):
        block[...] = _rounded(block.astype(np.float64))
    return made


def _blocks(weights: Array) -> list[Array]:
    """Views ``(some outputs, weights of each)``."""
    rows = weights.reshape(len(weights), -1)
    few = max(1, AT_ONCE // max(rows.shape[1], 1))
    return [rows[first : first + few] for first in range(0, len(rows), few)]


def _rounded(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of weights, each as multiples of a scale of its own."""
    scales = _scales(np.abs(rows).max(axis=1, initial=0.0))
    found = np.array(rows)
    other = np.flatnonzero(~_are_multiples(rows, scales))
    scale = scales[other].min(axis=1)[:, None]
    made = np.rint(rows[other] / scale) * scale + 0.0  # no zeros with a sign
    too_large = np.abs(made) > np.finfo(np.float32).max  # of the largest floats alone
    found[other] = np.where(too_large, made - np.copysign(scale, made), made)
    return found


def _scales(most: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(rows, 8)``: for every m the smallest ``m · 2^e`` of which 127 are enough for the largest weight."""
    mantissa, exponent = np.frexp(most[:, None] / (MOST * FACTORS))
    exponent = np.where(mantissa == 0.5, exponent - 1, exponent)  # a power of two is enough as it is
    return np.ldexp(FACTORS.astype(np.float64), np.maximum(exponent, LEAST))


def _are_multiples(rows: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(rows,)``: whether all weights are multiples of one of the scales: if of any ``m · 2^e``, then of the smallest
    of that m."""
    found = np.zeros(len(rows), np.bool_)
    for scale in scales.T:
        left = np.flatnonzero(~found)
        for width in (FEW, rows.shape[1]):
            given, unit = rows[left, :width], scale[left, None]
            left = left[(np.rint(given / unit) * unit == given).all(axis=1)]
        found[left] = True
    return found
