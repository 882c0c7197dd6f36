"""Transposed convolution over one, two or three axes: every input adds its kernel to the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from spikewright.connections import Connections, inside
from spikewright.errors import GraphError
from spikewright.graph import Array, Shape, ToTensor, check_size
from spikewright.nodes._convolution import Convolution
from spikewright.nodes._window import (
    answer_to_constant,
    check_axes,
    check_pairs,
    check_positive,
    torch_padding,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTranspose(Convolution):
    """Input ``i`` adds ``weight[k]`` to output ``i·stride + k·dilation − low``: the transpose of a convolution.

    Attributes:
        weight: ``(inputs, outputs / groups, *kernel)``.
        bias: ``(outputs,)``, or a whole map ``(outputs, *spatial)``, as for a convolution.
        stride: per axis.
        padding: ``(low, high)`` per axis: how much of the output is cut off; a negative ``high`` adds positions
            that only the bias reaches (``output_padding``).
        dilation: per axis.
        groups: channel groups.
    """

    @property
    def outputs(self) -> int:
        """Output channels."""
        return int(self.weight.shape[1]) * self.groups

    def _length(self, axis: int, n: int) -> int:
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return int((n - 1) * self.stride[axis] + reach - sum(self.padding[axis]))

    def infer_shape(self, *inputs: Shape) -> Shape:
        check_axes(self, kernel=self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)
        check_pairs(self, self.padding)
        check_positive(self, kernel=self.kernel, stride=self.stride, dilation=self.dilation, groups=(self.groups,))
        if len(inputs[0]) != len(self.kernel) + 1 or inputs[0][0] != len(self.weight) or len(self.weight) % self.groups:
            raise GraphError(
                f"{self}: weight {self.weight.shape} with {self.groups} group(s) does not fit "
                f"an input of shape {inputs[0]}"
            )
        spatial = tuple(self._length(axis, n) for axis, n in enumerate(inputs[0][1:]))
        whole = tuple(n + max(low, 0) + max(high, 0) for n, (low, high) in zip(spatial, self.padding, strict=True))
        check_size(self, (self.outputs, *whole))  # what is cut off is computed too
        if min(spatial) < 1 or any(low < 0 for low, _ in self.padding):
            raise GraphError(f"{self}: padding {self.padding} leaves nothing of an output for {inputs[0]}")
        if self.bias.shape not in ((self.outputs,), (self.outputs, *spatial)):
            raise GraphError(f"{self}: bias {self.bias.shape} is neither {(self.outputs,)} nor a map of {spatial}")
        return (self.outputs, *spatial)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(self.kernel) - 1]
        weight = to_tensor(self.weight)
        bias = to_tensor(self.bias if self.bias.ndim > 1 else self.bias.reshape(-1, *(1,) * len(self.kernel)))
        cut = torch_padding(tuple((-low, -high) for low, high in self.padding))

        def forward(x: Tensor) -> Tensor:
            whole = function(x, weight, None, self.stride, 0, 0, self.groups, self.dilation)
            return (F.pad(whole, cut) if any(cut) else whole) + bias

        return forward

    def connections(self, *inputs: Shape) -> Connections:
        shape = self.infer_shape(*inputs)
        kernel = self.weight.reshape(self.groups, -1, *self.weight.shape[1:]).swapaxes(1, 2)
        axes = []
        for axis, n in enumerate(inputs[0][1:]):
            steps = np.arange(self.kernel[axis])[None, :] * self.dilation[axis]
            ahead = np.arange(shape[axis + 1])[:, None] + self.padding[axis][0] - steps
            position, between = np.divmod(ahead, self.stride[axis])
            axes.append(inside(np.where(between == 0, position, -1), n))
        return Connections(inputs[0], shape, tuple(axes), self.groups, kernel)

    def reweigh(self, change: Callable[[Array], Array]) -> Self:
        inputs, per_group, *kernel = self.weight.shape
        by_group = (self.groups, inputs // self.groups, per_group, *kernel)
        rows = self.weight.reshape(by_group).swapaxes(1, 2)  # groups, outputs of each, inputs of each
        other = change(rows.reshape(self.outputs, by_group[1], *kernel))
        return self.replace(weight=other.reshape(rows.shape).swapaxes(1, 2).reshape(self.weight.shape))

    def preceded_by(self, scale: Array, shift: Array, shape: Shape) -> Self:
        scaled = self._scaled(scale, np.ones(self.outputs))
        if not shift.any():
            return scaled
        # How many inputs reach an output differs from output to output: the bias becomes a map.
        return scaled.replace(bias=answer_to_constant(self, shift, shape))

    def _channels(self) -> tuple[int, int]:
        return len(self.weight), self.outputs

    def _times(self, source: Array, target: Array) -> Array:
        per_group = self.weight.shape[1]
        group = np.arange(len(self.weight)) // (len(self.weight) // self.groups)
        channel = group[:, None] * per_group + np.arange(per_group)[None, :]
        factor = source[:, None].astype(np.float64) * target[channel]
        return np.asarray(self.weight * factor.reshape(*factor.shape, *(1,) * len(self.kernel)))
