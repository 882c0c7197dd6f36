"""What ATen's resizing, running sums and differences become: fixed weights along axes."""

from __future__ import annotations

import numpy as np

from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.resizing import Kind, along, between, places, smoothed
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.trace import base_name
from spikewright.nodes import Take, Upsample

RESAMPLING = Rules[Handler]()
converts = RESAMPLING.converts
LINEAR = {"linear1d": 1, "bilinear2d": 2, "trilinear3d": 3, "bicubic2d": 2}


def _factors(call: Call) -> list[float | None]:
    """By how much every axis was asked to grow, None where only the size was given."""
    axes = len(call.x.sample) - 1
    given = call.get("scale_factors") or [v for k, v in call.arguments.items() if k.startswith("scales")]
    return [None if factor is None else float(factor) for factor in given] or [None] * axes


@converts(*(f"{kind}{d}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for d in (1, 2, 3)))
def upsample(call: Call) -> Value:
    """Whole factors repeat; any others take the positions that PyTorch takes, computed in single precision as there."""
    before, after = call.x.sample[1:], call.shape[1:]
    factors = _factors(call)
    whole = all(b % a == 0 and f in (None, b // a) for a, b, f in zip(before, after, factors, strict=True))
    if whole:
        return call.emit(Upsample, call.x, factor=tuple(b // a for a, b in zip(before, after, strict=True)))
    half = np.float32(0.5 if "exact" in base_name(call.node) else 0)
    positions: list[tuple[int, ...]] = [()]
    for n, m, factor in zip(before, after, factors, strict=True):
        scale = np.float32(n) / np.float32(m) if factor is None else np.float32(1 / factor)
        at = np.floor((np.arange(m, dtype=np.float32) + half) * scale)
        positions.append(tuple(int(k) for k in np.minimum(at, n - 1)))
    return call.emit(Take, call.x, positions=tuple(positions))


@converts(*(f"upsample_{kind}" for kind in LINEAR), "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def interpolate(call: Call) -> Value:
    name = base_name(call.node)
    kind: Kind = "cubic" if "bicubic" in name else "linear"
    smooth = name.endswith("_aa")
    corners, matrices = bool(call["align_corners"]), {}
    if smooth and corners:
        call.refuse("it smooths with its corners aligned; use align_corners=False")
    for axis, (n, m, factor) in enumerate(zip(call.x.sample[1:], call.shape[1:], _factors(call), strict=True), start=1):
        if smooth:
            matrices[axis] = smoothed(n, m, factor, kind)
        else:
            at = places(n, m, factor, "align_corners" if corners else "half_pixel")
            matrices[axis] = between(np.maximum(at, 0) if kind == "linear" else at, n, kind)
    return call.emit_all(call.x, along(call.x.sample, matrices))


@converts("cumsum")
def running_sum(call: Call) -> Value:
    axis = call.axis(call.x, call["dim"])
    n = call.x.sample[axis]
    check_constants(n * n)
    return call.emit_all(call.x, along(call.x.sample, {axis: np.tri(n)}))


@converts("diff")
def difference(call: Call) -> Value:
    axis = call.axis(call.x, call["dim"])
    if any(call.get(side) is not None for side in ("prepend", "append")):
        call.refuse("it takes the difference from further values; join them before")
    n = call.x.sample[axis]
    check_constants(n * n)
    return call.emit_all(call.x, along(call.x.sample, {axis: np.diff(np.eye(n), n=call.get("n", 1), axis=0)}))
