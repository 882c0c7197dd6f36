"""What is said of one layer, and of one thing that a chip has so much of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikewright.chips.suggestions import Change
from spikewright.text import shape_text


@dataclass(frozen=True)
class LayerFit:
    """What is said of one layer.

    Attributes:
        layer: its name.
        input_shape, output_shape: ``(channels, rows, columns)``; the output before any pool.
        kernel: the side.
        stride, padding: rows and columns.
        kernel_words, neuron_words, bias_words: the memory that it takes.
        macs: synaptic operations where every neuron that it hears sends one event.
        cores: the numbers of those that hold it.
        core: the one that it gets; None where it gets none.
        broken: the limits that it breaks, a sentence each.
        changes: the nearest changes with which it fits.
        rewrites: what was rewritten for the chip, by name.
    """

    layer: str
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    kernel: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    kernel_words: int
    neuron_words: int
    bias_words: int
    macs: int
    cores: tuple[int, ...]
    core: int | None
    broken: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    rewrites: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it gets a core and keeps all limits."""
        return self.core is not None and not self.broken

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {**lists, "changes": [{"change": one.text, "core": one.core} for one in self.changes]}

    def __str__(self) -> str:
        """``conv2: 16,384 kernel, 8,192 neuron, 32 bias words: core 1``."""
        words = f"{self.kernel_words:,} kernel, {self.neuron_words:,} neuron, {self.bias_words:,} bias words"
        got = f"core {self.core}" if self.core is not None else "no core"
        shape = f"{shape_text(self.input_shape)} to {shape_text(self.output_shape)}"
        return f"{self.layer} ({shape}, kernel {self.kernel}): {words}: {got}"


@dataclass(frozen=True)
class Used:
    """How much of something a network needs, of what a chip has.

    Attributes:
        what: "hidden neurons", say.
        number: that the network needs.
        most: that the chip has.
    """

    what: str
    number: int
    most: int

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        return {"what": self.what, "number": self.number, "most": self.most}

    def __str__(self) -> str:
        """``hidden neurons: 120 of 1,000``."""
        return f"{self.what}: {self.number:,} of {self.most:,}"
