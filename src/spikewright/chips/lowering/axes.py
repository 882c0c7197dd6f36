"""Fixed weights along each axis: interpolation, smoothing, parts at regular distances; and any operator as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import LARGEST, Axis, Window, over_all
from spikewright.graph import Graph, Node
from spikewright.nodes import AdaptiveAvgPool, Resample

ALONG_AXES, AS_MATRIX = "weights along axes written into the kernel", "operator written into the dense layer behind it"
Matrix = NDArray[np.float64]


def behind_resample(graph: Graph, node: Resample | AdaptiveAvgPool, branch: Branch) -> tuple[Branch, ...]:
    """The branch, reading what is resampled.

    Raises:
        Refused: where neighbours are weighted otherwise from place to place, and no dense layer follows.
    """
    source = node.inputs[0]
    channels, *spatial = graph.shapes[source]
    along = node.matrices if isinstance(node, Resample) else list(map(_means, graph.shapes[node.name][1:], spatial))
    window = sliding(channels, spatial, along) if len(spatial) <= 2 else None
    if window is not None:
        return (branch.reading(source, branch.window.behind(window), ALONG_AXES),)
    return behind_matrix(
        graph,
        node,
        branch,
        "it weights neighbours otherwise from place to place, and a kernel is the same everywhere",
        "let a dense layer follow it, or use a convolution with a stride",
    )


def behind_matrix(graph: Graph, node: Node, branch: Branch, what: str, advice: str) -> tuple[Branch, ...]:
    """The branch of a linear operator with one input, which one window over all of a map takes into its weights.

    Raises:
        Refused: where no such window follows, for what the operator does.
    """
    import torch

    matrix = branch.window.matrix if branch.pool == 1 else None
    source, after = graph.shapes[node.inputs[0]], graph.shapes[node.name]
    if matrix is None or len(matrix) * (prod(source) + prod(after)) > LARGEST:
        raise Refused(what, advice)
    forward = node.bind(lambda array: torch.tensor(array, dtype=torch.float64))
    with torch.enable_grad():
        x = torch.zeros(len(matrix), *source, dtype=torch.float64, requires_grad=True)
        sums = (forward(x) * torch.from_numpy(matrix).reshape(len(matrix), *after)).sum()
        (found,) = torch.autograd.grad(sums, x)  # of a linear operator: the weights of the two as one
    return (branch.reading(node.inputs[0], over_all(found.flatten(1).numpy(), source), AS_MATRIX),)


def sliding(channels: int, spatial: Sequence[int], matrices: Sequence[NDArray[np.floating] | None]) -> Window | None:
    """Matrices along up to two spatial axes as one window; None where it is not the same from place to place.

    Args:
        channels: of the map that is read.
        spatial: its sizes.
        matrices: ``(outputs, inputs)`` for each axis, None for one that stays as it is.
    """
    found: list[tuple[Matrix, Axis]] = [(np.ones(1), Axis(1, 1))] * (2 - len(spatial))
    for n, matrix in zip(spatial, matrices, strict=True):
        one = _taps(np.eye(n) if matrix is None else np.asarray(matrix, np.float64))
        if one is None:
            return None
        found.append(one)
    (down, rows), (across, columns) = found
    kernel = np.broadcast_to(np.outer(down, across), (channels, 1, len(down), len(across)))
    return Window(kernel, rows, columns, channelwise=True)


def _means(outputs: int, inputs: int) -> Matrix:
    """Windows of an adaptive pool: from ``floor(o·n/m)`` to ``ceil((o + 1)·n/m)``."""
    made = np.zeros((outputs, inputs))
    for o in range(outputs):
        first, last = o * inputs // outputs, -(-(o + 1) * inputs // outputs)
        made[o, first:last] = 1 / (last - first)
    return made


def _taps(matrix: Matrix) -> tuple[Matrix, Axis] | None:
    """The weights that slide along an axis, with how they do: ``m[o, i] = k[i − o·stride]`` wherever both are."""
    outputs, inputs = matrix.shape
    for stride in range(1, -(-inputs // outputs) + 2):
        offsets = np.arange(inputs)[None, :] - np.arange(outputs)[:, None] * stride
        first = int(offsets.min())
        taps = np.zeros(int(offsets.max()) - first + 1)
        taps[offsets - first] = matrix  # any of those that should be alike
        used = np.flatnonzero(taps)
        if used.size and np.array_equal(taps[offsets - first], matrix):
            low, high = int(used[0]), int(used[-1])
            return taps[low : high + 1], Axis(inputs, outputs, high - low + 1, stride, -(first + low))
    return None
