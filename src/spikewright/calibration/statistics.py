"""What calibration found: distributions of activations, and thresholds from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.quantiles import LAYER_SHIFTS
from spikewright.calibration.thresholds import Method, Wish
from spikewright.errors import CalibrationError, ModelFileError
from spikewright.files import atomic_path

FORMAT = 1


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
    """Statistics of every ReLU and output of a graph over a data set.

    Attributes:
        nodes: by node name.
        key: fingerprint of the graph's weights and the data.
        samples: how many samples were seen.
        exact: whether percentiles are exact, or off by up to ``relative_error``.
    """

    nodes: Mapping[str, NodeStatistics]
    key: str
    samples: int
    exact: bool = True

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of a percentile: half a bin of the first pass (0 when exact)."""
        return 0.0 if self.exact else 2.0**-7

    def scales(self, method: Method) -> dict[str, NDArray[np.float64]]:
        """λ of every node by a threshold method: positive and finite, whatever the data.

        A channel that was never positive takes the λ of its layer, a layer that never was takes 1, and no λ
        exceeds the ceiling of its ReLU.
        """
        return {name: self._scale(node, method) for name, node in self.nodes.items()}

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
        from safetensors.numpy import save_file

        arrays, header = {}, {}
        for name, node in self.nodes.items():
            for label in ("histogram", "positives", "maximum"):
                arrays[f"{name}/{label}"] = getattr(node, label)
            for wish, value in node.quantiles.items():
                arrays[f"{name}/quantile/{wish}"] = value
            header[name] = {label: getattr(node, label) for label in ("layer", "ceiling", "count")}
        meta = {"format": FORMAT, "key": self.key, "samples": self.samples, "exact": self.exact, "nodes": header}
        with atomic_path(path, force) as temporary:
            save_file(arrays, temporary, {"spikewright-statistics": json.dumps(meta)})

    @classmethod
    def load(cls, path: Path | str, expect_key: str | None = None) -> Statistics:
        """Read what ``save`` wrote.

        Args:
            path: the file.
            expect_key: from ``statistics_key``; refuses statistics of another network or other data.

        Raises:
            ModelFileError: for a file that is not ours.
            CalibrationError: for statistics of another network or other data.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                text = (file.metadata() or {}).get("spikewright-statistics")
                arrays = {key: file.get_tensor(key) for key in file.keys()} if text else {}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelFileError(f"{path}: not a readable statistics file ({error}); calibrate again") from error
        if text is None:
            raise ModelFileError(f"{path}: a safetensors file, but not statistics of Spikewright; calibrate again")
        meta = json.loads(text)
        if meta["format"] != FORMAT:
            raise ModelFileError(f"{path}: statistics of format {meta['format']}, this version reads {FORMAT}")
        if expect_key is not None and meta["key"] != expect_key:
            raise CalibrationError(f"{path}: statistics of another network or other data; calibrate again")
        nodes = {}
        for name, facts in meta["nodes"].items():
            prefix = f"{name}/quantile/"
            nodes[name] = NodeStatistics(
                **facts,
                **{label: arrays[f"{name}/{label}"] for label in ("histogram", "positives", "maximum")},
                quantiles={key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)},
            )
        return cls(nodes=nodes, key=meta["key"], samples=meta["samples"], exact=meta["exact"])
