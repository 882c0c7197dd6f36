"""What connects the inputs of one linear operator to its outputs: said by each node type, read where synapses are.

Along every axis an output position sees a few input positions, each through one tap of the kernel; across the axes
these multiply, and so do the channels. That is true of convolutions, their transposes, pools and dense layers alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]
Taps = NDArray[np.int64]
"""``(outputs, taps)`` of one axis: the input position behind each tap, −1 where there is none."""


@dataclass(frozen=True, eq=False)
class Connections:
    """Every pair of an input and an output that one linear operator connects, and with which weight.

    Output ``(g·O + f, o₁, o₂, …)`` and input ``(g·I + c, taps₁[o₁, k₁], …)`` are connected for every group g, channel
    c, filter f and tap k whose input position is not −1, with the weight::

        kernel[g, f, c, k₁, k₂, …] · factors₁[o₁] · factors₂[o₂] · … · gain[g·O + f, o₁, o₂, …]

    Where two operators were made one (see ``folding``), a tap stands for several entries of the kernel, and
    ``kernel[…, k₁, …]`` above is ``Σ mixes₁[o₁, k₁, j₁] · … · kernel[…, j₁, …]`` over all j.

    Attributes:
        inputs, outputs: shapes, channels first.
        axes: taps of every spatial axis.
        groups: channel groups.
        kernel: ``(groups, outputs / groups, inputs / groups, *taps)``; None where every weight is one.
        factors: of every axis ``(outputs,)``, or None: the mean of a window.
        gain: of the shape of the outputs, or None: a factor for each neuron.
        mixes: of every axis ``(outputs, taps, entries of the kernel)``, or None.
    """

    inputs: Shape
    outputs: Shape
    axes: tuple[Taps, ...] = ()
    groups: int = 1
    kernel: Array | None = None
    factors: tuple[NDArray[np.float64], ...] | None = None
    gain: Array | None = None
    mixes: tuple[NDArray[np.float64], ...] | None = None

    @property
    def channels(self) -> tuple[int, int]:
        """Input and output channels of one group."""
        return self.inputs[0] // self.groups, self.outputs[0] // self.groups


def one_to_one(shape: Shape, gain: Array | None = None) -> Connections:
    """Each neuron to the neuron in its place."""
    axes = tuple(np.arange(n)[:, None] for n in shape[1:])
    return Connections(shape, shape, axes, groups=shape[0], gain=gain)


def inside(positions: NDArray[Any], length: int) -> Taps:
    """Input positions, with −1 for those that lie outside."""
    return np.where((positions >= 0) & (positions < length), positions, -1).astype(np.int64)


def sliding(length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, outputs: int) -> Taps:
    """The taps of a window that slides: output ``o`` sees ``o·stride − low + k·dilation``."""
    steps = np.arange(kernel)[None, :] * dilation - padding[0]
    return inside(np.arange(outputs)[:, None] * stride + steps, length)
