"""What calibration found: distributions of activations, and thresholds from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.inputs import InputRange, parse_input_scale
from spikewright.calibration.quantiles import LAYER_SHIFTS
from spikewright.calibration.score import AnalogScore
from spikewright.calibration.thresholds import Method, Wish, parse
from spikewright.errors import CalibrationError, ModelFileError, SettingsError
from spikewright.files import atomic_path
from spikewright.settings import fits
from spikewright.tensors import Kind, read_tensors, write_tensors
from spikewright.text import first_line

KIND = Kind(
    key="spikewright-statistics",
    noun="statistics file",
    contents="statistics",
    format=2,
    facts=frozenset({"key", "samples", "exact", "nodes", "inputs", "input_scale", "scores", "remarks"}),
    again="delete it and calibrate again",
)
BINS = 1 << 15
"""Of a histogram."""


@dataclass(frozen=True, eq=False)
class NodeStatistics:
    """The values of one node over the whole data set.

    Attributes:
        layer: its index among the weighted layers, for schedules.
        ceiling: of its ReLU, or None.
        count: how many values there were.
        histogram: ``(32768,)``: the positive values of the first samples (64, more in a small layer), for pictures, by
            the upper 16 bits of their float32 pattern.
        positives: ``(channels,)``: how many values were positive.
        maximum: ``(channels,)``: the largest positive value, 0 without any.
        quantiles: what was asked for, by ``Wish.key``: shape ``()`` or ``(channels,)``; NaN where a channel
            has no positive value.
    """

    layer: int
    ceiling: float | None
    count: int
    histogram: NDArray[np.int64]
    positives: NDArray[np.int64]
    maximum: NDArray[np.float64]
    quantiles: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def edges(self) -> NDArray[np.float64]:
        """``(32769,)``: the borders of the histogram's bins."""
        bits = np.arange(len(self.histogram) + 1, dtype=np.uint32) << LAYER_SHIFTS[0]
        bits = np.minimum(bits, np.float32(np.inf).view(np.uint32))  # patterns beyond infinity are no numbers
        return np.asarray(bits.view(np.float32), np.float64)

    def quantile(self, wish: Wish) -> NDArray[np.float64]:
        """A percentile that was asked for when calibrating.

        Raises:
            CalibrationError: when it was not.
        """
        if wish.key not in self.quantiles:
            have = ", ".join(self.quantiles) or "none"
            raise CalibrationError(f"the statistics hold no percentile {wish.key} (they hold {have}); calibrate again")
        return self.quantiles[wish.key]


@dataclass(frozen=True, eq=False)
class Statistics:
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
    """

    nodes: Mapping[str, NodeStatistics]
    key: str
    samples: int
    exact: bool = True
    inputs: Mapping[str, InputRange] = field(default_factory=dict)
    input_scale: str = "max"
    scores: Mapping[str, AnalogScore] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of a percentile: half a bin of the first pass (0 when exact)."""
        return 0.0 if self.exact else 2.0**-7

    def scales(self, method: Method | str) -> dict[str, NDArray[np.float64]]:
        """λ of every ReLU and output by a threshold method, and of inputs: positive and finite, whatever the data.

        A channel that was never positive takes the λ of its layer, a layer that never was takes 1, and no λ
        exceeds the ceiling of its ReLU. λ of an input is ``event_values``, whatever the method.

        Args:
            method: as a value or as its text.

        Raises:
            CalibrationError: for a percentile that was not asked for when calibrating.
        """
        chosen = parse(method)
        return {
            **{name: np.asarray(value) for name, value in self.event_values().items()},
            **{name: self._scale(node, chosen) for name, node in self.nodes.items()},
        }

    def event_values(self) -> dict[str, float]:
        """By input, λ: what one event of the Poisson encoder stands for, after ``input_scale``.

        Raises:
            CalibrationError: for a percentile that was not asked for when calibrating.
        """
        scale = parse_input_scale(self.input_scale)
        return {name: values.event_value(scale) for name, values in self.inputs.items()}

    def _scale(self, node: NodeStatistics, method: Method) -> NDArray[np.float64]:
        scale = np.asarray(method.scale(node), np.float64)
        if scale.ndim:
            whole = method.whole(node)
            scale = np.where(node.positives > 0, scale, whole if np.isfinite(whole) and whole > 0 else 1.0)
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
        return scale if node.ceiling is None else np.minimum(scale, node.ceiling)

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
            for label in ("histogram", "positives", "maximum"):
                arrays[f"{name}/{label}"] = getattr(node, label)
            for wish, value in node.quantiles.items():
                arrays[f"{name}/quantile/{wish}"] = value
            header[name] = {label: getattr(node, label) for label in ("layer", "ceiling", "count")}
        facts = {
            **{label: getattr(self, label) for label in ("key", "samples", "exact", "input_scale")},
            "nodes": header,
            "inputs": {name: values.facts for name, values in self.inputs.items()},
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "remarks": list(self.remarks),
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
            _check(_facts_of_all, facts, "the statistics")
            if expect_key is not None and facts["key"] != expect_key:
                raise CalibrationError(f"{path}: statistics of another network or other data; calibrate again")
            nodes = {name: _node(name, one, arrays) for name, one in facts["nodes"].items()}
            inputs = {name: InputRange.of_facts(one) for name, one in facts["inputs"].items()}
            scores = {name: AnalogScore.of_facts(one) for name, one in facts["scores"].items()}
            parse_input_scale(facts["input_scale"])
            if arrays:
                raise ValueError(f"it holds '{min(arrays)}', which is of no node")
        except (ValueError, LookupError, SettingsError) as error:
            raise ModelFileError(f"{path}: damaged, {first_line(error)}; {KIND.again}") from error
        known = {label: facts[label] for label in ("key", "samples", "exact", "input_scale")}
        return cls(nodes=nodes, inputs=inputs, scores=scores, remarks=tuple(facts["remarks"]), **known)


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
    histogram = _taken(arrays, f"{name}/histogram", np.int64, (BINS,))
    maximum = _taken(arrays, f"{name}/maximum", np.float64, channels)
    quantiles = {}
    for key in sorted(arrays):
        wish = Wish.parse(key.removeprefix(f"{name}/quantile/"))  # of a node called a/quantile none is
        if wish is not None and key == f"{name}/quantile/{wish.key}":
            quantiles[wish.key] = _taken(arrays, key, np.float64, channels if wish.channels else ())
            active = positives > 0 if wish.channels else positives.any()
            if (np.isnan(quantiles[wish.key]) & active).any():
                raise ValueError(f"percentile {wish.key} of '{name}' is no number")
    if facts["ceiling"] == 0 or not np.isfinite(maximum).all() or positives.sum() > facts["count"]:
        raise ValueError(f"the statistics of '{name}' contradict each other")
    return NodeStatistics(**facts, histogram=histogram, positives=positives, maximum=maximum, quantiles=quantiles)


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
