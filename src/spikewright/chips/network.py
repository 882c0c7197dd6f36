"""A network as DynapCNN chips have it: convolutions of integrate-and-fire neurons that send events to each other.

A layer adds up events, whoever sent them, and every layer and input says where its events go: through a sum pool, which
only divides addresses, and with a shift of the channel. Nothing here knows the limits of a chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Array, Shape
from spikewright.text import brief

Pair = tuple[int, int]
Reset = Literal["subtract", "zero"]


def exponent(number: int) -> int:
    """The bits of an address among so many: ``ceil(log2 number)``."""
    return (number - 1).bit_length()


# Memory. Source: Speck Dev Kit Datasheet (SynSense, Aug 2023), p. 19.


def kernel_words(inputs: int, outputs: int, side: int) -> int:
    """``c_in · 2^(ceil(log2 k·k) + ceil(log2 f))``: weights lie at addresses of whole bits."""
    return inputs << (exponent(side**2) + exponent(outputs))


def neuron_words(channels: int, rows: int, columns: int) -> int:
    """``f · 2^(ceil(log2 height) + ceil(log2 width))``, of a convolution's output before pooling."""
    return channels << (exponent(rows) + exponent(columns))


@dataclass(frozen=True)
class Destination:
    """Where the events of an input or a layer go.

    An event of channel c at row y and column x arrives at the layer as channel ``c + feature_shift`` at row
    ``y // pool`` and column ``x // pool``; rows and columns that the pool leaves over are dropped.

    Attributes:
        layer: the name of the layer that they arrive at.
        pool: the side of the square whose events are added up.
        feature_shift: added to the channel.
    """

    layer: str
    pool: int = 1
    feature_shift: int = 0

    def __post_init__(self) -> None:
        if self.pool < 1 or self.feature_shift < 0:
            raise SettingsError(f"a destination has a pool of 1 or more and a shift of 0 or more, not {self}")


@dataclass(frozen=True)
class ChipInput:
    """Where events come in.

    Attributes:
        name: of the network's input.
        shape: ``(channels, height, width)``.
        destinations: where they go.
        event_value: what one event stands for in the unit of the network's input: a pixel of x is so much as
            ``x / event_value`` events a step. It stands in the weights that read the input already.
        places: for every value of ``shape``, in C order, which value of a sample of the network it is, in C order too;
            None where the order is the same.
    """

    name: str
    shape: tuple[int, int, int]
    destinations: tuple[Destination, ...]
    event_value: float = 1.0
    places: tuple[int, ...] | None = None

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """The shape of what it sends."""
        return self.shape


