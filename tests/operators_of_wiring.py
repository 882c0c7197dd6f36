"""Random connections of every sort, and what they are by their definition: a matrix, added up entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from spikewright.connections import Connections, Taps, inside, sliding
from spikewright.graph import Node, Shape


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, Taps]:
    """The length of an axis, and taps: of a convolution, of a transposed one, the other way round, or of no kind."""
    n, k, stride, dilation = (draw(st.integers(1, most)) for most in (5, 3, 3, 2))
    low, outputs = draw(st.integers(-1, 3)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["sliding", "transposed", "reversed", "any"]))
    if kind == "sliding":
        return n, sliding(n, k, stride, (low, 0), dilation, outputs)
    if kind == "reversed":
        return n, sliding(n, k, stride, (low, 0), dilation, outputs)[::-1].copy()
    if kind == "transposed":
        ahead = np.arange(outputs)[:, None] + low - np.arange(k)[None, :] * dilation
        position, between = np.divmod(ahead, stride)
        return n, inside(np.where(between == 0, position, -1), n)
    return n, np.array(draw(st.lists(st.integers(-1, n - 1), min_size=outputs * k, max_size=outputs * k))).reshape(
        -1, k
    )


@st.composite
def connections(draw: st.DrawFn) -> Connections:
    """Of up to three axes, in groups or not, with or without a kernel, shares of windows and a gain."""
    along = draw(st.lists(axes(), max_size=3))
    groups, inputs, filters = (draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))

    def coarse(*shape: int) -> np.ndarray:
        return (random.integers(-4, 5, shape) / 4).astype(np.float32)

    taps = tuple(t for _, t in along)
    outputs = (groups * filters, *(len(t) for t in taps))
    kernel = coarse(groups, filters, inputs, *(t.shape[1] for t in taps)) if draw(st.booleans()) else None
    factors = tuple(2.0 ** -random.integers(0, 2, len(t)) for t in taps) if draw(st.booleans()) else None
    gain = coarse(*outputs) if draw(st.booleans()) else None
    return Connections((groups * inputs, *(n for n, _ in along)), outputs, taps, groups, kernel, factors, gain)


def matrices(made: Connections) -> tuple[np.ndarray, np.ndarray]:
    """``(outputs, inputs)``, flat: the sum of the weights of each pair, and how many connections join it."""
    weights, counts = (np.zeros((*made.outputs, *made.inputs)) for _ in range(2))
    inputs, filters = made.channels
    positions = product(*(range(len(taps)) for taps in made.axes))
    for at, g, f, c in product(positions, range(made.groups), range(filters), range(inputs)):
        for tap in product(*(range(taps.shape[1]) for taps in made.axes)):
            source = tuple(int(taps[o, k]) for taps, o, k in zip(made.axes, at, tap, strict=True))
            if min(source, default=0) < 0:
                continue
            weight = 1.0 if made.kernel is None else float(made.kernel[(g, f, c, *tap)])
            for factor, o in zip(made.factors or (), at, strict=False):
                weight *= float(factor[o])
            output = (g * filters + f, *at)
            weight *= 1.0 if made.gain is None else float(made.gain[output])
            weights[(*output, g * inputs + c, *source)] += weight
            counts[(*output, g * inputs + c, *source)] += 1
    whole = (int(np.prod(made.outputs)), int(np.prod(made.inputs)))
    return weights.reshape(whole), counts.reshape(whole)


def node_of(made: Connections, name: str, source: str) -> Node:
    """A node from elsewhere that says these connections, and computes what they are."""
    import torch

    class Drawn(Node):
        weighted = True

        def infer_shape(self, *_: Shape) -> Shape:
            return made.outputs

        def bind(self, to_tensor: Any) -> Callable[..., torch.Tensor]:
            matrix = to_tensor(matrices(made)[0])
            return lambda x: (x.flatten(1) @ matrix.T).reshape(len(x), *made.outputs)

        def connections(self, *_: Shape) -> Connections:
            return made

    return Drawn(name=name, inputs=(source,))
