"""Synaptic operations per second of every layer of a chip, on average and at their peak: what stalls it is a peak.

An event costs a core as many operations as the neurons that it reaches, whatever their weights: exact at borders,
behind pools, and for every source of a layer. No limit is public; whoever measured one gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.course import Course, course
from spikewright.chips.lowering.inputs import in_order
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination
from spikewright.cluster import ClusterChoice, each_part, workers_of
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Dataset, Recordings, as_dataset
from spikewright.data.recordings import EventDataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.events import EventFrames
from spikewright.encoders.recordings import RecordedEvents
from spikewright.engines import RunSettings, simulate
from spikewright.engines.on_events import on_events
from spikewright.errors import DataError, SettingsError
from spikewright.forward import split_inputs
from spikewright.graph import Graph
from spikewright.parts import cut
from spikewright.rates import Rates

Floats = NDArray[np.float64]
BATCH = 16
"""So many samples are simulated at a time, with every spike kept."""
WINDOW = 1e-3
"""Seconds over which a peak is taken where nobody says."""
LATENCY = (
    "synaptic operations per second say how busy a core is, not how late an answer comes: one event takes 3.36 µs "
    "through nine layers (arXiv 2304.06793); what a core can do in a second is not public"
)


@dataclass(frozen=True)
class LayerLoad:
    """How busy the core of one layer is.

    Attributes:
        layer: its name.
        mean: synaptic operations per second, over all samples and steps.
        peak: the most in any window of any sample; None where only rates are known.
        peak_at: the second at which that window begins.
        events: how many events arrive per second, on average.
    """

    layer: str
    mean: float
    peak: float | None
    peak_at: float | None
    events: float

    def __str__(self) -> str:
        """``conv2: 1,200,000 synaptic operations/s, at most 3,400,000``."""
        most = "" if self.peak is None else f", at most {self.peak:,.0f} (from {self.peak_at:g} s)"
        return f"{self.layer}: {self.mean:,.0f} synaptic operations a second{most}"

    @property
    def busiest(self) -> float:
        """The peak, or the mean where that is all that is known."""
        return self.mean if self.peak is None else self.peak


@dataclass(frozen=True, eq=False)
class Bandwidth:
    """How busy every core is.

    Attributes:
        layers: in order.
        dt: how long a step is, in seconds.
        window: over which peaks are taken, in seconds; None where only rates are known.
        samples, timesteps: how much was looked at.
        sent: by input and layer, the events of each neuron per second, ``(channels, rows, columns)``.
        over_time: by layer its operations in each window; empty where only rates are known.
    """

    layers: tuple[LayerLoad, ...]
    dt: float
    window: float | None
    samples: int
    timesteps: int
    sent: Mapping[str, Floats]
    over_time: Mapping[str, Course] = field(default_factory=dict)

    def __getitem__(self, name: str) -> LayerLoad:
        for layer in self.layers:
            if layer.layer == name:
                return layer
        raise SettingsError(f"no layer '{name}'; there are {', '.join(one.layer for one in self.layers)}")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the numbers are, and are not."""
        if self.window is None:
            return ("bandwidth: means from rates; a chip stalls on peaks, which only single events show", LATENCY)
        samples = "1 sample" if self.samples == 1 else f"{self.samples:,} samples"
        run = f"{samples} of {self.timesteps} steps of {self.dt:g} s"
        found = [f"bandwidth: {run}, peaks over {self.window:g} s"]
        if self.window > self.timesteps * self.dt * (1 + 1e-9):
            whole = f"{self.timesteps * self.dt:g} s"
            found.append(f"the window is longer than the run of {whole}: peaks are those of all of it")
        if self.window < self.dt:
            found.append("peaks are those of whole steps: events are taken as evenly spaced within a step")
        return (*found, LATENCY)

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        labels = ("layer", "mean", "peak", "peak_at", "events")
        layers = [{label: getattr(layer, label) for label in labels} for layer in self.layers]
        facts = {"dt": self.dt, "window": self.window, "samples": self.samples, "timesteps": self.timesteps}
        over_time = {name: one.summary() for name, one in self.over_time.items()}
        return {**facts, "layers": layers, "over_time": over_time}


