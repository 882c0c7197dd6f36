"""What calibration found: distributions of activations, and thresholds from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.inputs import InputRange, parse_input_scale
from spikewright.calibration.requests import Histogram, Request, Totals
from spikewright.calibration.requests import parse as request_of
from spikewright.calibration.score import AnalogScore
from spikewright.calibration.thresholds import Method, NodeFacts, threshold_method
from spikewright.conversion.neurons import NeuronsGiven, neurons_of
from spikewright.errors import CalibrationError, ModelFileError, SettingsError
from spikewright.files import atomic_path
from spikewright.provenance import PROVENANCE, History, described, descriptions
from spikewright.settings import fits
from spikewright.tabular import Table, Tabular
from spikewright.tensors import Kind, read_tensors, write_tensors
from spikewright.text import brief, first_line, listed

KIND = Kind(
    key="spikewright-statistics",
    noun="statistics file",
    contents="statistics",
    format=3,
    facts=frozenset({"key", "samples", "exact", "nodes", "inputs", "input_scale", "scores", "remarks"}),
    optional=frozenset({PROVENANCE}),
    again="delete it and calibrate again",
)
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class NodeStatistics:
    """The values of one node over the whole data set.

    Attributes:
        layer: its index among the weighted layers, for schedules.
        ceiling: of its ReLU, or None.
        count: how many values there were.
        positives: ``(channels,)``: how many values were positive.
        maximum: ``(channels,)``: the largest positive value, 0 without any.
        results: what was found, by ``Request.key`` and the names of its arrays; ``node[request]`` reads it.
    """

    layer: int
    ceiling: float | None
    count: int
    positives: NDArray[np.int64]
    maximum: NDArray[np.float64]
    results: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)

    __repr__ = brief

    def __getitem__(self, request: Request[Found]) -> Found:
        """What was found for a request: an array of percentiles, a ``Distribution``, ``MomentSums``.

        Raises:
            CalibrationError: when it was not asked for when calibrating.
        """
        if request.key not in self.results:
            have = ", ".join(self.results) or "none"
            raise CalibrationError(f"the statistics hold no {request} (they hold {have})", "calibrate again")
        return request.found(dict(self.results[request.key]))

    @property
    def histogram(self) -> NDArray[np.int64]:
        """``(32768,)``: all positive values by the upper 16 bits of their float32 pattern."""
        found = self[Histogram()]
        return np.concatenate([found.below[None], found.counts[:-1]])

    @property
    def edges(self) -> NDArray[np.float64]:
        """``(32769,)``: the borders of the histogram's bins."""
        return np.concatenate([[0.0], self[Histogram()].edges[:-1]])

    @property
    def totals(self) -> Totals:
        """What is always counted."""
        found = Totals(len(self.positives))
        found.count, found.positives, found.maximum = self.count, self.positives, self.maximum
        return found


