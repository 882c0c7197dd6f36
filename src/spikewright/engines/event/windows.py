"""Which connections are a window that slides: read off the connections themselves, whatever node says them.

A convolution reads ``o·stride − low + k·dilation`` at output ``o`` and tap ``k``. A transposed one does too, over a
grid in which as many places without a neuron stand between the inputs as its stride skips, with the kernel the other
way round. Such operators have fast forms in the native core; all others are listed connection by connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Array, Connections, Taps

LONGEST = 1 << 23
"""No axis of the native core is longer, nor reaches further."""


@dataclass(frozen=True)
class Window:
    """How a window slides along one axis: it reads ``o·stride − low + k·dilation`` of a grid wider than the inputs.

    Attributes:
        stride, low, dilation: of it; stride and dilation are positive.
        spread: the input at position ``p`` stands at ``p·spread`` of the grid; in between is nothing.
        inputs_reversed, kernel_reversed: whether the inputs, and the kernel, lie the other way round first.
    """

    stride: int
    low: int
    dilation: int
    spread: int = 1
    inputs_reversed: bool = False
    kernel_reversed: bool = False


def slides(made: Connections) -> tuple[Window, ...] | None:
    """The window of every axis; None where the connections have weights besides a kernel's, or slide along no grid."""
    if made.kernel is None or made.gain is not None or made.factors is not None or made.mixes is not None:
        return None
    if not 1 <= len(made.axes) <= 3:
        return None
    found = [window_of(taps, n) for taps, n in zip(made.axes, made.inputs[1:], strict=True)]
    known = [window for window in found if window is not None]
    return tuple(known) if len(known) == len(found) else None


def window_of(taps: Taps, length: int) -> Window | None:
    """The window that has the given taps over inputs of a length; None where there is none."""
    return _window_of(taps.astype(np.int64).tobytes(), taps.shape, length)


@lru_cache(maxsize=256)
def _window_of(flat: bytes, shape: tuple[int, int], length: int) -> Window | None:
    """The same, remembered: layers of one size have the same taps."""
    taps = np.frombuffer(flat, np.int64).reshape(shape)
    line = _line(taps, length)
    if line is None:
        return None
    spread, stride, dilation, first = line
    inputs_reversed, kernel_reversed = stride < 0, False
    if inputs_reversed:
        stride, dilation, first = -stride, -dilation, spread * (length - 1) - first
    if dilation < 0:
        kernel_reversed, first, dilation = True, first + dilation * (taps.shape[1] - 1), -dilation
    reach = stride * len(taps) + dilation * taps.shape[1] + abs(first) + spread * length
    if reach >= LONGEST:
        return None
    return Window(stride, -first, dilation, spread, inputs_reversed, kernel_reversed)


def _line(taps: Taps, length: int) -> tuple[int, int, int, int] | None:
    """Whole numbers with ``spread·taps[o, k] = stride·o + dilation·k + first``, wherever that is an input."""
    outputs, kernel = np.nonzero(taps >= 0)
    if not len(outputs):
        return None
    o, k, t = (int(values[0]) for values in (outputs, kernel, taps[outputs, kernel]))
    for slope in _slopes(taps, outputs, kernel):
        across = _across(taps, outputs, kernel, slope)
        spread = lcm(slope.denominator, across.denominator)
        stride, dilation = int(slope * spread), int(across * spread)
        first = spread * t - stride * o - dilation * k
        if stride and dilation and np.array_equal(_taps(taps.shape, length, spread, stride, dilation, first), taps):
            return spread, stride, dilation, first
    return None


def _slopes(taps: Taps, outputs: NDArray[np.int64], kernel: NDArray[np.int64]) -> list[Fraction]:
    """By how many inputs a tap moves from one output to the next: as two outputs of one tap say it, else a guess."""
    for tap in np.unique(kernel).tolist():
        seen = outputs[kernel == tap]
        if len(seen) > 1:
            first, second = (int(o) for o in seen[:2])
            return [Fraction(int(taps[second, tap] - taps[first, tap]), second - first)]
    return [Fraction(1), Fraction(int(taps.shape[1])), Fraction(1, int(taps.shape[1]))]


def _across(taps: Taps, outputs: NDArray[np.int64], kernel: NDArray[np.int64], slope: Fraction) -> Fraction:
    """By how many inputs an output moves from one tap to the next."""
    other = np.flatnonzero(kernel != kernel[0])
    if not len(other):
        return Fraction(1)
    a, b = 0, int(other[0])
    moved = int(taps[outputs[b], kernel[b]] - taps[outputs[a], kernel[a]])
    return (moved - slope * int(outputs[b] - outputs[a])) / int(kernel[b] - kernel[a])


def _taps(shape: tuple[int, ...], length: int, spread: int, stride: int, dilation: int, first: int) -> Array:
    at, between = np.divmod(stride * np.arange(shape[0])[:, None] + dilation * np.arange(shape[1]) + first, spread)
    return np.where((between == 0) & (at >= 0) & (at < length), at, -1)