def operations(sender: ChipInput | ChipLayer, destination: Destination, layer: ChipLayer) -> Floats:
    """Synaptic operations of one event at each place of its sender, ``(rows, columns)``; 0 where a pool drops it."""
    _, rows, columns = sender.output_shape
    fan_out, pool = layer.fan_out(), destination.pool
    found = np.zeros((rows, columns))
    y, x = np.arange(rows // pool * pool), np.arange(columns // pool * pool)
    found[: len(y), : len(x)] = fan_out[np.ix_(y // pool, x // pool)]
    return found


def synops(network: ChipNetwork, layer: ChipLayer, sent: Mapping[str, Floats]) -> Floats:
    """Synaptic operations of a layer for what is sent.

    Args:
        network: it stands in.
        layer: whose operations are counted.
        sent: by sender ``(…, channels, rows, columns)`` events.

    Returns:
        ``(…)``.
    """
    return sum(
        (
            (sent[sender.name].sum(axis=-3) * operations(sender, destination, layer)).sum(axis=(-2, -1))
            for sender, destination in network.arriving(layer.name)
        ),
        np.zeros(()),
    )


def from_rates(network: ChipNetwork, rates: Rates, dt: float | None = None) -> Bandwidth:
    """The mean load of every core, from rates.

    Args:
        network: as layers of a chip.
        rates: of the spiking network that it was made of.
        dt: how long a step is, in seconds; by default as the rates say.

    Raises:
        SettingsError: where nobody says how long a step is, or the rates are of another network.
    """
    step = rates.dt if dt is None else dt
    if step is None:
        raise SettingsError("rates are spikes a step: say how long a step is, with dt")
    sent = {}
    for sender in network.senders:
        if sender.name in rates.values and sender.destinations:
            own = sender
            if isinstance(sender, ChipInput) and rates.event_value is not None:
                own = replace(sender, event_value=abs(rates.event_value))
            sent[sender.name] = _events(own, rates.sizes(sender.name)[None])[0] / step
        elif sender.destinations:
            raise SettingsError(f"the rates say nothing of '{sender.name}': they are of another network")
    found = tuple(mean_load(network, layer, sent) for layer in network.layers)
    return Bandwidth(found, step, None, rates.samples, rates.timesteps, sent)


def mean_load(network: ChipNetwork, layer: ChipLayer, sent: Mapping[str, Floats]) -> LayerLoad:
    """The mean load of a layer.

    Args:
        network: it stands in.
        layer: whose load it is.
        sent: by sender the events of each neuron per second, ``(channels, rows, columns)``.
    """
    events = sum(
        float(sent[sender.name][:, : rows // d.pool * d.pool, : columns // d.pool * d.pool].sum())
        for sender, d in network.arriving(layer.name)
        for _, rows, columns in [sender.output_shape]
    )
    return LayerLoad(layer.name, float(synops(network, layer, sent)), None, None, events)


def _events(sender: ChipInput | ChipLayer, values: NDArray[Any]) -> Floats:
    """``(N, …)`` values of a node as events of the chip, ``(N, channels, rows, columns)``."""
    wide = np.abs(values.reshape(len(values), -1).astype(np.float64))
    if isinstance(sender, ChipInput):
        wide = in_order(wide, sender.places) / sender.event_value
    return wide.reshape(len(values), *sender.output_shape)


def measured_bandwidth(
    conversion: Graph | Conversion,
    network: ChipNetwork,
    data: Any,
    timesteps: int,
    dt: float,
    *,
    window: float = WINDOW,
    encoder: Encoder | None = None,
    decimators: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cluster: ClusterChoice = None,
) -> Bandwidth:
    """The load of every core while a spiking network runs in steps: means over all, peaks over windows.

    Args:
        conversion: the spiking network.
        network: the same as layers of a chip.
        data: samples, or anything that ``simulate`` takes.
        timesteps: T.
        dt: how long a step is, in seconds.
        window: over which peaks are taken, in seconds; a step at least.
        encoder: of the samples; values as they are, a fraction of an event each, where there is none.
        decimators: by layer the population that passes its spikes on in its place.
        progress: called with (samples done, samples in all).
        cluster: workers that share the samples: see ``simulate``.

    Raises:
        SettingsError: for a window that is not above 0.
        DataError: for samples that do not fit.
    """
    if not 0 < window < float("inf"):
        raise SettingsError(f"a window is a time above 0, not {window:g} s")
    graph = spiking_graph(conversion)
    dataset: Dataset = as_dataset(data, graph.inputs)
    if not len(dataset):
        raise DataError("there are no samples to count operations with; give at least one")
    own = encoder or Constant()
    if isinstance(dataset, Recordings):
        prepared = on_events(graph, dataset, RunSettings(encoder=own, dt=dt))
        graph, dataset = spiking_graph(prepared.network), prepared.data
        own, timesteps = prepared.settings.chosen_encoder, prepared.settings.timesteps
    steps = max(1, min(round(window / dt), timesteps))
    task = _Loaded(graph, network, timesteps, steps, own, decimators or {})
    totals: dict[str, Floats] = {}
    sums: dict[str, Floats] = {}
    mosts: dict[str, Floats] = {}
    seen, parts = 0, cut(len(dataset), BATCH, len(dataset))
    with workers_of(cluster) as workers:
        counted: Iterator[Any]
        if workers is None:
            counted = (_loads_of(task, dataset.between(one.start, one.stop), one.start) for one in parts)
        else:
            counted = each_part(workers, _loads_of, task, dataset, parts, BATCH, progress=progress)
        for part, (sent, moving, most) in zip(parts, counted, strict=True):
            for into, of_part in ((totals, sent), (sums, moving)):
                for name, values in of_part.items():
                    into[name] = into.get(name, 0) + values
            for name, values in most.items():
                mosts[name] = np.maximum(mosts.get(name, 0), values)
            seen += len(part)
            if progress is not None and workers is None:
                progress(seen, len(dataset))
    lasting = np.full(seen, timesteps)
    if isinstance(dataset, EventDataset):
        lasting = np.array([timing.steps for timing in dataset.timings])
    running = seen - np.searchsorted(np.sort(lasting), np.arange(timesteps), side="right")
    here = np.convolve(running, np.full(steps, 1 / steps), "valid")
    rates = {name: total / (lasting.sum() * dt) for name, total in totals.items()}
    courses = {name: course(sums[name], mosts[name], here, dt, steps * dt) for name in sums}
    found = []
    for layer in network.layers:
        peak, begins = courses[layer.name].peak
        found.append(replace(mean_load(network, layer, rates), peak=peak, peak_at=begins))
    return Bandwidth(tuple(found), dt, window, seen, timesteps, rates, courses)


@dataclass(frozen=True)
class _Loaded:
    """What all parts of a simulation for the load of cores share.

    Attributes:
        graph, network, timesteps, encoder, decimators: as of ``measured_bandwidth``.
        steps: of a window.
    """

    graph: Graph
    network: ChipNetwork
    timesteps: int
    steps: int
    encoder: Encoder
    decimators: Mapping[str, str]


def _loads_of(
    task: _Loaded, part: Dataset, first: int
) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
    """Of some samples: what each sender sends in all; and of each layer, by window, its operations and the most."""
    sent = _sent_in_steps(task.graph, task.network, part, task.timesteps, task.encoder, first, task.decimators)
    totals = {name: np.asarray(events.sum(axis=(0, 1))) for name, events in sent.items()}
    sums: dict[str, Floats] = {}
    mosts: dict[str, Floats] = {}
    for layer in task.network.layers:
        each = np.broadcast_to(synops(task.network, layer, sent), (len(part), task.timesteps))
        summed = np.cumsum(np.pad(each, ((0, 0), (1, 0))), axis=1)
        moving = summed[:, task.steps :] - summed[:, : -task.steps]
        sums[layer.name], mosts[layer.name] = moving.sum(axis=0), moving.max(axis=0)
    return totals, sums, mosts


def _sent_in_steps(
    graph: Graph,
    network: ChipNetwork,
    part: Dataset,
    timesteps: int,
    encoder: Encoder,
    first: int,
    decimators: Mapping[str, str],
) -> dict[str, Floats]:
    """What every sender sends, ``(N, T, channels, rows, columns)``."""
    import torch

    run = simulate(graph, part, timesteps, encoder=encoder, record="spikes", quiet=True, first_sample=first)
    fitted = encoder.fitted(graph)
    x: Any
    if isinstance(part, EventDataset):
        x = part.batch(0, len(part))
    else:
        x = torch.from_numpy(np.concatenate([batch for batch, _ in part.batches(BATCH)]).astype(np.float32))
    inputs: dict[str, list[NDArray[Any]]] = {}
    for t in range(timesteps):
        for name, values in split_inputs(graph, fitted.at(x, t, first)).items():
            inputs.setdefault(name, []).append(values.numpy())
    found = {}
    for sender in network.senders:
        if not sender.destinations:
            continue
        if isinstance(sender, ChipInput):
            trains = np.stack(inputs[sender.name], axis=1)
        else:
            trains = np.asarray(run.spikes[decimators.get(sender.name, sender.name)])
        flat = trains.reshape(-1, *trains.shape[2:])
        if isinstance(sender, ChipInput) and isinstance(encoder, EventFrames):
            sender = replace(sender, event_value=1.0)  # a frame holds numbers of events
        elif isinstance(sender, ChipInput) and isinstance(encoder, RecordedEvents):
            sender = replace(sender, event_value=encoder.unit)
        found[sender.name] = _events(sender, flat).reshape(*trains.shape[:2], *sender.output_shape)
    return found
