"""Whether a network fits a chip: every layer against every core, limits that are broken, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikewright.chips.akida import QUANTISED, broken_on_akida
from spikewright.chips.bandwidth import WINDOW, Bandwidth, from_rates, measured_bandwidth
from spikewright.chips.chip import Akida, Chip, Speck, Xylo
from spikewright.chips.known import chip as known_chip
from spikewright.chips.limits import broken, broken_by_sending, too_large
from spikewright.chips.lowering import Lowered, lower, spread
from spikewright.chips.lowering.pool import REST
from spikewright.chips.lowering.readout import SPREAD
from spikewright.chips.mapping import assign, holds, most_placed
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.chips.recording import SensorRecording
from spikewright.chips.savings import Saving, savings
from spikewright.chips.sizes import Sizes
from spikewright.chips.suggestions import Change, changes
from spikewright.chips.trials import Trial, told, trials
from spikewright.chips.xylo import INTEGERS, broken_on_xylo
from spikewright.conversion import Conversion, from_scales, spiking_graph
from spikewright.encoders import Encoder
from spikewright.encoders.events import EventFrames
from spikewright.engines.settings import TIMESTEPS
from spikewright.errors import Problem, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output, ReLU
from spikewright.preparation import prepare
from spikewright.rates import Rates
from spikewright.text import shape_text

TRAINED = "the network is not converted yet: its sizes are those that it will have, read by counts of spikes"
NOT_YET = "operations per second are counted once the whole network is converted and can be computed by the chip"
ASSUMED = {
    REST: "rows and columns that a pool leaves over are dropped: an assumption, no source says what a chip does",
}


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


@dataclass(frozen=True, eq=False)
class Fit:
    """Whether a network fits a chip, and all that is known about it; ``str`` prints it.

    Attributes:
        chip: it was checked against.
        layers: in order.
        problems: what no core computes, with what would do instead.
        broken: limits that the network as a whole breaks.
        remarks: what to know beside: the clock that biases need, assumptions.
        network: as layers of the chip; only what can be, where there are problems.
        clock_hz: the rate of the slow clock that biases need; None where there are none, or nobody said how long a step
            is.
        bandwidth: how busy every core is; None where nothing was said of rates.
        exceeded: limits on synaptic operations per second that are exceeded, a sentence each.
        savings: what remedies would save where it is busiest.
        tried: remedies that need no training, simulated: the network as it is first.
    """

    chip: Chip
    layers: tuple[LayerFit, ...]
    problems: tuple[Problem, ...]
    broken: tuple[str, ...]
    remarks: tuple[str, ...]
    network: ChipNetwork | None = None
    clock_hz: float | None = None
    bandwidth: Bandwidth | None = None
    exceeded: tuple[str, ...] = ()
    savings: tuple[Saving, ...] = ()
    tried: tuple[Trial, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it fits, and no limit on operations per second that was given is exceeded."""
        return self.fits and not self.exceeded

    @property
    def fits(self) -> bool:
        """Whether all of it can be computed, each layer by a core of its own, within all limits."""
        return not self.problems and not self.broken and all(layer.fits for layer in self.layers)

    @property
    def cores(self) -> Mapping[str, int]:
        """The core of each layer that has one, by name."""
        return {layer.layer: layer.core for layer in self.layers if layer.core is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        return {
            "chip": self.chip.name,
            "fits": self.fits,
            "layers": [layer.summary() for layer in self.layers],
            "problems": [{"what": p.operator, "where": p.where, "advice": p.advice} for p in self.problems],
            "broken": list(self.broken),
            "remarks": list(self.remarks),
            "clock_hz": self.clock_hz,
            "bandwidth": None if self.bandwidth is None else self.bandwidth.summary(),
            "exceeded": list(self.exceeded),
            "savings": [saving.summary() for saving in self.savings],
            "tried": [trial.summary() for trial in self.tried],
        }

    def advice(self) -> list[str]:
        """What remedies save, computed and tried, a line each."""
        return [*map(str, self.savings), *told(self.tried)]

    def lines(self) -> list[str]:
        """What stands in the way, what would do, and what to know, a line each."""
        found = [f"{problem}" for problem in self.problems]
        found += list(self.broken)
        for layer in self.layers:
            found += [f"{layer.layer}: {limit}" for limit in layer.broken]
            if layer.changes:
                found.append(f"{layer.layer} would fit with {'; or '.join(map(str, layer.changes))}")
        return [*found, *self.exceeded]

    def __str__(self) -> str:
        head = f"{self.chip}: it fits" if self.fits else f"{self.chip}: it does not fit"
        busy = [] if self.bandwidth is None else list(map(str, self.bandwidth.layers))
        return "\n  ".join([head, *map(str, self.layers), *busy, *self.lines(), *self.advice(), *self.remarks])

    __repr__ = __str__


def check(
    network: Graph | Conversion,
    chip: Chip | str = "speck2f",
    *,
    dt: float | None = None,
    chip_readout: bool = False,
    rates: Rates | None = None,
    data: Any = None,
    timesteps: int | None = None,
    window: float = WINDOW,
    encoder: Encoder | None = None,
    synops_limit: float | Mapping[int, float] | None = None,
    try_remedies: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Whether a spiking network fits a chip, and what would where it does not.

    Args:
        network: a conversion, or a spiking graph; of a trained one the sizes are checked.
        chip: by name, or one of your own.
        dt: how long a step is, in seconds: the clock of biases ticks once a step.
        chip_readout: whether the answer is read by the readout on the chip, so that classes stand on channels of their
            own.
        rates: of the spiking network, for how busy cores are on average; what stands on parallel cores follows from it,
            from MACs by default.
        data: samples that are simulated in place of that, for peaks too; or a SensorRecording.
        timesteps: of that simulation; 64 unless given, and of a recording all.
        encoder: of that simulation; values as they are where there is none.
        window: over which peaks are taken, in seconds.
        synops_limit: the most synaptic operations of a core in a second, for all or by number; no number is public.
        try_remedies: whether remedies that need no training are simulated on the data, with what they cost in accuracy.
        progress: called with (samples done, samples in all).

    Raises:
        SettingsError: for an unknown chip, a dt that no clock has, a readout that cannot be, or operations per second
            without a dt.
        UnsupportedModelError: for a trained network that cannot be converted.
    """
    own = known_chip(chip)
    if not isinstance(own, Speck):
        given = [rates, data, synops_limit, chip_readout or None]
        if any(value is not None for value in given):
            raise SettingsError(f"chip '{own}': only numbers and shapes are checked; leave rates, data and limits away")
        return _other(network, own)
    trained = isinstance(network, Graph) and not network.populations
    lowered = lower(_of_ones(spiking_graph(network)) if trained else network, own)
    remarks = (TRAINED,) if trained else ()
    if chip_readout:
        wide = spread(lowered.network, own)
        name = wide.readout[0].layer
        rewrites = {**lowered.rewrites, name: (*lowered.rewrites[name], SPREAD)}
        lowered = replace(lowered, network=wide, rewrites=rewrites)
    told, clock = _remarks(lowered, own, dt)
    busy = None
    if (rates is not None or data is not None) and (trained or lowered.problems):
        told = (*told, NOT_YET)
    elif data is not None:
        if dt is None:
            raise SettingsError("operations per second need to know how long a step is: say dt (--dt 1ms)")
        if isinstance(data, SensorRecording):
            data = data.frames(spiking_graph(network).inputs, dt, timesteps)
            timesteps, encoder = data.shape[1], EventFrames()
        timesteps = timesteps or TIMESTEPS
        settings: dict[str, Any] = {"window": window, "encoder": encoder, "progress": progress}
        busy = measured_bandwidth(network, lowered.network, data, timesteps, dt, **settings)
    elif rates is not None:
        busy = from_rates(lowered.network, rates, dt)
    layers = _layers(lowered, own, None if busy is None else {one.layer: one.busiest for one in busy.layers})
    fit = Fit(own, layers, lowered.problems, _whole(lowered, own), (*remarks, *told), lowered.network, clock, busy)
    limit = own.synops_per_second if synops_limit is None else synops_limit
    fit = fit if busy is None else _busy(fit, own, busy, limit)
    if not try_remedies or busy is None or dt is None or timesteps is None or not isinstance(network, Conversion):
        return fit
    return replace(fit, tried=trials(network, own, data, timesteps, dt, window=window, encoder=encoder))


def _other(network: Graph | Conversion, chip: Chip) -> Fit:
    """A network beside the public limits of a chip of another kind."""
    if isinstance(chip, Xylo):
        trained = not spiking_graph(network).populations
        spiking = spiking_graph(_of_ones(spiking_graph(network)) if trained else network)
        return Fit(chip, (), (), broken_on_xylo(spiking, chip), (INTEGERS, *chip.notes))
    if isinstance(chip, Akida):
        folded = network.folded if isinstance(network, Conversion) else network
        bits = ", ".join(map(str, chip.weight_bits))
        return Fit(chip, (), (), broken_on_akida(folded, chip), (QUANTISED.format(bits), *chip.notes))
    raise SettingsError(f"chip '{chip}': nobody says how a {type(chip).__name__} is checked")


def _busy(fit: Fit, chip: Speck, busy: Bandwidth, limit: float | Mapping[int, float] | None) -> Fit:
    """With limits on operations per second, and what would save some."""
    exceeded, over = [], []
    for layer in fit.layers:
        load, most = busy[layer.layer].busiest, limit
        if isinstance(limit, Mapping):
            most = None if layer.core is None else limit.get(layer.core)
        if isinstance(most, float | int) and load > most:
            over.append(layer.layer)
            exceeded.append(
                f"{layer.layer}: core {layer.core} would do {load:,.0f} synaptic operations a second, "
                f"{load / most:.2f} times the limit of {most:,.0f}"
            )
    busiest = max(busy.layers, key=lambda one: one.busiest).layer
    limits = None if isinstance(limit, Mapping) else limit
    saved = savings(fit.network, chip, busy, over or [busiest], limits) if fit.network is not None else ()
    remarks = (*fit.remarks, *busy.remarks)
    return replace(fit, exceeded=tuple(exceeded), savings=saved, remarks=remarks)


def _of_ones(graph: Graph) -> Conversion:
    """A trained network with λ of 1, whose sizes are those that it has whatever λ are."""
    folded, _ = prepare(graph, answer="drop")
    return from_scales(folded, {node.name: np.ones(()) for node in folded.of_type(ReLU, Output)}, readout="count")


def _whole(lowered: Lowered, chip: Speck) -> tuple[str, ...]:
    """The limits that the network as a whole breaks."""
    network = lowered.network
    names = [own.name for own in network.inputs]
    found = [f"input '{name}': {limit}" for name in names for limit in broken_by_sending(network, name, chip)]
    layers, cores = len(network.layers) + len(lowered.missing), len(chip.cores)
    if layers > cores:
        found.append(f"{layers} layers are more than the {cores} cores of {chip}: take {layers - cores} away")
    return tuple(found)


def _layers(lowered: Lowered, chip: Speck, work: Mapping[str, float] | None) -> tuple[LayerFit, ...]:
    """Every layer against every core."""
    network = lowered.network
    sizes = [Sizes.of(layer) for layer in network.layers]
    fitting = [tuple(core.number for core in chip.cores if holds(core, one)) for one in sizes]
    amounts = None if work is None else [work.get(layer.name, 0.0) for layer in network.layers]
    best = assign(network.layers, chip.cores, amounts)
    placed: Sequence[int | None] = most_placed(fitting) if best is None else best
    found = []
    for k, (layer, one) in enumerate(zip(network.layers, sizes, strict=True)):
        limits = [*broken(one, chip), *broken_by_sending(network, layer.name, chip)]
        large = too_large(one, chip)
        limits += [large] if large else []
        if placed[k] is None and not large and len(sizes) <= len(chip.cores):
            limits.append(_competing(network.layers, fitting, k))
        what = changes(sizes, k, chip) if limits else ()
        found.append(_layer(layer, fitting[k], placed[k], limits, what, lowered.rewrites[layer.name]))
    return tuple(found)


def _layer(
    layer: ChipLayer,
    cores: tuple[int, ...],
    core: int | None,
    limits: Sequence[str],
    what: tuple[Change, ...],
    rewrites: tuple[str, ...],
) -> LayerFit:
    return LayerFit(
        layer.name,
        layer.input_shape,
        layer.output_shape,
        layer.kernel,
        layer.stride,
        layer.padding,
        layer.kernel_words,
        layer.neuron_words,
        layer.bias_words,
        layer.macs,
        cores,
        core,
        tuple(limits),
        what,
        rewrites,
    )


def _competing(layers: Sequence[ChipLayer], fitting: Sequence[Sequence[int]], which: int) -> str:
    """Why a layer gets no core although some hold it: the layers that need the same ones."""
    cores, names = set(fitting[which]), {which}
    placed = most_placed(fitting)
    while True:  # the cores that it could have, who has them, the cores that these could have instead, …
        more = {k for k, core in enumerate(placed) if core in cores} - names
        if not more:
            break
        names |= more
        cores |= {core for k in more for core in fitting[k]}
    told = ", ".join(layers[k].name for k in sorted(names))
    return f"{len(names)} layers ({told}) need {len(cores)} cores ({', '.join(map(str, sorted(cores)))})"


def _remarks(lowered: Lowered, chip: Speck, dt: float | None) -> tuple[tuple[str, ...], float | None]:
    """What to know beside, and the rate of the clock that biases need."""
    network, rewrites = lowered.network, lowered.rewrites
    low, high = chip.slow_clock_hz
    if dt is not None and not 1 / high <= dt <= 1 / low:
        raise SettingsError(
            f"chip '{chip}': the slow clock ticks {low:g} to {high:g} times a second, so that a step lasts "
            f"{1 / high:g} to {1 / low:g} s, not {dt:g} s"
        )
    found = [text for name, text in ASSUMED.items() if any(name in names for names in rewrites.values())]
    biased = [layer.name for layer in network.layers if layer.has_bias]
    if any(layer.v_min == 0 for layer in network.layers):
        found.append("a lowest potential of 0 becomes −1: at 0 the chip has a known fault")
    if not biased:
        return tuple(found), None
    rate = None if dt is None else 1 / dt
    ticks = f"{rate:,.6g} Hz" if rate else f"1/dt, {low:g} Hz to {high:,g} Hz (say dt)"
    who = f"{len(biased)} layers have biases" if len(biased) > 1 else f"layer {biased[0]} has a bias"
    found.append(f"{who}: the slow clock must tick at {ticks}; without it they do nothing")
    return tuple(found), rate
