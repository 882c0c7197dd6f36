"""Remedies that need no training, tried: what they save, and what they cost in the score, both by simulation.

A gain below 1 is the lower gain, and the higher thresholds everywhere, of the vendor's guide: see
``corrections/gain.py``. A higher threshold of the layers before the busiest one, and a decimator there, let fewer
events through, and the weights behind are taken so many times, so that means stay.

Where the network fits its chip it is run as that would: in integers by the common rule, event by event. Where it does
not, or samples are frames of events or have values below zero, it is run in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikewright.chips.bandwidth import measured_bandwidth
from spikewright.chips.chip import Speck
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.chips.quantise import quantise
from spikewright.chips.simulation.measuring import measure_chip
from spikewright.chips.simulation.trains import trains_of
from spikewright.conversion import Conversion
from spikewright.corrections.correcting import correct
from spikewright.data import ArrayDataset, as_dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.errors import DataError, SettingsError
from spikewright.forward import run as run_trained
from spikewright.graph import Graph
from spikewright.measures import measure
from spikewright.nodes import IF, ChannelAffine, Output
from spikewright.tasks import SCORES
from spikewright.text import percent

SAMPLES = 100
"""The most samples that remedies are tried on."""
GAINS, SCALES, DECIMATORS = (0.5, 0.25), (2, 4), (2, 4, 8)
"""Gains of the whole network, and thresholds and decimators before its busiest layer, that are tried."""


@dataclass(frozen=True)
class Remedy:
    """What is tried.

    Attributes:
        text: what it is, as people say it; empty for the network as it is.
        gain: of the whole network.
        thresholds: by layer, how many times its own.
        decimators: by layer, one of so many spikes that is passed on.
    """

    text: str = ""
    gain: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    decimators: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One remedy that was tried on the whole network.

    Attributes:
        remedy: what was done; empty for the network as it is.
        busiest: by layer its busiest, synaptic operations per second.
        score: of the answers, by labels where there are any, else how many are the trained network's.
        measure: the name of the score.
        how: what ran: the chip's integers event by event, or the network in steps, and why that.
        samples: so many.
        enough: whether limits that were given are then kept; None where there are none.
        refused: why it could not be tried; empty where it was.
    """

    remedy: str
    busiest: Mapping[str, float]
    score: float
    measure: str = "accuracy"
    how: str = ""
    samples: int = 0
    enough: bool | None = None
    refused: str = ""

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "busiest": dict(self.busiest), "score": None if np.isnan(self.score) else self.score}


def told(trials: Sequence[Trial]) -> tuple[str, ...]:
    """A line for how it was tried, and one for each trial beside the first, which is the network as it is."""
    if not trials:
        return ()
    before, *others = trials
    found = [f"tried on {before.samples:,} samples, {before.how}:"]
    for trial in others:
        if trial.refused:
            found.append(f"not tried: {trial.remedy}: {trial.refused}")
            continue
        shares = {name: 1 - trial.busiest[name] / most for name, most in before.busiest.items() if most > 0}
        if not shares:
            continue
        layer = max(shares, key=lambda name: shares[name])
        most = max(before.busiest, key=lambda name: before.busiest[name])
        there = f" and {percent(shares[most])} % at {most}, the busiest" if layer != most else ", the busiest"
        verdict = {None: "", True: ": enough", False: ": not enough"}[trial.enough]
        saves = f"saves {percent(shares[layer])} % at {layer}{there}"
        found.append(f"tried: {trial.remedy} {saves}, and {_cost(before, trial)}{verdict}")
    return tuple(found)


def _cost(before: Trial, trial: Trial) -> str:
    score = SCORES[before.measure]
    span = f"({score.text(before.score)} to {score.text(trial.score)})"
    if not score.percent:
        return f"changes the {score.title} {span}"
    points = 100 * (trial.score - before.score)
    return f"{'costs' if points <= 0 else 'gains'} {abs(points):.1f} points of {score.title} {span}"


def decimated(graph: Graph, population: str, number: int) -> tuple[Graph, str]:
    """A spiking graph in which every neuron of a population passes one of so many spikes, worth as many.

    Args:
        graph: it.
        population: whose spikes are passed on.
        number: one of so many.

    Returns:
        the graph, and the name of the population that passes them on.
    """
    name = graph.fresh_name(f"{population}_decimator")
    threshold = np.full((), float(number))
    passing = IF(name=name, inputs=(population,), threshold=threshold, v_init=np.zeros(()), max_spikes=None)
    return _worth(graph, population, name, number, [*graph, passing]), name


