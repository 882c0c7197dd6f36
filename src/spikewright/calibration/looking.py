"""A look at data and network before work: what the inputs are like, how good the network is, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spikewright.calibration.inputs import InputRange
from spikewright.calibration.score import AnalogScore
from spikewright.calibration.statistics import Statistics
from spikewright.graph import Graph
from spikewright.nodes import ReLU
from spikewright.text import listed

FEW = 100
"""Samples below which thresholds follow the few there are."""
GOOD = 0.8
"""Which part of the way from chance to perfect shows that the network is fed what it was trained for."""
DARK, BRIGHT = 32, 65535
"""The largest of whole numbers that look like pictures nobody scaled."""
DEAD = 0.5
"""A layer with so many channels that are never active is odd."""


@dataclass(frozen=True, eq=False)
class Look:
    """What calibration saw, as people read it.

    Attributes:
        inputs: the range of every input, by name.
        scores: of the analog network, by labelled output.
        event_values: by input, λ: what one event stands for.
        warnings: what is odd, a sentence each.
    """

    inputs: Mapping[str, InputRange]
    scores: Mapping[str, AnalogScore]
    event_values: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([*self.lines, *(f"warning: {line}" for line in self.warnings)])

    @property
    def lines(self) -> list[str]:
        """Ranges and scores, a line each."""
        ranges = [f"{_named('input', n, self.inputs)}: {values}" for n, values in self.inputs.items()]
        return ranges + [f"{_named('analog network', n, self.scores)}: {score}" for n, score in self.scores.items()]

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "inputs": {
                name: {**values.facts, "event_value": self.event_values[name]} for name, values in self.inputs.items()
            },
            "analog_scores": {name: asdict(score) for name, score in self.scores.items()},
            "warnings": list(self.warnings),
        }


def look(graph: Graph, statistics: Statistics) -> Look:
    """What is to be seen in the statistics of a graph, with a warning for what is likely not as it was meant.

    Args:
        graph: the folded graph.
        statistics: of it.
    """
    good = [score.skill is not None and score.skill >= GOOD for score in statistics.scores.values()]
    trusted = bool(good) and all(good)
    found = _of_inputs(statistics, trusted) + _of_scores(statistics)
    if graph.meta.get("initialised") == "as constructed" and not trusted:
        found.append(
            "no weights were given: the network has those that its code gave it (--weights FILE loads trained ones)"
        )
    found += _of_layers(graph, statistics)
    return Look(statistics.inputs, statistics.scores, statistics.event_values(), tuple(found))


def _of_inputs(statistics: Statistics, trusted: bool) -> list[str]:
    found = []
    if statistics.samples < FEW:
        samples = "1 sample" if statistics.samples == 1 else f"{statistics.samples} samples"
        found.append(f"calibrated on {samples} only: thresholds follow these few; a thousand are usual")
    for name, values in statistics.inputs.items():
        which = _named("input", name, statistics.inputs)
        if values.lowest == values.highest:
            found.append(f"{which}: every value is {values.lowest:.6g}: are these the data?")
        elif values.alike:
            found.append(f"{which}: all {statistics.samples:,} samples are the same")
        if values.whole and values.lowest >= 0 and DARK < values.highest <= BRIGHT and not trusted:
            most = 255 if values.highest <= 255 else 65535
            found.append(
                f"{which}: whole numbers from {values.lowest:.0f} to {values.highest:.0f}; networks are usually "
                f"trained on scaled values: is it --preprocess scale=1/{most} that is missing?"
            )
    return found


def _of_scores(statistics: Statistics) -> list[str]:
    found = list(statistics.remarks)
    for name, score in statistics.scores.items():
        if score.near_chance:
            which = _named("analog network", name, statistics.scores)
            found.append(f"{which} near chance, {score}: are data, preprocessing and weights the right ones?")
    return found


def _of_layers(graph: Graph, statistics: Statistics) -> list[str]:
    never, dead = [], []
    for node in graph.of_type(ReLU):
        positives = statistics.nodes[node.name].positives if node.name in statistics.nodes else None
        if positives is None:
            continue
        silent = int((positives == 0).sum())
        if silent == len(positives):
            never.append(node.name)
        elif silent > DEAD * len(positives):
            dead.append(f"{node.name} ({silent} of {len(positives)})")
    found = []
    if never:
        layers = "a layer is" if len(never) == 1 else f"{len(never)} layers are"
        found.append(f"{layers} never active and will never fire: {listed(never, 3)}")
    if dead:
        found.append(f"more than half of the channels are never active in {listed(dead, 3)}")
    return found


def _named(what: str, name: str, all_of_them: Mapping[str, object]) -> str:
    """ "input", or where there are several "input 'name'"."""
    return what if len(all_of_them) == 1 else f"{what} '{name}'"
