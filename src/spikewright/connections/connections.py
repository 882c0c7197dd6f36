"""What connects the inputs of one linear operator to its outputs: said by each node type, read wherever wires matter.

Along every axis an output position sees a few input positions, each through one tap of the kernel; across the axes
these multiply, and so do the channels. That is true of convolutions, their transposes, pools and dense layers alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.text import brief

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

    __repr__ = brief

    @property
    def channels(self) -> tuple[int, int]:
        """Input and output channels of one group."""
        return self.inputs[0] // self.groups, self.outputs[0] // self.groups

    @property
    def pools(self) -> bool:
        """Whether it adds up each channel by itself, with no weights but the share of a window."""
        return self.gain is None and self.channelwise

    @property
    def channelwise(self) -> bool:
        """Whether it adds up each channel by itself, with no weights but the share of a window and the gain."""
        plain = self.kernel is None and self.mixes is None
        return plain and self.groups == self.inputs[0] == self.outputs[0]

    @property
    def pairs(self) -> tuple[NDArray[np.int64], ...]:
        """How many taps each output sees each input through, for every axis ``(outputs, inputs)``."""
        return tuple(pairs_of(taps, n) for taps, n in zip(self.axes, self.inputs[1:], strict=True))

    def fan_out(self) -> NDArray[np.int64]:
        """How many connections leave each input, in the shape of the inputs; borders are exact."""
        found = np.asarray(self.channels[1], np.int64)
        for taps, n in zip(self.axes, self.inputs[1:], strict=True):
            found = found[..., None] * np.bincount(taps[taps >= 0], minlength=n)
        return np.broadcast_to(found, self.inputs)

    def arriving(self, counts: Array) -> NDArray[np.float64]:
        """What arrives at each output when each input sends so much over every connection, whatever its weight."""
        per_group, filters = self.channels
        sent = np.asarray(counts, np.float64).reshape(self.groups, per_group, *self.inputs[1:]).sum(axis=1)
        for axis, pairs in enumerate(self.pairs, start=1):
            sent = np.moveaxis(np.tensordot(sent, pairs.astype(np.float64), axes=(axis, 1)), -1, axis)
        return np.repeat(sent, filters, axis=0)

    def entries(self, axis: int) -> NDArray[np.float64]:
        """``(outputs, taps, entries of the kernel)`` of an axis: what of the weight behind each tap depends on it."""
        taps = self.axes[axis]
        if self.mixes is not None:
            found = self.mixes[axis]
        else:
            each = np.ones((taps.shape[1], 1)) if self.kernel is None else np.eye(taps.shape[1])
            found = np.broadcast_to(each, (len(taps), *each.shape))
        return found if self.factors is None else found * self.factors[axis][:, None, None]

    def total(self, values: Array) -> float | None:
        """The sum over all connections of the input's value times the weight, without listing them.

        Args:
            values: in the shape of the inputs.

        Returns:
            None where each output has a factor of its own beside a kernel or a window: only a list of them can say.
        """
        per_group, filters = self.channels
        met = np.asarray(values, np.float64)
        if self.gain is not None:
            if self.kernel is not None or not self._in_place():
                return None
            return float((met * self.gain.astype(np.float64)).sum())
        met = met.reshape(self.groups, per_group, *self.inputs[1:])
        for axis, (taps, n) in enumerate(zip(self.axes, self.inputs[1:], strict=True)):
            entries = self.entries(axis)
            meets = np.zeros((n, entries.shape[2]))  # how strongly each input position meets each entry
            output, tap = np.nonzero(taps >= 0)
            np.add.at(meets, taps[output, tap], entries[output, tap])
            met = np.moveaxis(np.tensordot(met, meets, axes=(axis + 2, 0)), -1, axis + 2)
        if self.kernel is None:
            return filters * float(met.sum())
        return float((met * self.kernel.sum(axis=1, dtype=np.float64)).sum())

    def _in_place(self) -> bool:
        """Whether each input leads to the output in its place and nowhere else, with no weight but the gain."""
        plain = self.factors is None and self.mixes is None and self.groups == self.inputs[0]
        axes = zip(self.axes, self.inputs[1:], strict=True)
        return plain and self.inputs == self.outputs and all(np.array_equal(t, np.arange(n)[:, None]) for t, n in axes)


def one_to_one(shape: Shape, gain: Array | None = None) -> Connections:
    """Each neuron to the neuron in its place."""
    axes = tuple(np.arange(n)[:, None] for n in shape[1:])
    return Connections(shape, shape, axes, groups=shape[0], gain=gain)


def pairs_of(taps: Taps, length: int) -> NDArray[np.int64]:
    """``(outputs, inputs)`` of one axis: through how many taps the one sees the other."""
    found = np.zeros((len(taps), length), np.int64)
    output, tap = np.nonzero(taps >= 0)
    np.add.at(found, (output, taps[output, tap]), 1)
    return found


def inside(positions: NDArray[Any], length: int) -> Taps:
    """Input positions, with −1 for those that lie outside."""
    return np.where((positions >= 0) & (positions < length), positions, -1).astype(np.int64)


def sliding(length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, outputs: int) -> Taps:
    """The taps of a window that slides: output ``o`` sees ``o·stride − low + k·dilation``."""
    steps = np.arange(kernel)[None, :] * dilation - padding[0]
    return inside(np.arange(outputs)[:, None] * stride + steps, length)
