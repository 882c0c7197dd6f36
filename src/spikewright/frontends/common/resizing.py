"""Resizing: which positions every position of a resized axis lies between, and with which weights.

Frameworks differ in where a position lies (``sampling``) and in the curve between positions (``kind``); each is linear
along every axis by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, reshaped
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Shape
from spikewright.nodes import Linear, Resample
from spikewright.nodes.resample import STAYS

Kind = Literal["linear", "cubic"]
Matrix = NDArray[np.float64]
CUBIC = -0.75
"""The slope of the cubic curve one position away, as PyTorch and ONNX have it; Keras and smoothing take −0.5."""


def places(before: int, after: int, factor: float | None, sampling: str) -> Matrix:
    """Where each position of a resized axis lies on the axis before, ``(after,)``, in ONNX's words for it.

    Args:
        before: the length of the axis.
        after: the length it gets.
        factor: by which it was asked to be resized, where that is not just the ratio of the lengths.
        sampling: ``half_pixel``, ``pytorch_half_pixel``, ``half_pixel_symmetric``, ``align_corners``, ``asymmetric``.

    Raises:
        Refusal: for another sampling.
    """
    at, scale = np.arange(after, dtype=np.float64), after / before if factor is None else factor
    if sampling == "asymmetric":
        return at / scale
    if sampling == "align_corners":
        return at * ((before - 1) / (after - 1)) if after > 1 else np.zeros(1)
    if sampling == "pytorch_half_pixel" and after == 1:
        return np.zeros(1)
    if sampling in ("half_pixel", "pytorch_half_pixel"):
        return (at + 0.5) / scale - 0.5
    if sampling == "half_pixel_symmetric":
        return before / 2 * (1 - after / (scale * before)) + (at + 0.5) / scale - 0.5
    raise Refusal(f"positions by {sampling!r} are not known")


def nearest(at: Matrix, before: int, rounding: str) -> tuple[int, ...]:
    """The position nearest to each place, in ONNX's words for what nearest means."""
    at = at.astype(np.float32)
    ways: dict[str, Callable[[Any], Any]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
        "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
    }
    if rounding not in ways:
        raise Refusal(f"nearest by {rounding!r} is not known")
    return tuple(int(n) for n in np.clip(ways[rounding](at), 0, before - 1))


def between(at: Matrix, before: int, kind: Kind, *, slope: float = CUBIC, exclude: bool = False) -> Matrix:
    """``(after, before)``: the weights of interpolation at places; what lies outside is the position at the border.

    Args:
        at: places, ``(after,)``.
        before: the length of the axis.
        kind: of curve.
        slope: of the cubic one.
        exclude: whether positions outside have no weight instead, and those inside share it.
    """
    check_constants(len(at) * before)
    reach = 1 if kind == "linear" else 2
    first = np.floor(at)[:, None] + np.arange(1 - reach, 1 + reach)
    weight = _curve(at[:, None] - first, kind, slope)
    if exclude:
        weight = np.where((first >= 0) & (first < before), weight, 0.0)
        weight = weight / weight.sum(axis=1, keepdims=True)
    found = np.zeros((len(at), before))
    np.add.at(found, (np.arange(len(at))[:, None], np.clip(first, 0, before - 1).astype(int)), weight)
    return found


def smoothed(
    before: int, after: int, factor: float | None, kind: Kind, *, slope: float = -0.5, exclude: bool = True
) -> Matrix:
    """``(after, before)``: resizing in which each position is a mean of all that it stands for (antialiasing)."""
    check_constants(after * before)
    scale = before / after if factor is None else 1 / factor
    stretched = max(scale, 1.0)
    support = (1 if kind == "linear" else 2) * stretched
    found = np.zeros((after, before))
    for o in range(after):
        centre = scale * (o + 0.5)
        seen = np.arange(floor(centre - support + 0.5), floor(centre + support + 0.5))
        seen = seen[(seen >= 0) & (seen < before)] if exclude else seen
        weight = _curve((seen.astype(np.float64) - centre + 0.5) / stretched, kind, slope)
        np.add.at(found[o], np.clip(seen, 0, before - 1), weight / weight.sum())
    return found


def _curve(x: Matrix, kind: Kind, a: float) -> Matrix:
    x = np.abs(x)
    if kind == "linear":
        return np.maximum(1 - x, 0)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def along(shape: Shape, matrices: Mapping[int, Array]) -> list[NodePlan]:
    """The nodes that apply a matrix ``(outputs, inputs)`` along axes of a sample."""
    if len(shape) == 1:
        weight = np.asarray(matrices[0])
        return [NodePlan(Linear, "", {"weight": weight, "bias": np.zeros(len(weight))})]
    first = 0 in matrices  # the channels are no axis of a map: they are put behind one
    spatial = range(0 if first else 1, len(shape))
    found = [matrices.get(axis) for axis in spatial]
    flat = [np.asarray(m, np.float64).ravel() for m in found if m is not None]
    sizes = tuple(STAYS if m is None else (int(m.shape[0]), int(m.shape[1])) for m in found)
    node = {"weights": np.concatenate(flat), "sizes": sizes}
    if not first:
        return [NodePlan(Resample, "", node)]
    after = tuple(len(matrices[axis]) if axis in matrices else n for axis, n in enumerate(shape))
    return [reshaped((1, *shape), "map"), NodePlan(Resample, "along", node), reshaped(after)]
