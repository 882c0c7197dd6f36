"""A conversion as what a chip runs: its layers in integers, and what somebody needs to know to send it pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spikewright.chips.chip import Speck
from spikewright.chips.integers import LayerLoss, integers_of
from spikewright.chips.known import chip as known_chip
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipNetwork
from spikewright.chips.spike_settings import events_worth, with_settings
from spikewright.conversion import CalibrationFacts, Conversion
from spikewright.data import Preprocessing, as_dataset, sample_digests
from spikewright.data.digests import fingerprint_of
from spikewright.errors import DataError, SettingsError
from spikewright.graph import SampleShapes
from spikewright.measures.protocol import drawn_seeds
from spikewright.provenance import History, history
from spikewright.settings import plain, whole
from spikewright.tabular import Table, Tabular
from spikewright.text import listed, shape_text

SAMPLES = 64
"""So many calibration samples are enough: rates are compared at thousands of their positions."""
DRAW = "samples of quantising"
"""What its draw of samples is called."""


@dataclass(frozen=True, eq=False)
class Quantised(Tabular):
    """A network as a chip runs it. ``str`` gives what quantising cost, a line a layer.

    Attributes:
        chip: the name of the chip whose words its numbers fit.
        network: of integers.
        losses: by layer, in order.
        notes: what somebody should know about it.
        rate: events a step of an input's largest value, what one event stood for in the conversion.
        ticks: of the slow clock in a step; the biases are those of a step divided by it.
        inputs: by name, the shape of a sample as the conversion takes it, and where its channels are.
        tasks: by output, what labels mean, as text; only where somebody said so.
        preprocessing: of data.
        classes: the names of the classes, in the order of their indices.
        calibration: what λ come from, and which samples anything was chosen on, those of quantising among them.
        selected: what else was chosen on calibration data, each as text.
        provenance: how it was made, command by command, that of the conversion first.
    """

    chip: str
    network: ChipNetwork
    losses: tuple[LayerLoss, ...]
    notes: tuple[str, ...] = ()
    rate: float = 1.0
    ticks: int = 1
    inputs: SampleShapes = field(default_factory=SampleShapes)
    tasks: dict[str, str] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    classes: tuple[str, ...] = ()
    calibration: CalibrationFacts = field(default_factory=CalibrationFacts)
    selected: tuple[str, ...] = ()
    provenance: History = ()

    @property
    def remembered(self) -> History:
        """How it was made, and by the command that runs now, if one does: what files of it hold."""
        return history(
            self.provenance,
            chip=self.chip,
            method=self.calibration.method,
            data=fingerprint_of("", self.calibration.seen),
            seeds=dict(self.calibration.seeds),
            preprocessing=str(self.preprocessing),
            rate=self.rate,
            ticks=self.ticks,
        )

    def __repr__(self) -> str:
        layers = listed([layer.name for layer in self.network.layers])
        return f"Quantised(for {self.chip}: {layers}; {self.rate:g} events a step of an input's largest value)"

    def _table(self) -> Table:
        """A row a layer: its shape, its numbers, and what it lost by being integers."""
        titles = (
            "layer",
            "output",
            "kernel",
            "threshold",
            "factor",
            "bound by",
            "cut off",
            "weights off",
            "output off",
        )
        rows = []
        for loss in self.losses:
            layer = self.network[loss.layer]
            shapes = (shape_text(layer.output_shape), shape_text(np.shape(layer.weights)))
            lost = (loss.factor, loss.bound_by, loss.clipped, loss.weights, loss.output)
            rows.append((loss.layer, *shapes, int(layer.threshold), *lost))
        return Table.of_rows(titles, rows, [repr(self), *self.notes])

    def __str__(self) -> str:
        return "\n".join([*map(str, self.losses), *(f"note: {note}" for note in self.notes)])

    def summary(self) -> dict[str, Any]:
        """What quantising cost, as plain JSON-like values."""
        layers = {
            loss.layer: {
                **loss.summary(),
                "threshold": int(self.network[loss.layer].threshold),
                "return_to_zero": self.network[loss.layer].reset == "zero",
                "decimator": self.network[loss.layer].decimator,
            }
            for loss in self.losses
        }
        return {"chip": self.chip, "rate": self.rate, "ticks": self.ticks, "layers": layers, "notes": list(self.notes)}


def quantise(
    conversion: Conversion,
    chip: Speck | str,
    data: Any = None,
    *,
    rate: float = 1.0,
    ticks: int = 1,
    bias_bits: int | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    return_to_zero: bool | None = None,
    decimator: int | Mapping[str, int] = 1,
    threshold_scale: float | Mapping[str, float] = 1.0,
    keep_means: bool = True,
) -> Quantised:
    """A conversion in a chip's integers: 8-bit kernels, 16-bit thresholds and potentials, one factor a layer.

    Args:
        conversion: whose neurons the chip has.
        chip: or its name.
        data: to calibrate with, a Dataset or an array ``(N, *shape)``: factors are chosen that lose least in what
            layers send, outliers cut off where that pays. Without any it is the common rule, by which all fits.
        rate: events a step of an input's largest value. More of them, each worth less, come closer to the picture.
        ticks: of the slow clock in a step; each adds so much less of the bias.
        bias_bits: of biases; those of the chip unless given.
        samples: how many of the data are used: a draw in proportion to the classes.
        seed: of the draw.
        return_to_zero: whether a spike sets the potential to 0, in place of taking the threshold off; as it was
            converted unless given.
        decimator: one of so many spikes is passed on, for all layers or by name; 1 is off. Weights behind are taken so
            many times, so that means stay.
        threshold_scale: so many times the threshold, for all layers or by name, with it the initial and the lowest
            potential; weights behind are taken so many times.
        keep_means: whether weights behind decimators and higher thresholds are taken so many times; where not, what is
            behind gets so much less.

    Raises:
        UnsupportedModelError: with everything that no core of the chip computes.
        SettingsError: for a chip without integer cores, or settings outside their domain.
        DataError: for data that do not fit.
    """
    found = known_chip(chip)
    if not isinstance(found, Speck):
        raise SettingsError(f"{found} has no cores of integer neurons that are known well enough: take a Speck")
    if not isinstance(conversion, Conversion):
        raise SettingsError(f"a conversion is quantised, as convert(...) gives it, not a {type(conversion).__name__}")
    each = plain(rate)
    if not isinstance(each, int | float) or not 0 < each < float("inf"):
        raise SettingsError(f"rate must be a positive number of events a step, not {rate!r:.40}")
    whole("ticks", ticks, 1)
    network = sent_at(lower(conversion, found).checked(found), each, ticks)
    network = with_settings(
        network,
        found,
        return_to_zero=return_to_zero,
        decimator=decimator,
        threshold_scale=threshold_scale,
        keep_means=keep_means,
    )
    calibration = replace(conversion.calibration, seeds=drawn_seeds(conversion))
    selected, pictures = [str(one) for one in conversion.corrections], None
    if data is not None:
        dataset = as_dataset(data, conversion.spiking.inputs)
        if not len(dataset):
            raise DataError("there are no samples to quantise with; give at least one, or none at all")
        used = dataset.sample(whole("samples", samples, 1), whole("seed", seed, 0))
        pictures = pictures_of(network, next(used.batches(len(used)))[0])
        calibration = calibration.with_samples(sample_digests(used))
        if len(used) < len(dataset):
            calibration = calibration.drawn(DRAW, seed)
        selected.append("factors of integers")
    made = integers_of(network, found, pictures, bias_bits=bias_bits)
    return Quantised(
        chip=found.name,
        network=made.network,
        losses=made.losses,
        notes=made.notes,
        rate=float(each),
        ticks=ticks,
        inputs=conversion.spiking.inputs,
        tasks=dict(conversion.tasks),
        preprocessing=conversion.preprocessing,
        classes=conversion.classes,
        calibration=calibration,
        selected=tuple(selected),
        provenance=conversion.remembered,
    )


def sent_at(network: ChipNetwork, rate: float, ticks: int = 1) -> ChipNetwork:
    """The same network of floats where more events come in, each worth so much less, and the slow clock ticks faster.

    Args:
        network: of floats.
        rate: so many times the events.
        ticks: in a step.

    Raises:
        SettingsError: where an input and a layer share weights, whose events would stand for different amounts.
    """
    worth = events_worth(network, {source.name: 1 / rate for source in network.inputs})
    layers = [layer.replace(bias=None if layer.bias is None else layer.bias / ticks) for layer in worth.layers]
    inputs = tuple(replace(source, event_value=source.event_value / rate) for source in network.inputs)
    return ChipNetwork(inputs, tuple(layers), network.readout)


def pictures_of(network: ChipNetwork, x: Any) -> dict[str, Any]:
    """The inputs of a batch as the chip sees them.

    Args:
        network: whose inputs they are.
        x: ``(B, *shape)``; the inputs side by side where there are several.

    Returns:
        by input, ``(B, channels, rows, columns)``.
    """
    rows, begin, found = np.asarray(x, np.float32).reshape(len(x), -1), 0, {}
    for source in network.inputs:
        size = int(np.prod(source.shape))
        own = rows[:, begin : begin + size]
        if source.places is not None:
            own = own[:, np.array(source.places)]
        found[source.name] = own.reshape(len(rows), *source.shape)
        begin += size
    return found
