"""The sizes of a layer without its numbers: enough for memory and limits, and cheap to vary."""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.chips.network import ChipLayer, Pair, kernel_words, neuron_words


@dataclass(frozen=True)
class Sizes:
    """What a layer takes and limits look at.

    Attributes:
        input_shape: ``(channels, rows, columns)`` of what arrives.
        outputs: channels of its neurons.
        kernel: the side of its kernel.
        stride, padding: rows and columns.
        bias: whether it has one.
    """

    input_shape: tuple[int, int, int]
    outputs: int
    kernel: int
    stride: Pair
    padding: Pair
    bias: bool

    @classmethod
    def of(cls, layer: ChipLayer) -> Sizes:
        """Those of a layer."""
        outputs = layer.output_shape[0]
        return cls(layer.input_shape, outputs, layer.kernel, layer.stride, layer.padding, layer.has_bias)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """``(channels, rows, columns)`` of its neurons; below 1 where the kernel does not fit."""
        rows, columns = (
            (n + 2 * p - self.kernel) // s + 1
            for n, p, s in zip(self.input_shape[1:], self.padding, self.stride, strict=True)
        )
        return self.outputs, rows, columns

    @property
    def kernel_words(self) -> int:
        """Words of weights."""
        return kernel_words(self.input_shape[0], self.outputs, self.kernel)

    @property
    def neuron_words(self) -> int:
        """Words of potentials."""
        return neuron_words(*self.output_shape)

    @property
    def bias_words(self) -> int:
        """Words of biases."""
        return self.outputs if self.bias else 0
