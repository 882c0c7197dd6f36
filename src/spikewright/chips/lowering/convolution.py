"""A convolution: its groups are written out, and what a dilated kernel skips is filled with zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.window import Axis, Window, map_of
from spikewright.graph import Graph
from spikewright.nodes import Conv

GROUPS, DILATION = "groups of channels written out", "dilated kernel filled with zeros"


def behind_convolution(graph: Graph, node: Conv, branch: Branch) -> tuple[Branch, ...]:
    """The branch, reading what the convolution reads."""
    source = node.inputs[0]
    shapes = map_of(graph.shapes[source])[1:], map_of(graph.shapes[node.name])[1:]
    settings = zip(_two(node.stride, 1), _two(tuple(low for low, _ in node.padding), 0), strict=True)
    kernel = _filled(_written_out(node))
    rows, columns = (
        Axis(inputs, outputs, size, stride, low)
        for inputs, outputs, size, (stride, low) in zip(*shapes, kernel.shape[2:], settings, strict=True)
    )
    done = [GROUPS] * (node.groups > 1) + [DILATION] * any(d > 1 for d in node.dilation)
    return (branch.reading(source, branch.window.behind(Window(kernel, rows, columns)), *done),)


def _two(values: tuple[int, ...], other: int) -> tuple[int, ...]:
    """Settings of a convolution along one axis, or two, as those of rows and columns."""
    return (*(other,) * (2 - len(values)), *values)


def _written_out(node: Conv) -> NDArray[np.float64]:
    """``(out, in, *kernel)`` with zeros between what belongs to different groups; dilated taps apart."""
    outputs, per_group = node.weight.shape[:2]
    reach = tuple(d * (k - 1) + 1 for d, k in zip(node.dilation, node.kernel, strict=True))
    made = np.zeros((outputs, per_group * node.groups, *reach))
    taps = tuple(slice(None, None, d) for d in node.dilation)
    share = outputs // node.groups
    for group in range(node.groups):
        own, heard = (slice(group * n, (group + 1) * n) for n in (share, per_group))
        made[(own, heard, *taps)] = node.weight[own]
    return made


def _filled(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """With an axis of one row where there are only columns."""
    return kernel[:, :, None] if kernel.ndim == 3 else kernel