@dataclass(frozen=True, eq=False)
class ChipLayer:
    """One core's work: a convolution with integrate-and-fire neurons at its end.

    Arrays are read-only, float64 or, once they were digitised, integers. The kernel is square.

    Attributes:
        name: of the population.
        sources: the layers and inputs whose events arrive, in order.
        input_shape: ``(channels, height, width)`` of what arrives, behind pools.
        weights: ``(out, in, kernel, kernel)``: ``[out][in][row][column]``.
        bias: ``(out,)``, added in every step or at every tick of the slow clock; None for none.
        threshold: of all its neurons; a neuron sends a spike where its potential reaches it.
        v_min: the lowest potential; None for that of the state's word.
        v_init: the potential before the first event: one for all, or ``(out, height, width)``.
        reset: "subtract" takes the threshold off for a spike, "zero" sets the potential to 0.
        stride: ``(rows, columns)``.
        padding: ``(rows, columns)``, the same on both sides, with zeros.
        destinations: where its spikes go; none where they are only read.
        decimator: one of so many spikes is passed on; 1 passes all.

    Raises:
        GraphError: for shapes that do not fit each other.
        SettingsError: for numbers that cannot be.
    """

    name: str
    sources: tuple[str, ...]
    input_shape: tuple[int, int, int]
    weights: Array
    bias: Array | None = None
    threshold: float | int = 1.0
    v_min: float | int | None = None
    v_init: Array | float | int = 0.0
    reset: Reset = "subtract"
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    destinations: tuple[Destination, ...] = ()
    decimator: int = 1

    __repr__ = brief

    def __post_init__(self) -> None:
        for label in ("weights", "bias", "v_init"):
            value = getattr(self, label)
            if isinstance(value, np.ndarray) or label == "weights":
                object.__setattr__(self, label, _frozen(value))
        if self.weights.ndim != 4 or self.weights.shape[2] != self.weights.shape[3]:
            raise GraphError(f"{self}: weights are (out, in, kernel, kernel), not {self.weights.shape}")
        if self.weights.shape[1] != self.input_shape[0]:
            raise GraphError(f"{self}: weights {self.weights.shape} do not fit an input of {self.input_shape}")
        if self.bias is not None and self.bias.shape != self.weights.shape[:1]:
            raise GraphError(f"{self}: a bias of {self.bias.shape} does not fit weights {self.weights.shape}")
        if min(self.stride) < 1 or min(self.padding) < 0 or self.decimator < 1:
            raise SettingsError(
                f"{self}: stride and decimator are 1 or more, padding is 0 or more; they are {self.stride}, "
                f"{self.decimator}, {self.padding}"
            )
        if min(self.output_shape) < 1:
            raise GraphError(f"{self}: a kernel of {self.kernel} does not fit in a padded input of {self.input_shape}")
        if np.shape(self.v_init) not in ((), self.output_shape):
            raise GraphError(f"{self}: v_init {np.shape(self.v_init)} fits no map of {self.output_shape}")
        for label in ("weights", "bias", "threshold", "v_min", "v_init"):
            value = getattr(self, label)
            if value is not None and not np.isfinite(value).all():
                raise GraphError(f"{self}: its {label} hold NaN or infinity")
        if not self.threshold > 0:
            raise SettingsError(f"{self}: its threshold must be positive, not {self.threshold}")
        if self.reset not in ("subtract", "zero"):
            raise SettingsError(f"{self}: reset must be 'subtract' or 'zero', not {self.reset!r:.40}")

    def __str__(self) -> str:
        return f"layer '{self.name}'"

    def replace(self, **changes: Any) -> ChipLayer:
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def kernel(self) -> int:
        """The side of its square kernel."""
        return int(self.weights.shape[2])

    @property
    def is_integer(self) -> bool:
        """Whether its numbers are those of a chip."""
        return bool(np.issubdtype(self.weights.dtype, np.integer))

    @cached_property
    def output_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)`` of its neurons, before any pool."""
        rows, columns = (
            (n + 2 * p - self.kernel) // s + 1
            for n, p, s in zip(self.input_shape[1:], self.padding, self.stride, strict=True)
        )
        return int(self.weights.shape[0]), rows, columns

    @property
    def kernel_words(self) -> int:
        """Words of weights that a core keeps for it."""
        return kernel_words(self.input_shape[0], self.output_shape[0], self.kernel)

    @property
    def neuron_words(self) -> int:
        """Words of potentials that a core keeps for it."""
        return neuron_words(*self.output_shape)

    @property
    def bias_words(self) -> int:
        """One a channel if any channel has a bias, else none."""
        return self.output_shape[0] if self.has_bias else 0

    @property
    def has_bias(self) -> bool:
        """Whether any channel has a bias."""
        return self.bias is not None and bool(self.bias.any())

    @cached_property
    def taps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many positions of the output each position of the input reaches, for rows and for columns."""
        rows, columns = (
            _reached(n, self.kernel, s, p, m)
            for n, s, p, m in zip(self.input_shape[1:], self.stride, self.padding, self.output_shape[1:], strict=True)
        )
        return rows, columns

    def fan_out(self) -> NDArray[np.int64]:
        """Synaptic operations of one event at each place of the input, ``(height, width)``: the same for each channel.

        Exact at borders. A weight of zero is an operation like any other: the chip reads it.
        """
        rows, columns = self.taps
        return self.output_shape[0] * rows[:, None] * columns[None, :]

    @property
    def macs(self) -> int:
        """Synaptic operations where every neuron that it hears sends one event."""
        return self.input_shape[0] * int(self.fan_out().sum())


