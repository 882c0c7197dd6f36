"""Whether a network fits a chip: every layer against every core, limits that are broken, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikewright.chips.akida import QUANTISED, broken_on_akida
from spikewright.chips.bandwidth import WINDOW, Bandwidth, from_rates, measured_bandwidth
from spikewright.chips.chip import Akida, Chip, Speck, Xylo
from spikewright.chips.integers import CALIBRATE, coarse
from spikewright.chips.known import chip as known_chip
from spikewright.chips.layer_fit import LayerFit
from spikewright.chips.limits import broken, broken_by_sending, check_limit, too_large
from spikewright.chips.lowering import Lowered, lower, spread
from spikewright.chips.lowering.pool import REST
from spikewright.chips.lowering.readout import SPREAD
from spikewright.chips.mapping import assign, holds, most_placed
from spikewright.chips.network import ChipLayer
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import SensorEvents, sensor_events
from spikewright.chips.savings import savings
from spikewright.chips.simulation.busy import busy_on_chip
from spikewright.chips.sizes import Sizes
from spikewright.chips.suggestions import Change, changes
from spikewright.chips.trials import trials
from spikewright.chips.value import Fit
from spikewright.chips.xylo import INTEGERS, broken_on_xylo, used_of_xylo
from spikewright.cluster import ClusterChoice
from spikewright.conversion import Conversion, from_scales, spiking_graph
from spikewright.encoders import Encoder
from spikewright.encoders.events import EventFrames
from spikewright.engines.settings import TIMESTEPS
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output, ReLU
from spikewright.preparation import prepare
from spikewright.rates import Rates
from spikewright.settings import fits, plain

TRAINED = "the network is not converted yet: its sizes are those that it will have, read by counts of spikes"
NOT_YET = "operations per second are counted once the whole network is converted and can be computed by the chip"
ASSUMED = {
    REST: "rows and columns that a pool leaves over are dropped: an assumption, no source says what a chip does",
}


def check(
    network: Graph | Conversion | Quantised,
    chip: Chip | str | None = None,
    *,
    dt: float | None = None,
    chip_readout: bool = False,
    rates: Rates | None = None,
    data: Any = None,
    timesteps: int | None = None,
    window: float = WINDOW,
    encoder: Encoder | None = None,
    synops_limit: float | Mapping[int, float] | None = None,
    busy: Bandwidth | None = None,
    try_remedies: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cluster: ClusterChoice = None,
) -> Fit:
    """Whether a spiking network fits a chip, and what would where it does not.

    Args:
        network: a conversion, a spiking graph, or a network in a chip's integers, which the data are sent to event by
            event; of a trained one the sizes are checked.
        chip: by name, or one of your own; that of the integers, or speck2f, unless given.
        dt: how long a step is, in seconds: the clock of biases ticks once a step.
        chip_readout: whether the answer is read by the readout on the chip, so that classes stand on channels of their
            own.
        rates: of the spiking network, for how busy cores are on average; what stands on parallel cores follows from it,
            from MACs by default.
        data: samples that are simulated in place of that, for peaks too; or a Recording.
        timesteps: of that simulation; 64 unless given, and of a recording all.
        encoder: of that simulation; values as they are where there is none. Of integers only the regular trains.
        window: over which peaks are taken, in seconds.
        synops_limit: the most synaptic operations of a core in a second, for all or by number; no number is public.
        busy: how busy its cores are, where that is known already.
        try_remedies: whether remedies that need no training are simulated on the data, with what they cost in accuracy.
        progress: called with (samples done, samples in all).
        cluster: workers that share the samples of a simulation in steps: see ``simulate``; integers run in one place.

    Raises:
        SettingsError: for an unknown chip, a dt that no clock has, a readout that cannot be, or operations per second
            without a dt.
        UnsupportedModelError: for a trained network that cannot be converted.
    """
    own = known_chip(chip or (network.chip if isinstance(network, Quantised) else "speck2f"))
    if not isinstance(network, Graph | Conversion | Quantised):
        raise SettingsError(f"a network is checked, trained, converted or quantised, not a {type(network).__name__}")
    if dt is not None and not fits(plain(dt), float):
        raise SettingsError(f"dt is how long a step is, a number of seconds, not {dt!r:.40}")
    if not isinstance(own, Speck):
        given = [rates, data, busy, synops_limit, chip_readout or None]
        if any(value is not None for value in given):
            raise SettingsError(f"chip '{own}': only numbers and shapes are checked; leave rates, data and limits away")
        return _other(network, own)
    check_limit(synops_limit, own)
    data = sensor_events(data)
    if data is not None and dt is None:
        raise SettingsError("operations per second need to know how long a step is: say dt (--dt 1ms)")
    if isinstance(network, Quantised):
        if rates is not None or try_remedies or encoder is not None:
            raise SettingsError("integers are sent regular trains of the data: leave rates, encoder and trials away")
        lowered, trained = Lowered(network.network, {layer.name: () for layer in network.network.layers}), False
    else:
        trained = isinstance(network, Graph) and not network.populations
        lowered = lower(_of_ones(spiking_graph(network)) if trained else network, own)
    remarks = (TRAINED,) if trained else ()
    if chip_readout:
        wide = spread(lowered.network, own)
        name = wide.readout[0].layer
        rewrites = {**lowered.rewrites, name: (*lowered.rewrites[name], SPREAD)}
        lowered = replace(lowered, network=wide, rewrites=rewrites)
    told, clock = _remarks(lowered, own, dt, network.ticks if isinstance(network, Quantised) else 1)
    told = told if trained else (*told, *_lost(network, lowered, own))
    if (rates is not None or data is not None) and (trained or lowered.problems):
        told = (*told, NOT_YET)
    elif data is not None and isinstance(network, Quantised):
        busy = busy_on_chip(network, data, timesteps, dt or 0.0, window=window, progress=progress)
    elif data is not None and not isinstance(network, Quantised):
        if isinstance(data, SensorEvents):
            data = data.frames(spiking_graph(network).inputs, dt or 0.0, timesteps)
            timesteps, encoder = data.shape[1], EventFrames()
        timesteps = TIMESTEPS if timesteps is None else timesteps
        settings: dict[str, Any] = {"window": window, "encoder": encoder, "progress": progress, "cluster": cluster}
        busy = measured_bandwidth(network, lowered.network, data, timesteps, dt or 0.0, **settings)
    elif rates is not None:
        busy = from_rates(lowered.network, rates, dt)
    layers = _layers(lowered, own, None if busy is None else {one.layer: one.busiest for one in busy.layers})
    whole, losses = _whole(lowered, own), network.losses if isinstance(network, Quantised) else ()
    fit = Fit(own, layers, lowered.problems, whole, (*remarks, *told), lowered.network, clock, busy, losses=losses)
    limit = own.synops_per_second if synops_limit is None else synops_limit
    fit = replace(fit, synops_limit=limit)
    fit = fit if busy is None else _busy(fit, own, busy)
    if not try_remedies or busy is None or dt is None or timesteps is None or not isinstance(network, Conversion):
        return fit
    more: dict[str, Any] = {"window": window, "encoder": encoder, "limits": fit.limits, "progress": progress}
    return replace(fit, tried=trials(network, own, data, timesteps, dt, fits=fit.fits, **more))


def _other(network: Graph | Conversion | Quantised, chip: Chip) -> Fit:
    """A network beside the public limits of a chip of another kind."""
    if isinstance(network, Quantised):
        raise SettingsError(f"chip '{chip}': the integers are those of {network.chip}; give what they were made of")
    if isinstance(chip, Xylo):
        trained = not spiking_graph(network).populations
        spiking = spiking_graph(_of_ones(spiking_graph(network)) if trained else network)
        used = used_of_xylo(spiking, chip)
        return Fit(chip, (), (), broken_on_xylo(spiking, chip), (INTEGERS, *chip.notes), used=used)
    if isinstance(chip, Akida):
        folded = network.folded if isinstance(network, Conversion) else network
        bits = ", ".join(map(str, chip.weight_bits))
        return Fit(chip, (), (), broken_on_akida(folded, chip), (QUANTISED.format(bits), *chip.notes))
    raise SettingsError(f"chip '{chip}': nobody says how a {type(chip).__name__} is checked")


def _busy(fit: Fit, chip: Speck, busy: Bandwidth) -> Fit:
    """With limits on operations per second, and what would save some."""
    limits = fit.limits
    over = [one.layer for one in busy.layers if one.busiest > limits.get(one.layer, np.inf)]
    exceeded = [
        f"{name}: core {fit.cores.get(name)} would do {busy[name].busiest:,.0f} synaptic operations a second, "
        f"{busy[name].busiest / limits[name]:.2f} times the limit of {limits[name]:,.0f}"
        for name in over
    ]
    busiest = max(busy.layers, key=lambda one: one.busiest).layer
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


def _lost(network: Graph | Conversion | Quantised, lowered: Lowered, chip: Speck) -> tuple[str, ...]:
    """Layers whose integers are too coarse, and what to do about it."""
    if isinstance(network, Quantised):
        return network.notes
    found = [coarse(layer, chip.kernel_bits) for layer in lowered.network.layers]
    return tuple(f"{text} by the common rule; {CALIBRATE}" for text in found if text)


def _remarks(lowered: Lowered, chip: Speck, dt: float | None, ticks: int) -> tuple[tuple[str, ...], float | None]:
    """What to know beside, and the rate of the clock that biases need."""
    network, rewrites = lowered.network, lowered.rewrites
    low, high = chip.slow_clock_hz
    if dt is not None and not ticks / high <= dt <= ticks / low:
        raise SettingsError(
            f"chip '{chip}': the slow clock ticks {low:g} to {high:g} times a second, so that a step lasts "
            f"{ticks / high:g} to {ticks / low:g} s, not {dt:g} s"
        )
    found = [text for name, text in ASSUMED.items() if any(name in names for names in rewrites.values())]
    biased = [layer.name for layer in network.layers if layer.has_bias]
    if any(layer.v_min == 0 for layer in network.layers):
        found.append("a lowest potential of 0 becomes −1: at 0 the chip has a known fault")
    if not biased:
        return tuple(found), None
    rate = None if dt is None else ticks / dt
    hertz = f"{rate:,.6g} Hz" if rate else f"1/dt, {low:g} Hz to {high:,g} Hz (say dt)"
    who = f"{len(biased)} layers have biases" if len(biased) > 1 else f"layer {biased[0]} has a bias"
    found.append(f"{who}: the slow clock must tick at {hertz}; without it they do nothing")
    return tuple(found), rate
