"""A chip as a value: its limits as data, each with the source of its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from spikewright.errors import SettingsError


@dataclass(frozen=True)
class Core:
    """One core of a chip of the DynapCNN family, which computes one layer.

    Attributes:
        number: its own.
        kernel_words, neuron_words, bias_words: its memories.
        parallel: whether it computes in parallel, and so does more in the same time.
    """

    number: int
    kernel_words: int
    neuron_words: int
    bias_words: int
    parallel: bool = False


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What is known of a chip; each kind of chip adds its limits as fields.

    Attributes:
        name: its own, as the command line takes it.
        sources: by field, where its number stands.
        notes: what else is public, or is not.

    Raises:
        SettingsError: for a limit without a source, or a source without a limit.
    """

    name: str
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, hash=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))
        limits = {f.name for f in fields(self)} - {"name", "sources", "notes"}
        for label in sorted(limits ^ self.sources.keys()):
            lacks = "has no source" if label in limits else "is no limit of it"
            raise SettingsError(f"chip '{self.name}': {label} {lacks}")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Speck(Chip):
    """A chip of the DynapCNN family (Speck): every core computes one layer of integrate-and-fire neurons.

    Attributes:
        cores: by number.
        input_max: rows and columns that may come in.
        output_max: rows and columns of a convolution's output, before any pool.
        features_max: channels of a layer.
        kernel_max: the side of a kernel, which is square.
        strides: each direction has its own.
        padding_max: in each direction.
        pools: sides of the square sum pools at a destination.
        destinations_max: how many destinations a layer has; it may hear any number of layers.
        decimators: one of so many spikes is passed on; 1 is off.
        readout_classes: how many classes the readout on the chip tells apart; 0 where it cannot be used.
        readout_spread: class x of the readout, from 1, reads channel ``readout_spread · (x − 1)`` of the last layer.
        slow_clock_hz: the lowest and the highest rate of the clock whose ticks add biases.
        kernel_bits, neuron_bits, threshold_bits, bias_bits: of the signed integers it computes with.
        kill_bits: whether words of its memories have bits that switch them off.
        synops_per_second: the most synaptic operations a core may do in a second; None where no number is public.
    """

    cores: tuple[Core, ...]
    input_max: tuple[int, int]
    output_max: tuple[int, int]
    features_max: int
    kernel_max: int
    strides: tuple[int, ...]
    padding_max: int
    pools: tuple[int, ...]
    destinations_max: int
    decimators: tuple[int, ...]
    readout_classes: int
    readout_spread: int
    slow_clock_hz: tuple[float, float]
    kernel_bits: int
    neuron_bits: int
    threshold_bits: int
    bias_bits: int
    kill_bits: bool = False
    synops_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Xylo(Chip):
    """A chip of the Xylo family: all neurons together, every synapse with a weight of its own.

    Attributes:
        inputs_max: how many values come in.
        hidden_max, outputs_max: neurons of all layers but the last, and of the last.
        first_max, last_max: hidden neurons that inputs reach, and that reach outputs.
        fan_out_max: synapses that leave a neuron.
        fan_in_max: synapses that end at a neuron; None where no number is public.
        weights_max: synapses in all; None where no number is public.
        layers_min: how many layers of neurons there are at least.
        weight_bits: of the signed weights.
    """

    inputs_max: int
    hidden_max: int
    outputs_max: int
    first_max: int
    last_max: int
    fan_out_max: int
    fan_in_max: int | None = None
    weights_max: int | None = None
    layers_min: int = 2
    weight_bits: int = 8


@dataclass(frozen=True, kw_only=True)
class Akida(Chip):
    """A chip of the Akida family, which computes layers of a quantised network: what shapes they may have.

    Attributes:
        input_side: the shortest and the longest side of an image.
        input_channels: how many its first layer may read.
        input_kernels: by side of the first layer's kernel, its strides.
        input_filters_max: by number of channels and side of the kernel, the most filters; empty where no number is
            public.
        kernels: sides of all other kernels.
        strides: of all other convolutions.
        strided_kernels: sides of kernels that may have a stride of 2.
        channels_max: of a layer; None where no number is public.
        dense_inputs_max: values that a dense layer reads.
        weight_bits: that weights may have.
    """

    input_side: tuple[int, int]
    input_channels: tuple[int, ...]
    input_kernels: Mapping[int, tuple[int, ...]]
    input_filters_max: Mapping[tuple[int, int], int]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    strided_kernels: tuple[int, ...]
    channels_max: int | None
    dense_inputs_max: int
    weight_bits: tuple[int, ...]