def raised(graph: Graph, population: str, times: float) -> Graph:
    """A spiking graph in which the threshold of a population is so many times as high, and its spikes are worth it."""
    one = graph[population]
    high: dict[str, Any] = {label: getattr(one, label) * times for label in ("threshold", "v_init")}
    lowest = getattr(one, "v_min", None)
    changed = one.replace(**high, **({} if lowest is None else {"v_min": lowest * times}))
    return _worth(graph, population, population, times, [changed if node is one else node for node in graph])


def _worth(graph: Graph, population: str, sender: str, times: float, nodes: Sequence[Any]) -> Graph:
    """The nodes, where whoever reads a population reads a sender, and takes its spikes so many times."""
    wide, channels = graph.fresh_name(f"{population}_times_{times:g}"), graph.shapes[population][:1]
    back = ChannelAffine(name=wide, inputs=(sender,), scale=np.full(channels, float(times)), bias=np.zeros(channels))
    turned = [
        node
        if node.name == sender
        else node.replace(inputs=tuple(wide if source == population else source for source in node.inputs))
        for node in nodes
    ]
    return graph.with_nodes([*turned, back])


def remedies(network: ChipNetwork, chip: Speck, busiest: str) -> list[Remedy]:
    """What is tried: gains, then thresholds and decimators of the layers that the busiest one hears.

    Args:
        network: as layers of the chip.
        chip: whose decimators there are.
        busiest: the name of the layer that does most.
    """
    found = [Remedy(f"a gain of {gain:g} everywhere, thresholds {1 / gain:g} times as high,", gain) for gain in GAINS]
    before = [name for name in network[busiest].sources if isinstance(network.sender(name), ChipLayer)]
    if not before:
        return found
    names = ", ".join(before)
    found += [
        Remedy(f"thresholds {times} times as high at {names},", thresholds=dict.fromkeys(before, float(times)))
        for times in SCALES
    ]
    found += [
        Remedy(f"a decimator of 1/{number} at {names},", decimators=dict.fromkeys(before, number))
        for number in DECIMATORS
        if number in chip.decimators
    ]
    return found


Try = Callable[[Remedy], tuple[Mapping[str, float], float, str]]
"""What tries a remedy: how busy each layer is, the score, and the score's name."""


def trials(
    conversion: Conversion,
    chip: Speck,
    data: Any,
    timesteps: int,
    dt: float,
    *,
    window: float,
    encoder: Encoder | None = None,
    fits: bool = True,
    limits: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Trial, ...]:
    """The network as it is, then each remedy.

    Args:
        conversion: which the chip can compute.
        chip: for it.
        data: samples, with labels if there are any; a draw of 100 is used.
        timesteps: T.
        dt: how long a step is, in seconds.
        window: over which peaks are taken, in seconds.
        encoder: of the samples.
        fits: whether it fits the chip, and is run as that would.
        limits: by layer the most operations of its core in a second, where somebody gave one.
        progress: called with (remedies done, remedies in all).
    """
    samples = as_dataset(data, conversion.spiking.inputs).sample(SAMPLES)
    network = lower(conversion, chip).checked(chip)
    attempt: Try = _in_steps(conversion, chip, network, samples, timesteps, dt, window, encoder)
    how, reason = "", "" if fits else f"it does not fit {chip}"
    if not reason:
        try:
            on_chip = _on_chip(conversion, chip, samples, timesteps, dt, window, encoder)
            first = on_chip(Remedy())
            attempt, how = on_chip, f"event by event as {chip} would run them, in its integers by the common rule"
        except (SettingsError, DataError) as error:
            reason = str(error).split(";")[0]
    if reason:
        first, how = attempt(Remedy()), f"in steps ({reason})"
    busiest, score, name = first
    found = [_trial(Remedy(), busiest, score, name, how, len(samples), limits)]
    most = max(busiest, key=lambda layer: busiest[layer])
    listed = remedies(network, chip, most)
    for k, remedy in enumerate(listed):
        if progress is not None:
            progress(k + 1, len(listed) + 1)
        try:
            found.append(_trial(remedy, *attempt(remedy), how, len(samples), limits))
        except SettingsError as error:  # λ that were corrected for their rates, layers that share weights
            found.append(Trial(remedy.text, {}, float("nan"), name, how, len(samples), refused=str(error)))
    if progress is not None:
        progress(len(listed) + 1, len(listed) + 1)
    return tuple(found)


