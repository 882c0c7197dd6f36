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
    synops_per_second: float | None = None
