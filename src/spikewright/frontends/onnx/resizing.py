"""Resize and Upsample of ONNX, by nearest positions or between them; running sums."""

from __future__ import annotations

from itertools import product

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.resizing import CUBIC, Kind, along, between, nearest, places, smoothed
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.constants import BATCH
from spikewright.frontends.onnx.moves import axis_of
from spikewright.nodes import Identity, Take, Upsample

REPETITIONS = {
    ("asymmetric", "floor"),
    *product(
        ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
        ("round_prefer_floor", "round_prefer_ceil"),
    ),
}
"""Which sampling of Resize repeats each value when the factor is whole."""


def resize(call: Call) -> None:
    """Resize and Upsample: a repetition by whole factors, else positions taken, or weighted, along every axis."""
    mode, (factors, told) = call.text("mode", "nearest"), _factors(call)
    before = call.shape()
    after = tuple(int(np.floor(n * f + (0 if told else 1e-4))) for n, f in zip(before, factors[1:], strict=True))
    if factors[0] != 1.0 or min(after) < 1:
        raise Refusal(Cause.BATCH_AXIS, f"it resizes by {factors}")
    new = call.proto.op_type == "Resize" and call.walk.opset >= 11
    sampling = call.text("coordinate_transformation_mode", "half_pixel") if new else "asymmetric"
    rounding = call.text("nearest_mode", "round_prefer_floor") if new else "floor"
    repeats = mode == "nearest" and (sampling, rounding) in REPETITIONS and factors[1] == 1.0
    if repeats and len(before) > 1 and all(f == round(f) >= 1 for f in factors):
        call.emit(Upsample, factor=tuple(int(f) for f in factors[2:]))
        return
    if (
        told
        and sampling == "align_corners"
        and any(n * f != round(n * f) for n, f in zip(before, factors[1:], strict=True))
    ):
        raise Refusal(
            "its factors give no whole lengths, whose corners programs align differently: give it the lengths"
        )
    changed = {k: (n, m, f) for k, (n, m, f) in enumerate(zip(before, after, factors[1:], strict=True)) if f != 1.0}
    if not changed:
        call.emit(Identity)
        return
    found = {k: places(n, m, f if told else None, sampling) for k, (n, m, f) in changed.items()}
    if mode == "nearest":
        taken = [nearest(found[k], n, rounding) if k in found else () for k, n in enumerate(before)]
        call.emit(Take, positions=tuple(taken))
        return
    if mode not in ("linear", "cubic"):
        raise Refusal(f"its mode {mode!r} is not known")
    kind: Kind = "linear" if mode == "linear" else "cubic"
    slope, exclude = float(call.attributes.get("cubic_coeff_a", CUBIC)), bool(call.attributes.get("exclude_outside"))
    smooth = bool(call.attributes.get("antialias"))
    if smooth and sampling not in ("half_pixel", "pytorch_half_pixel"):
        raise Refusal(f"it smooths by {sampling}; only half_pixel is known")
    matrices = {}
    for k, (n, m, f) in changed.items():
        if smooth:
            matrices[k] = smoothed(n, m, f if told else None, kind, slope=slope, exclude=exclude)
        else:
            matrices[k] = between(found[k], n, kind, slope=slope, exclude=exclude)
    call.emit_all(along(before, matrices))


def _factors(call: Call) -> tuple[tuple[float, ...], bool]:
    """How much longer every axis gets, the batch among them, and whether that was told, or the lengths afterwards."""
    full = (1, *call.shape())
    axes = tuple(a % len(full) for a in call.ints("axes") or range(len(full)))
    attribute = call.attributes.get("scales")
    position = 2 if call.proto.op_type == "Resize" and call.walk.opset >= 11 else 1
    given = np.asarray(attribute) if attribute is not None else call.constant(position)
    told = given is not None and given.size > 0
    if given is None or not given.size:
        if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Refusal("it keeps the aspect ratio; give it the factors instead")
        sizes = call.needed(3)
        if any(a == 0 and n not in (BATCH, call.walk.batch) for n, a in zip(sizes, axes, strict=True)):
            raise Refusal(Cause.BATCH_AXIS, f"it resizes the batch to {sizes[axes.index(0)]} samples")
        given = np.array([1.0 if a == 0 else n / full[a] for n, a in zip(sizes, axes, strict=True)])
    found = dict(zip(axes, (float(f) for f in given), strict=True))
    return tuple(found.get(a, 1.0) for a in range(len(full))), told


def running_sum(call: Call) -> None:
    """CumSum."""
    (given,) = call.ints_of(1)
    axis = axis_of(call, given)
    n = call.shape()[axis]
    check_constants(n * n)
    matrix = np.tri(n, k=-1 if call.attributes.get("exclusive") else 0)
    call.emit_all(along(call.shape(), {axis: matrix[::-1, ::-1] if call.attributes.get("reverse") else matrix}))
