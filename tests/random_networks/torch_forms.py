"""Steps of PyTorch that only move values, are linear in them, or are made of rectifiers and steps, in any spelling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from random_networks.torch_drawing import Drawing

Form = Callable[[Drawing], bool]


def form(d: Drawing) -> bool:
    """One of them, where it can be drawn."""
    return d.chance.pick(*FORMS)(d)


def _axis(d: Drawing) -> tuple[int, int]:
    """An axis of a batch, and its length."""
    axis = d.chance.between(1, len(d.sample))
    return axis, d.sample[axis - 1]


def borders(d: Drawing) -> bool:
    c, axes = d.chance, min(len(d.sample) - 1, 3)
    if axes < 1 or len(d.sample) > 4:
        return False
    mode, sides = c.pick("reflect", "replicate", "circular", "constant"), c.ints(2 * axes, 0, 1)
    fill = {"value": c.pick(0.5, -1.0)} if mode == "constant" else {}
    return d.function(lambda x: F.pad(x, sides, mode=mode, **fill), told=f"pad {mode} {sides}")


def turned(d: Drawing) -> bool:
    c, (axis, n) = d.chance, _axis(d)
    shift, other = c.between(-n, n), c.between(1, len(d.sample))
    ways = (
        lambda x: x.flip(axis),
        lambda x: x.roll(shift, axis),
        lambda x: torch.fliplr(x) if axis == 1 else x.flip(-1),
        lambda x: x.swapaxes(axis, other),
        lambda x: x.movedim(axis, other),
        lambda x: x.rot90(shift, (axis, other)) if axis != other else x,
    )
    return d.function(c.pick(*ways), told=f"turned {axis} {other} {shift}")


def gathered(d: Drawing) -> bool:
    c, (axis, n) = d.chance, _axis(d)
    places = [c.between(0, n - 1) for _ in range(c.between(1, n + 1))]
    key = (slice(None),) * axis + (places,)
    ways = (
        lambda x: x[key],
        lambda x: x.index_select(axis, torch.tensor(places)),
        lambda x: torch.stack([x.select(axis, k) for k in places], axis),
        lambda x: torch.cat([x.narrow(axis, k, 1) for k in places], axis),
        lambda x: x.unbind(axis)[places[0]] if x.ndim > 2 else x,
    )
    return d.function(c.pick(*ways), told=f"gathered {places} of {axis}")


def repeated(d: Drawing) -> bool:
    c, (axis, _) = d.chance, _axis(d)
    if np.prod(d.sample) > 300:
        return False
    times = tuple(c.between(1, 2) for _ in d.sample)
    ways = (
        lambda x: x.repeat(1, *times),
        lambda x: x.tile(1, *times),
        lambda x: x.repeat_interleave(2, dim=axis),
        lambda x: x.mean(axis, keepdim=True).expand(x.shape),
        lambda x: x.unsqueeze(axis).expand(*x.shape[:axis], 2, *x.shape[axis:]),
    )
    return d.function(c.pick(*ways), told=f"repeated {times} {axis}")


def windows(d: Drawing) -> bool:
    c, (axis, n) = d.chance, _axis(d)
    size, step = c.between(1, n), c.between(1, 2)
    if len(d.sample) == 3 and c.happens(0.5):
        kernel, padding, stride = c.ints(2, 1, 2), c.ints(2, 0, 1), c.ints(2, 1, 2)
        return d.function(lambda x: F.unfold(x, kernel, 1, padding, stride), told=f"unfold {kernel} {padding} {stride}")
    return np.prod(d.sample) < 300 and d.function(lambda x: x.unfold(axis, size, step), told=f"windows {axis} {size}")


def triangle(d: Drawing) -> bool:
    k = d.chance.between(-1, 1)
    return len(d.sample) > 1 and d.function(d.chance.pick(lambda x: x.tril(k), lambda x: x.triu(k)), told=f"tril {k}")


def resized(d: Drawing) -> bool:
    c, axes = d.chance, len(d.sample) - 1
    if not 1 <= axes <= 3 or np.prod(d.sample) > 300:
        return False
    size = tuple(c.between(1, 2 * n) for n in d.sample[1:])
    linear = ("linear", "bilinear", "trilinear")[axes - 1]
    mode = c.pick("nearest", "nearest-exact", "area", linear, linear, *(["bicubic"] if axes == 2 else []))
    corners = {"align_corners": c.happens(0.5)} if mode in (linear, "bicubic") else {}
    smooth = {"antialias": True} if axes == 2 and corners == {"align_corners": False} and c.happens(0.3) else {}
    return d.function(lambda x: F.interpolate(x, size, mode=mode, **corners, **smooth), told=f"{mode} {size} {corners}")


def products(d: Drawing) -> bool:
    c, sample = d.chance, d.sample
    letters = "abcdef"[: len(sample)]
    gone, new = c.pick(*letters), c.between(1, 4)
    weight = c.normal(sample[letters.index(gone)], new)
    if c.happens(0.3) and len(sample) > 1:
        rows = c.normal(new, sample[-2])
        return d.with_constant(lambda x, w: w @ x, rows, "matrix from the left")
    if c.happens(0.3) and len(sample) > 2:
        return d.with_constant(lambda x, w: x @ w, c.normal(sample[-3], sample[-1], new), "a matrix each")
    if c.happens(0.3):
        axis = letters.index(gone) + 1
        return d.with_constant(lambda x, w: torch.tensordot(x, w, ([axis], [0])), weight, f"tensordot {axis}")
    result = letters.replace(gone, "g" if c.happens(0.7) else "")
    weight = weight if "g" in result else weight[:, 0]
    equation = f"z{letters},{gone}{'g' if 'g' in result else ''}->z{result}"
    return bool(result) and d.with_constant(lambda x, w: torch.einsum(equation, x, w), weight, equation)


def sums(d: Drawing) -> bool:
    c, (axis, n) = d.chance, _axis(d)
    ways = [
        lambda x: x.cumsum(axis),
        lambda x: x - x.mean(axis, keepdim=True),
        lambda x: torch.stack([x, x.flip(axis), 2 * x]).mean(0),
        lambda x: torch.lerp(x, x.flip(axis), 0.25),
        lambda x: torch.addcmul(x, x, torch.tensor(2.0), value=-1),
    ]
    return d.function(c.pick(*ways, *([lambda x: x.diff(dim=axis)] if n > 1 else [])), told=f"sums along {axis}")


def bounded(d: Drawing) -> bool:
    c, axes = d.chance, len(d.sample) - 1
    limits = torch.from_numpy(np.abs(c.normal(d.sample[0], *(1,) * axes)) + np.float32(0.1))
    ways = (
        F.hardtanh,
        F.hardsigmoid,
        lambda x: x.clamp(-0.5, 2),
        lambda x: x.clamp(max=1),
        lambda x: x.clamp(min=-0.25),
        lambda x: torch.maximum(x, 0.5 * x.flip(1)),
        lambda x: torch.minimum(x, 1 - x),
        lambda x: F.leaky_relu(x, 0.2).clamp(max=2),
        torch.abs,
    )
    if c.happens(0.2):
        return d.with_constant(lambda x, b: torch.minimum(x.relu(), b), limits, "a ceiling each")
    return d.function(c.pick(*ways), told="bounded")


def compared(d: Drawing) -> bool:
    """Choices by comparison: between lines of one value, by masks, as numbers."""
    c = d.chance
    cut, low, high = c.pick(0.0, 0.25, -0.5), c.pick(0.0, 0.1, -1.0), c.pick(0.0, 1.0, 0.5)
    ways = (
        lambda x: torch.where(x > cut, x, low),
        lambda x: torch.where(x >= cut, x, low * x + high),
        lambda x: torch.where(cut < x, high * x, low),
        lambda x: x * (x > cut),
        lambda x: x * x.sign(),
        lambda x: x.masked_fill(x < cut, low),
        lambda x: (x <= cut).float() * 2 - 1,
        lambda x: torch.where(x > 1, 1.0, torch.where(x < -1, -1.0, x)),
        lambda x: torch.where((x > -1) & ~(x > 1), x, x.sign()),
        lambda x: ((x > 0.5) | (x.flip(1) < cut)).float(),
        lambda x: torch.where(x > x.flip(1), high, low),
        lambda x: torch.where(x.relu() > 0.5, x.relu(), low * x),
        torch.sign,
        lambda x: F.hardshrink(x, 0.3),
        lambda x: F.softshrink(x, 0.3),
        lambda x: F.threshold(x, cut, low),
    )
    return d.function(c.pick(*ways), told=f"compared {cut} {low} {high}")


def stepped(d: Drawing) -> bool:
    ways = (
        lambda x: torch.round(x.clamp(-1, 1) * 4) / 4,
        lambda x: torch.ceil(x.clamp(0, 2) * 2) / 2,
        lambda x: torch.clamp(torch.round(x / 0.25), -8, 7) * 0.25,
        lambda x: torch.clamp(torch.floor(x * 4 + 0.5), 0, 9) / 4,
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15),
    )
    return d.function(d.chance.pick(*ways), told="stepped")


def pooled(d: Drawing) -> bool:
    c, axes = d.chance, len(d.sample) - 1
    if not 1 <= axes <= 3:
        return False
    size = tuple(c.between(1, n) for n in d.sample[1:])
    return d.layer(lambda: (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)[axes - 1](size))


FORMS: tuple[Form, ...] = (
    *(borders, turned, turned, gathered, repeated, windows, triangle, resized, resized, products, products, sums),
    *(bounded, bounded, compared, compared, stepped, pooled),
)
