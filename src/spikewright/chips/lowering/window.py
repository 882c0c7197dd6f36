"""A linear operator as one window that slides over a map, and how two of them in a row are one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.lowering.refusal import Refused
from spikewright.graph import Shape

Map = tuple[int, int, int]


@dataclass(frozen=True)
class Axis:
    """One direction of a window: output o sees the inputs ``o·stride − low + k`` for every k below ``kernel``.

    Attributes:
        inputs, outputs: how many positions there are.
        kernel, stride: of the window.
        low: zeros before the first position; less than 0 where the first positions are never seen.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    low: int = 0

    @property
    def whole(self) -> bool:
        """Whether there is one output, and its window is just all inputs."""
        return (self.outputs, self.low, self.kernel) == (1, 0, self.inputs)

    def behind(self, inner: Axis) -> Axis | None:
        """Both as one, where ``inner`` comes first; None where a border in between would be seen otherwise.

        Beyond the map in between there are zeros, and so one window sees the same only if no window of ``inner`` that
        stands there reaches an input.
        """
        seen = np.arange(self.outputs)[:, None] * self.stride - self.low + np.arange(self.kernel)[None, :]
        beyond = np.unique(seen[(seen < 0) | (seen >= inner.outputs)])
        reached = beyond[:, None] * inner.stride - inner.low + np.arange(inner.kernel)[None, :]
        if ((reached >= 0) & (reached < inner.inputs)).any():
            return None
        return Axis(
            inner.inputs,
            self.outputs,
            (self.kernel - 1) * inner.stride + inner.kernel,
            self.stride * inner.stride,
            self.low * inner.stride + inner.low,
        )


@dataclass(frozen=True, eq=False)
class Window:
    """A convolution, without bias, in float64.

    Attributes:
        kernel: ``(out, in, rows, columns)``; ``(out, 1, rows, columns)`` of one that keeps channels apart.
        rows, columns: the two directions.
        channelwise: whether channels are kept apart.
    """

    kernel: NDArray[np.float64]
    rows: Axis
    columns: Axis
    channelwise: bool = False

    @cached_property
    def reads(self) -> Map:
        """The shape of the map that it reads."""
        channels = len(self.kernel) if self.channelwise else self.kernel.shape[1]
        return channels, self.rows.inputs, self.columns.inputs

    @property
    def dense(self) -> NDArray[np.float64]:
        """The kernel with all channels, ``(out, in, rows, columns)``."""
        if not self.channelwise:
            return self.kernel
        full = np.zeros((len(self.kernel), *self.kernel.shape))[:, :, 0]
        full[np.arange(len(full)), np.arange(len(full))] = self.kernel[:, 0]
        return full

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """``(out, values read)`` where one window sees all of the map; else None."""
        if not (self.rows.whole and self.columns.whole):
            return None
        if self.channelwise and len(self.kernel) * prod(self.reads) > LARGEST:
            raise Refused("it flattens a map before the neurons", "put the neurons before it")
        return self.dense.reshape(len(self.kernel), -1)

    def behind(self, inner: Window) -> Window:
        """Both as one, where ``inner`` comes first.

        Raises:
            Refused: where a border in between would be seen otherwise.
        """
        rows, columns = self.rows.behind(inner.rows), self.columns.behind(inner.columns)
        if rows is None or columns is None:
            raise Refused(
                "two layers follow each other without neurons between them, and the second pads",
                "put neurons between them, or leave the padding of the second away",
            )
        apart = self.channelwise and inner.channelwise
        made = np.zeros((len(self.kernel), 1 if apart else inner.reads[0], rows.kernel, columns.kernel))
        for y in range(self.kernel.shape[2]):
            for x in range(self.kernel.shape[3]):
                top, left = y * inner.rows.stride, x * inner.columns.stride
                place = np.s_[:, :, top : top + inner.kernel.shape[2], left : left + inner.kernel.shape[3]]
                made[place] += _product(self.kernel[:, :, y, x], self.channelwise, inner)
        return Window(made, rows, columns, apart)

    def times(self, factor: NDArray[np.float64] | float) -> Window:
        """The same with every output times a factor of its own, or one for all."""
        return replace(self, kernel=self.kernel * np.reshape(factor, (-1, 1, 1, 1)))


LARGEST = 2**26
"""The most numbers of a matrix that is made of what only moves values."""


def _product(tap: NDArray[np.float64], apart: bool, inner: Window) -> NDArray[np.float64]:
    """What one tap makes of a kernel that stands before it."""
    if apart:
        return np.asarray(tap[:, :, None, None] * inner.kernel)
    if inner.channelwise:
        return np.asarray(tap[:, :, None, None] * inner.kernel[None, :, 0])
    return np.tensordot(tap, inner.kernel, axes=(1, 0))


def map_of(shape: Shape) -> Map:
    """A shape as channels, rows and columns: values in a row are channels, those along one axis are columns.

    Raises:
        Refused: for more axes.
    """
    if len(shape) > 3:
        raise Refused("it has three axes beside the channels", "a chip has maps of two: use layers over two axes")
    return (shape[0], *(1,) * (3 - len(shape)), *shape[1:])  # type: ignore[return-value]


def in_place(shape: Shape) -> Window:
    """What does nothing: every value to itself."""
    channels, rows, columns = map_of(shape)
    return Window(np.ones((channels, 1, 1, 1)), Axis(rows, rows), Axis(columns, columns), channelwise=True)


def over_all(matrix: NDArray[np.float64], shape: Shape) -> Window:
    """A matrix ``(out, values)`` as one window over all of a map."""
    channels, rows, columns = map_of(shape)
    kernel = matrix.reshape(len(matrix), channels, rows, columns)
    return Window(kernel, Axis(rows, 1, rows), Axis(columns, 1, columns))