@dataclass(frozen=True, eq=False)
class Statistics(Tabular):
    """Statistics of every ReLU, output and input of a graph over a data set.

    Attributes:
        nodes: by name of a ReLU or output.
        key: fingerprint of the graph's weights and the data.
        samples: how many samples were seen.
        exact: whether percentiles are exact, or off by up to ``relative_error``.
        inputs: by input, the range of its values.
        input_scale: how λ of inputs comes about, as text; ``dataclasses.replace`` chooses another.
        scores: by labelled output, how good the analog network is.
        remarks: what is odd about the labels, in sentences.
        provenance: how they were made.
    """

    nodes: Mapping[str, NodeStatistics]
    key: str
    samples: int
    exact: bool = True
    inputs: Mapping[str, InputRange] = field(default_factory=dict)
    input_scale: str = "max"
    scores: Mapping[str, AnalogScore] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    provenance: History = ()

    def __repr__(self) -> str:
        return f"Statistics({self.samples:,} samples, of {listed(list(self.nodes))})"

    def _table(self) -> Table:
        """A row a node: how many of its values are positive, and the largest."""
        rows = []
        for name, node in self.nodes.items():
            share = float(node.positives.sum()) / max(node.count, 1)
            rows.append((name, node.count, share, float(node.maximum.max(initial=0)), node.ceiling))
        lines = [f"Statistics of {self.samples:,} samples", *map(str, self.remarks)]
        return Table.of_rows(("node", "values", "positive", "largest", "ceiling"), rows, lines)

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of a percentile: half a bin of the first pass (0 when exact)."""
        return 0.0 if self.exact else 2.0**-7

    def scales(self, method: Method | str, neurons: NeuronsGiven = None) -> dict[str, NDArray[np.float64]]:
        """λ of every ReLU and output by a threshold method, and of inputs: positive and finite, whatever the data.

        A channel that was never positive, or for which the method finds no positive λ, takes the λ of its layer; a
        layer for which it finds none takes its largest activation, and one that was never positive takes 1. No λ
        exceeds the ceiling of its ReLU. λ of an input is ``event_values``, whatever the method.

        Args:
            method: as a value or as its text.
            neurons: what the populations will be like, which some methods heed (``mmse``): as of ``convert``.

        Raises:
            CalibrationError: for a percentile that was not asked for when calibrating.
        """
        chosen, by_population = threshold_method(method), neurons_of(neurons)
        return {
            **{name: np.asarray(value) for name, value in self.event_values().items()},
            **{
                name: _scale(NodeFacts(node, by_population.of(name), node.ceiling), node, chosen)
                for name, node in self.nodes.items()
            },
        }

    def event_values(self) -> dict[str, float]:
        """λ by input: what one event of the Poisson encoder stands for, after ``input_scale``.

        Raises:
            CalibrationError: for a percentile that was not asked for when calibrating.
        """
        scale = parse_input_scale(self.input_scale)
        return {name: values.event_value(scale) for name, values in self.inputs.items()}

    def save(self, path: Path | str, force: bool = False) -> None:
        """Write to one safetensors file, whole or not at all.

        Args:
            path: of the file.
            force: whether a file that stands there is replaced.

        Raises:
            StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        """
        arrays, header = {}, {}
        for name, node in self.nodes.items():
            for label in ("positives", "maximum"):
                arrays[f"{name}/{label}"] = getattr(node, label)
            for request, found in node.results.items():
                arrays |= {f"{name}/{request}/{label}": np.asarray(a, order="C") for label, a in found.items()}
            header[name] = {label: getattr(node, label) for label in ("layer", "ceiling", "count")}
        facts = {
            **{label: getattr(self, label) for label in ("key", "samples", "exact", "input_scale")},
            "nodes": header,
            "inputs": {name: values.facts for name, values in self.inputs.items()},
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "remarks": list(self.remarks),
            PROVENANCE: descriptions(self.provenance),
        }
        with atomic_path(path, force) as temporary:
            write_tensors(temporary, KIND, facts, arrays)

    @classmethod
    def load(cls, path: Path | str, expect_key: str | None = None) -> Statistics:
        """Read what ``save`` wrote: everything in it is checked, and nothing executed.

        Args:
            path: the file.
            expect_key: from ``statistics_key``; refuses statistics of another network or other data.

        Raises:
            ModelFileError: for a file that is missing, damaged, not ours, or from a later version.
            CalibrationError: for statistics of another network or other data.
        """
        facts, arrays = read_tensors(path, KIND)
        try:
            made = described(facts.pop(PROVENANCE, None))
            _check(_facts_of_all, facts, "the statistics")
            if expect_key is not None and facts["key"] != expect_key:
                raise CalibrationError(f"{path}: statistics of another network or other data", "calibrate again")
            nodes = {name: _node(name, one, arrays) for name, one in facts["nodes"].items()}
            inputs = {name: InputRange.of_facts(one) for name, one in facts["inputs"].items()}
            scores = {name: AnalogScore.of_facts(one) for name, one in facts["scores"].items()}
            parse_input_scale(facts["input_scale"])
            if arrays:
                raise ValueError(f"it holds '{min(arrays)}', which is of no node")
        except (ValueError, LookupError, SettingsError) as error:
            raise ModelFileError(f"{path}: damaged, {first_line(error)}; {KIND.again}") from error
        known = {label: facts[label] for label in ("key", "samples", "exact", "input_scale")}
        known |= {"remarks": tuple(facts["remarks"]), "provenance": made}
        return cls(nodes=nodes, inputs=inputs, scores=scores, **known)


def _scale(facts: NodeFacts, node: NodeStatistics, method: Method) -> NDArray[np.float64]:
    """λ of one population by a method, wherever it finds one."""
    scale = np.asarray(method.scale(facts), np.float64)
    if scale.ndim:
        scale = np.where(_usable(scale) & (node.positives > 0), scale, method.whole(facts))
    scale = np.where(_usable(scale), scale, np.max(node.maximum))
    scale = np.where(_usable(scale), scale, 1.0)
    return scale if node.ceiling is None else np.minimum(scale, node.ceiling)


def _usable(scale: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.isfinite(scale) & (scale > 0)


_facts_of_all = {
    **{"format": int, "key": str, "samples": int, "exact": bool, "input_scale": str, "remarks": list[str]},
    **dict.fromkeys(("nodes", "inputs", "scores"), dict[str, dict[str, Any]]),
}
_facts_of_node = {"layer": int, "ceiling": float | None, "count": int}


def _check(hints: Mapping[str, Any], facts: Mapping[str, Any], where: str) -> None:
    """Refuse facts that are not exactly those there are, or of another type; whole numbers are never negative."""
    for label in hints.keys() | facts.keys():
        value = facts.get(label)
        known = label in hints and label in facts and fits(value, hints[label])
        if not known or (isinstance(value, float | int) and value < 0):
            raise ValueError(f"{label} of {where} cannot be {value!s:.40}")


def _node(name: str, facts: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> NodeStatistics:
    """The statistics of a node, whose arrays are taken out of those of the file."""
    _check(_facts_of_node, facts, f"'{name}'")
    positives = _taken(arrays, f"{name}/positives", np.int64, None)
    channels = positives.shape
    maximum = _taken(arrays, f"{name}/maximum", np.float64, channels)
    if facts["ceiling"] == 0 or not np.isfinite(maximum).all() or positives.sum() > facts["count"]:
        raise ValueError(f"the statistics of '{name}' contradict each other")
    node = NodeStatistics(**facts, positives=positives, maximum=maximum, results={})
    results: dict[str, dict[str, NDArray[Any]]] = {}
    for key in sorted(k for k in arrays if k.startswith(f"{name}/")):
        text, _, label = key.removeprefix(f"{name}/").rpartition("/")
        request = request_of(text)
        if request is not None and label in request.names:  # others are of a node whose name goes on
            results.setdefault(text, {})[label] = arrays.pop(key)
    if Histogram().key not in results:
        raise ValueError(f"the histogram of '{name}' is missing")
    for text, found in results.items():
        request = request_of(text)
        assert request is not None
        try:
            request.check(found, node.totals)
        except (ValueError, LookupError) as error:
            raise ValueError(f"{request} of '{name}': {first_line(error)}") from error
    return replace(node, results=results)


def _taken(
    arrays: dict[str, NDArray[Any]], key: str, kind: type[np.generic], shape: tuple[int, ...] | None
) -> NDArray[Any]:
    """One array, of the type and shape that it must have, without negative numbers; a row where no shape is given."""
    array = arrays.pop(key, None)
    if array is None:
        raise ValueError(f"'{key}' is missing")
    fitting = array.ndim == 1 and array.size > 0 if shape is None else array.shape == shape
    if array.dtype != kind or not fitting or (array < 0).any() or np.isinf(array).any():
        raise ValueError(f"'{key}' cannot be {array.dtype} {array.shape} with such values")
    return array