@dataclass(frozen=True)
class Readout:
    """What stands for one output of the network.

    Attributes:
        output: its name.
        layer: whose spikes are counted.
        neurons: for every value of the output, in C order, the neuron of the layer in C order of its
            ``output_shape``.
        spike_values: for every value of the output what one spike of its neuron adds to it; none where that is 1.
        shape: of the output; one row of values where there is none.
    """

    output: str
    layer: str
    neurons: tuple[int, ...]
    spike_values: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        return self.shape or (len(self.neurons),)


@dataclass(frozen=True, eq=False)
class ChipNetwork:
    """Inputs, layers in order, and what is read.

    Attributes:
        inputs: where events come in.
        layers: each stands behind all that it hears.
        readout: by output of the network.

    Raises:
        GraphError: for two of one name, a destination or source that is none, or events that fit no layer.
    """

    inputs: tuple[ChipInput, ...]
    layers: tuple[ChipLayer, ...]
    readout: tuple[Readout, ...] = ()

    def __post_init__(self) -> None:
        names = [sender.name for sender in self.senders]
        for name in names:
            if names.count(name) > 1:
                raise GraphError(f"two layers or inputs have the name '{name}'; names must be unique")
        known = {layer.name: k for k, layer in enumerate(self.layers)}
        for k, sender in enumerate(self.senders, -len(self.inputs)):
            for destination in sender.destinations:
                if known.get(destination.layer, -1) <= k:
                    raise GraphError(f"'{sender.name}' sends to '{destination.layer}', which is no layer behind it")
                _check_arrival(sender, destination, self[destination.layer])
        for layer in self.layers:
            heard = tuple(s.name for s in self.senders if any(d.layer == layer.name for d in s.destinations))
            if sorted(heard) != sorted(layer.sources):
                raise GraphError(f"{layer}: its sources are {layer.sources}, but {heard} send to it")
        for read in self.readout:
            neurons = prod(self[read.layer].output_shape)
            if prod(read.output_shape) != len(read.neurons):
                raise GraphError(f"output '{read.output}' of {read.shape} does not have {len(read.neurons)} values")
            if not all(0 <= neuron < neurons for neuron in read.neurons):
                raise GraphError(f"output '{read.output}' reads neurons that layer '{read.layer}' does not have")

    @property
    def senders(self) -> tuple[ChipInput | ChipLayer, ...]:
        """All that sends events: inputs, then layers in order."""
        return (*self.inputs, *self.layers)

    @property
    def is_integer(self) -> bool:
        """Whether all of its numbers are those of a chip."""
        return all(layer.is_integer for layer in self.layers)

    def __getitem__(self, name: str) -> ChipLayer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise GraphError(f"no layer '{name}'; there are {', '.join(layer.name for layer in self.layers)}")

    def sender(self, name: str) -> ChipInput | ChipLayer:
        """The input or layer with a name.

        Raises:
            GraphError: where there is none.
        """
        return next((found for found in self.inputs if found.name == name), None) or self[name]

    def arriving(self, name: str) -> Iterator[tuple[ChipInput | ChipLayer, Destination]]:
        """All that arrives at a layer: who sends it and how, in order of senders."""
        for sender in self.senders:
            for destination in sender.destinations:
                if destination.layer == name:
                    yield sender, destination


def pooled(shape: Shape, pool: int) -> tuple[int, int, int]:
    """The shape of what arrives behind a sum pool: what it leaves over is dropped."""
    channels, rows, columns = shape
    return channels, rows // pool, columns // pool


def _check_arrival(sender: ChipInput | ChipLayer, destination: Destination, layer: ChipLayer) -> None:
    channels, *spatial = pooled(sender.output_shape, destination.pool)
    if tuple(spatial) != layer.input_shape[1:] or channels + destination.feature_shift > layer.input_shape[0]:
        raise GraphError(
            f"'{sender.name}' sends {(channels, *spatial)}, shifted by {destination.feature_shift}, to {layer}, "
            f"which takes {layer.input_shape}"
        )


def _frozen(values: Any) -> Array:
    """A read-only copy: integers as they are, everything else as float64."""
    array = np.array(values)
    if not np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.float64)
    array.setflags(write=False)
    return array


def _reached(length: int, kernel: int, stride: int, padding: int, outputs: int) -> NDArray[np.int64]:
    positions = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel)[None, :]
    inside = positions[(positions >= 0) & (positions < length)]
    return np.asarray(np.bincount(inside, minlength=length), np.int64)
