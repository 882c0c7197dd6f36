"""Square kernels: one side, one stride and the same zeros on both sides for all that a core adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import Axis, Window
from spikewright.chips.network import Pair

SQUARE = "kernel padded to a square with zeros"
BEYOND = 64
"""The largest kernel and padding that are looked for, so that what exceeds a chip's limits can be said."""


class Grid:
    """What all windows of one core have in common: the side of the kernel, strides, paddings.

    Args:
        windows: of the branches that meet.
        chip: whose limits are kept where they can be.

    Raises:
        Refused: where the windows have none in common.
    """

    def __init__(self, windows: Sequence[Window], chip: Speck) -> None:
        rows, columns = [w.rows for w in windows], [w.columns for w in windows]
        for axes in (rows, columns):
            if len({axis.inputs for axis in axes}) > 1 or len({a.stride for a in axes if a.outputs > 1}) > 1:
                seen = " and ".join(dict.fromkeys(f"{w.reads[1]}x{w.reads[2]}" for w in windows))
                raise Refused(
                    f"what it adds up arrives in different maps or strides ({seen})",
                    "a core has one map and one stride: give the shortcut neurons of its own, a ReLU behind its layer",
                )
        for kernel, most in ((chip.kernel_max, chip.padding_max), (BEYOND, BEYOND)):
            for side in range(1, kernel + 1):
                found = [next(_fitting(axes, side, most, chip.strides), None) for axes in (rows, columns)]
                if found[0] is not None and found[1] is not None:
                    self.side = side
                    self.padding: Pair = (found[0][0], found[1][0])
                    self.stride: Pair = (found[0][1], found[1][1])
                    return
        raise Refused(
            "no square kernel with as many zeros on both sides sees the same",
            "pad both sides alike, and use smaller kernels",
        )

    def placed(self, window: Window) -> NDArray[np.float64]:
        """``(out, in, side, side)``: the kernel of a window among zeros."""
        kernel = window.dense
        top, left = self.padding[0] - window.rows.low, self.padding[1] - window.columns.low
        made = np.zeros((*kernel.shape[:2], self.side, self.side))
        made[:, :, top : top + kernel.shape[2], left : left + kernel.shape[3]] = kernel
        return made


def _fitting(axes: Sequence[Axis], side: int, most: int, strides: Sequence[int]) -> Iterator[Pair]:
    """Every padding and stride of one direction with which a kernel of this side holds all windows."""
    inputs, outputs = axes[0].inputs, axes[0].outputs
    wanted = [axis.stride for axis in axes if axis.outputs > 1][:1] or strides
    for padding in range(max(0, *(axis.low for axis in axes)), most + 1):
        if all(padding - axis.low + axis.kernel <= side for axis in axes):
            for stride in wanted:
                if inputs + 2 * padding >= side and (inputs + 2 * padding - side) // stride + 1 == outputs:
                    yield padding, stride