def _trial(
    remedy: Remedy,
    busiest: Mapping[str, float],
    score: float,
    name: str,
    how: str,
    samples: int,
    limits: Mapping[str, float] | None,
) -> Trial:
    enough = all(busiest[layer] <= most for layer, most in limits.items()) if limits else None
    return Trial(remedy.text, dict(busiest), score, name, how, samples, enough)


def _gained(conversion: Conversion, samples: Any, gain: float, encoder: Encoder | None) -> Conversion:
    return conversion if gain == 1 else correct(conversion, samples, f"gain:{gain:g}", encoder=encoder or Constant())


def _on_chip(
    conversion: Conversion,
    chip: Speck,
    samples: Any,
    timesteps: int,
    dt: float,
    window: float,
    encoder: Encoder | None,
) -> Try:
    """Event by event, in the chip's integers.

    Raises:
        SettingsError: for samples that are no pictures, or a dt that is no whole number of microseconds.
    """
    trains = trains_of(encoder, timesteps=timesteps, dt=dt)
    labelled = _labelled(conversion, samples)

    def attempt(remedy: Remedy) -> tuple[Mapping[str, float], float, str]:
        made = quantise(
            _gained(conversion, samples, remedy.gain, encoder),
            chip,
            decimator=remedy.decimators,
            threshold_scale=remedy.thresholds,
        )
        found = measure_chip(made, labelled, trains, window=max(1, round(window * 1e6)), allow_overlap=True)
        name, score = _score({output: found.tasks[output].main for output in found.tasks}, found.scores)
        return {layer: one.peak for layer, one in found.layers.items()}, score, name

    return attempt


def _labelled(conversion: Conversion, samples: Any) -> Any:
    """The samples with their labels, or with what the trained network answers where there are none.

    Raises:
        SettingsError: for answers that name no class.
    """
    if samples.has_labels:
        return samples
    if any(not task.startswith("classification") for task in conversion.tasks.values()):
        raise SettingsError("samples have no labels")
    x = np.concatenate([x for x, _ in samples.batches(SAMPLES)])
    found = run_trained(conversion.folded, x)
    answers = {node.name: found[node.name].reshape(len(x), -1) for node in conversion.folded.of_type(Output)}
    if any(values.shape[1] < 2 for values in answers.values()):
        raise SettingsError("samples have no labels, and answers are single numbers")
    classes = {name: values.argmax(1) for name, values in answers.items()}
    return ArrayDataset(x, next(iter(classes.values())) if len(classes) == 1 else classes)


def _in_steps(
    conversion: Conversion,
    chip: Speck,
    network: ChipNetwork,
    samples: Any,
    timesteps: int,
    dt: float,
    window: float,
    encoder: Encoder | None,
) -> Try:
    """In steps, in floats."""
    settings: dict[str, Any] = {} if encoder is None else {"encoder": encoder}

    def attempt(remedy: Remedy) -> tuple[Mapping[str, float], float, str]:
        changed = _gained(conversion, samples, remedy.gain, encoder)
        layers = network if remedy.gain == 1 else lower(changed, chip).network
        spiking, passing = changed.spiking, dict[str, str]()
        for population, times in remedy.thresholds.items():
            spiking = raised(spiking, population, times)
        for population, number in remedy.decimators.items():
            spiking, passing[population] = decimated(spiking, population, number)
        if spiking is not changed.spiking:
            changed = changed.with_spiking(spiking)
        busy = measured_bandwidth(
            changed, layers, samples, timesteps, dt, window=window, encoder=encoder, decimators=passing
        )
        found = measure(changed, samples, timesteps, explain=False, allow_overlap=True, quiet=True, **settings)
        heads = found.heads
        scores = {output: head.scores or head.agreement for output, head in heads.items()}
        name, score = _score({output: head.task.main for output, head in heads.items()}, scores)
        return {load.layer: load.busiest for load in busy.layers}, score, name

    return attempt


def _score(mains: Mapping[str, str], scores: Mapping[str, Mapping[str, Any]]) -> tuple[str, float]:
    """The name of the main score, of the first output, and its mean over the outputs that have it, at the end."""
    name = next(iter(mains.values()))
    last = [float(scores[output][name][-1]) for output in mains if name in scores.get(output, {})]
    return name, float(np.mean(last)) if last else float("nan")
