"""Convolution over one, two or three axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections, sliding
from spikewright.errors import GraphError
from spikewright.graph import Array, Shape, ToTensor
from spikewright.nodes._convolution import Convolution
from spikewright.nodes._window import (
    answer_to_constant,
    check_axes,
    check_positive,
    has_padding,
    is_symmetric,
    torch_padding,
    window_shape,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Convolution):
    """Cross-correlation with zero padding, as every framework calls convolution.

    Attributes:
        weight: ``(outputs, inputs / groups, *kernel)``.
        bias: ``(outputs,)``, or a whole map ``(outputs, *spatial)`` where a batch norm folded in from the
            other side of the padding makes the border's bias differ.
        stride: per axis.
        padding: ``(low, high)`` per axis, explicit, so that every framework's rule is exact.
        dilation: per axis.
        groups: channel groups; equal to the input channels for a depthwise convolution.
    """

    def infer_shape(self, *inputs: Shape) -> Shape:
        check_axes(self, kernel=self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)
        check_positive(self, groups=(self.groups,))
        outputs, per_group = self.weight.shape[:2]
        if inputs[0][0] != per_group * self.groups or outputs % self.groups:
            raise GraphError(
                f"{self}: weight {self.weight.shape} with {self.groups} group(s) does not fit "
                f"an input of shape {inputs[0]}"
            )
        spatial = window_shape(self, inputs[0][1:], self.kernel, self.stride, self.padding, self.dilation)
        if self.bias.shape not in ((outputs,), (outputs, *spatial)):
            raise GraphError(f"{self}: bias {self.bias.shape} is neither {(outputs,)} nor {(outputs, *spatial)}")
        return (outputs, *spatial)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        function = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel) - 1]
        weight, bias = to_tensor(self.weight), to_tensor(self.bias)
        plain, mapped = (bias, None) if self.bias.ndim == 1 else (None, bias)
        symmetric = is_symmetric(self.padding)
        inner = tuple(low for low, _ in self.padding) if symmetric else 0

        def forward(x: Tensor) -> Tensor:
            if not symmetric:
                x = F.pad(x, torch_padding(self.padding))
            y = function(x, weight, plain, self.stride, inner, self.dilation, self.groups)
            return y if mapped is None else y + mapped

        return forward

    def macs(self, *inputs: Shape) -> int:
        """The multiply-accumulates as everybody counts them: those with padding too."""
        return self.weight.size * prod(self.infer_shape(*inputs)[1:])

    def connections(self, *inputs: Shape) -> Connections:
        shape = self.infer_shape(*inputs)
        settings = zip(inputs[0][1:], self.kernel, self.stride, self.padding, self.dilation, shape[1:], strict=True)
        kernel = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        return Connections(inputs[0], shape, tuple(sliding(*axis) for axis in settings), self.groups, kernel)

    def reweigh(self, change: Callable[[Array], Array]) -> Self:
        return self.replace(weight=change(self.weight))

    def preceded_by(self, scale: Array, shift: Array, shape: Shape) -> Self:
        scaled = self._scaled(scale, np.ones(len(self.weight)))
        if not shift.any():
            return scaled
        if not has_padding(self.padding):
            moved = (self.weight * self._by_input(shift)).reshape(len(self.weight), -1).sum(axis=1)
            return scaled.replace(bias=self.bias + self._along_bias(moved))
        # What it pads with never had the shift added: its own answer to the shift alone is the exact bias.
        return scaled.replace(bias=answer_to_constant(self, shift, shape))

    def _by_input(self, values: Array) -> NDArray[np.float64]:
        """One value for each input channel, spread over the weights."""
        outputs, per_group = self.weight.shape[:2]
        group = np.arange(outputs) // (outputs // self.groups)
        channel = group[:, None] * per_group + np.arange(per_group)[None, :]
        return np.asarray(values[channel].reshape(outputs, per_group, *(1,) * len(self.kernel)), np.float64)

    def _channels(self) -> tuple[int, int]:
        return self.weight.shape[1] * self.groups, len(self.weight)

    def _times(self, source: Array, target: Array) -> Array:
        wide = target.reshape(-1, *(1,) * (self.weight.ndim - 1)).astype(np.float64)
        return self.weight * (self._by_input(source) * wide)
