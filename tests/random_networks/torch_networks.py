"""Random PyTorch modules: 1-D to 3-D, branches, shared layers, views, in-place operators, and oddities.

A network is a list of steps that is run eagerly while it is drawn, on a probe of three samples: what PyTorch itself
does not take there is drawn again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from random_networks.drawing import Array, Network, draw_blocks
from random_networks.torch_drawing import (
    ADAPTIVE,
    AVERAGE,
    CONV,
    MAX,
    NORM,
    PROBE,
    TRANSPOSED,
    Drawing,
    Drawn,
)
from random_networks.torch_forms import form
from random_networks.torch_oddities import ODD


def plain(d: Drawing) -> bool:
    """A step that every network may have, and that a graph has a node for."""
    c, sample = d.chance, d.sample
    if not sample or 0 in sample:  # an oddity left nothing, or no axes: go on from elsewhere
        d.at = c.between(0, len(d.shapes) - 1)
        return False
    axes = len(sample) - 1
    kind = c.pick(*PLAIN)
    if kind == "conv" and 1 <= axes <= 3:
        groups = c.divisor(sample[0]) if c.happens(0.4) else 1
        same = c.happens(0.2)
        return d.layer(
            lambda: CONV[axes - 1](
                sample[0],
                groups * c.between(1, 3),
                c.ints(axes, 1, 3),
                stride=1 if same else c.ints(axes, 1, 2),
                padding=c.pick("same", "valid") if same else c.ints(axes, 0, 2),
                dilation=c.ints(axes, 1, 2),
                groups=groups,
                bias=c.happens(0.7),
            )
        )
    if kind == "up" and 1 <= axes <= 3:
        groups = c.divisor(sample[0]) if c.happens(0.3) else 1
        stride = c.ints(axes, 1, 3)
        return d.layer(
            lambda: TRANSPOSED[axes - 1](
                sample[0],
                groups * c.between(1, 2),
                c.ints(axes, 1, 3),
                stride=stride,
                padding=c.ints(axes, 0, 1),
                output_padding=tuple(c.between(0, s - 1) for s in stride),
                dilation=c.ints(axes, 1, 2),
                groups=groups,
            )
        )
    if kind == "linear":
        return axes <= 3 and d.layer(lambda: nn.Linear(sample[-1], c.between(1, 8), bias=c.happens(0.7)))
    if kind == "norm":
        return axes <= 3 and d.layer(
            lambda: NORM[max(axes - 1, 0)](
                sample[0], eps=c.pick(1e-5, 1e-3, 0.1), momentum=c.pick(0.1, None), affine=c.happens(0.8)
            )
        )
    if kind == "relu":
        which = c.pick(*RECTIFIERS)
        return d.function(which[1], told=which[0])
    if kind == "max" and 1 <= axes <= 3:
        return d.layer(
            lambda: MAX[axes - 1](
                c.ints(axes, 1, 3),
                stride=c.pick(None, c.ints(axes, 1, 3)),
                padding=c.pick(0, 1),
                dilation=c.pick(1, 1, 2),
                ceil_mode=c.happens(0.4),
            )
        )
    if kind == "avg" and 1 <= axes <= 3:
        divisor = {"divisor_override": c.pick(1, 5)} if axes > 1 and c.happens(0.2) else {}
        return d.layer(
            lambda: AVERAGE[axes - 1](
                c.ints(axes, 1, 3),
                stride=c.pick(None, c.ints(axes, 1, 3)),
                padding=c.pick(0, 1),
                ceil_mode=c.happens(0.4),
                count_include_pad=c.happens(0.5),
                **divisor,
            )
        )
    if kind == "adaptive" and 1 <= axes <= 3:
        size = tuple(c.pick(1, 2, n, c.between(1, n)) for n in sample[1:])
        return d.layer(lambda: ADAPTIVE[0][axes - 1](size if c.happens(0.7) else 1))
    if kind == "dropout":
        return d.layer(lambda: c.pick(nn.Dropout(0.5), nn.Dropout2d(0.3), nn.AlphaDropout(0.1), nn.Identity()))
    if kind == "pad":
        count = c.between(1, len(sample))
        sides = c.ints(2 * count, -1, 2)
        return d.function(lambda x: F.pad(x, sides), told=f"pad {sides}")
    if kind == "grow" and 1 <= axes <= 3 and np.prod(sample) < 300:
        factors = c.ints(axes, 1, 2)
        size = tuple(n * f for n, f in zip(sample[1:], factors, strict=True))
        mode = c.pick("nearest", "nearest-exact")
        if c.happens(0.5):
            return d.function(lambda x: F.interpolate(x, size=size, mode=mode), told=f"interpolate {size}")
        whole = tuple(float(f) for f in factors)
        return d.function(lambda x: F.interpolate(x, scale_factor=whole, mode=mode), told=f"interpolate {factors}")
    if kind == "shuffle":
        return shuffled(d)
    if kind == "permute" and axes:
        order = [0, *(n + 1 for n in c.order(len(sample)))]
        return d.function(lambda x: x.permute(order), told=f"permute {order}")
    if kind == "flatten":
        ways = (
            lambda x: x.flatten(1),
            lambda x: x.contiguous().view(x.size(0), -1),
            lambda x: x.reshape(x.shape[0], -1),
        )
        return d.function(c.pick(*ways), told="flatten")
    if kind == "fold" and axes:
        return d.function(lambda x: x.flatten(-2), told="flatten last two")
    if kind == "unfold":
        place = c.between(0, axes)
        part = c.divisor(sample[place])
        return d.function(lambda x: x.unflatten(place + 1, (part, -1)), told=f"unflatten {place} {part}")
    if kind == "unsqueeze":
        place = c.between(1, len(sample) + 1)
        return d.function(lambda x: x.unsqueeze(place), told=f"unsqueeze {place}")
    if kind == "crop":
        return cropped(d)
    if kind == "split":
        place = c.between(1, len(sample))
        parts, negative = c.between(1, 3), c.happens(0.3)
        dim = place - len(sample) - 1 if negative else place
        if c.happens(0.5):
            return d.function(lambda x: x.chunk(parts, dim), told=f"chunk {parts} {dim}")
        return d.function(lambda x: x.split(parts, dim), told=f"split {parts} {dim}")
    if kind == "scalar":
        return arithmetic(d)
    if kind == "channels":
        shape = c.pick((sample[0], *(1,) * axes), (1, sample[0], *(1,) * axes), (), (1,), sample, (1, *sample))
        operator = c.pick(torch.add, torch.sub, torch.mul, lambda x, k: k - x, lambda x, k: k * x)
        return d.with_constant(operator, c.normal(*shape), "arithmetic with")
    if kind == "add":
        alike = [k for k, v in enumerate(d.values) if v.shape == d.x.shape]
        ways = (torch.add, torch.sub, lambda a, b: torch.add(a, b, alpha=-2), lambda a, b: a.add_(b))
        return d.function(c.pick(*ways), c.pick(*alike), told="two branches")
    if kind == "join":
        dim = c.between(1, len(sample))
        fits = [k for k, v in enumerate(d.values) if joinable(v, d.x, dim)]
        others = [c.pick(*fits) for _ in range(c.between(1, 2))]
        return d.function(lambda *xs: torch.cat(xs, dim), *others, told=f"cat {dim}")
    if kind == "reduce" and axes:
        dims = [n for n in range(1, len(sample) + 1) if c.happens(0.6)]
        keep, how = c.happens(0.5), c.pick("mean", "sum", "amax")
        return 0 < len(dims) < len(sample) and d.function(
            lambda x: getattr(x, how)(dims, keepdim=keep), told=f"{how} {dims} {keep}"
        )
    if kind == "again" and len(d.module.parts):
        number = c.between(0, len(d.module.parts) - 1)
        return d.step(lambda m, x: m.parts[number](x), told=f"again {number}")
    if kind == "branch":
        d.at = c.between(0, len(d.values) - 1)
        return True
    if kind == "leaky":
        which = c.pick(nn.LeakyReLU(0.2), nn.PReLU(), nn.RReLU(), nn.LeakyReLU(-0.5), nn.LeakyReLU(0.0))
        return d.layer(lambda: copy.deepcopy(which) if c.happens(0.7) else nn.PReLU(sample[0]))
    if kind == "form":
        return form(d)
    if kind == "matrix":
        matrix = c.normal(sample[-1], c.between(1, 6))
        ways = (torch.matmul, lambda x, m: F.linear(x, m.t()), lambda x, m: x @ m)
        return axes <= 3 and d.with_constant(c.pick(*ways), matrix, "matrix")
    return False


PLAIN = (
    *("conv", "conv", "conv", "linear", "linear", "norm", "norm", "relu", "relu", "relu", "relu", "max", "avg"),
    *("up", "adaptive", "dropout", "pad", "grow", "shuffle", "permute", "flatten", "fold", "unfold", "unsqueeze"),
    *("crop", "split", "scalar", "channels", "add", "add", "join", "reduce", "again", "branch", "branch", "leaky"),
    *("matrix", "form", "form", "form", "form", "form", "form"),
)

RECTIFIERS: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("relu", F.relu),
    ("relu", torch.relu),
    ("relu in place", lambda x: F.relu(x, inplace=True)),
    ("relu6", F.relu6),
    ("hardtanh", lambda x: F.hardtanh(x, 0.0, 1.5)),
    ("clamp", lambda x: x.clamp(min=0)),
    ("clamp", lambda x: torch.clamp(x, 0, 2)),
    ("clamp in place", lambda x: x.clamp_(0, 2.5)),
    ("clip", lambda x: torch.clip(x, min=0.0)),
    ("threshold", lambda x: F.threshold(x, 0, 0)),
    ("maximum", lambda x: torch.maximum(x, torch.zeros(()))),
    ("rectified and bounded", lambda x: torch.minimum(x.relu(), torch.tensor(1.5))),
    ("staircase", lambda x: torch.floor(x.clamp(0, 1) * 4 + 0.5) / 4),
)


def joinable(v: Tensor, x: Tensor, dim: int) -> bool:
    return v.ndim == x.ndim and all(a == b for k, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if k != dim)


def shuffled(d: Drawing) -> bool:
    """Pixel and channel shuffles, on samples of any number of axes: the layout is of the last three."""
    c, sample = d.chance, d.sample
    way = c.between(0, 3)
    if way == 0:
        return len(sample) >= 3 and d.layer(lambda: nn.PixelShuffle(2))
    if way == 1:
        return len(sample) >= 3 and d.layer(lambda: nn.PixelUnshuffle(2))
    if way == 2:
        return len(sample) >= 2 and d.layer(lambda: nn.ChannelShuffle(c.divisor(sample[0])))
    if len(sample) == 3:  # five axes: a pixel shuffle of each of several pictures
        part = c.divisor(sample[0])
        return d.function(lambda x: x.unflatten(1, (part, -1)), told=f"pictures {part}") and d.layer(
            lambda: nn.PixelShuffle(2) if c.happens(0.5) else nn.PixelUnshuffle(2)
        )
    return False


def cropped(d: Drawing) -> bool:
    """Slices as people write them: from behind, in steps, of channels and positions, one position."""
    c, sample = d.chance, d.sample
    place = c.between(0, len(sample) - 1)
    n = sample[place]
    if c.happens(0.25) and len(sample) > 1:
        index = c.between(-n, n - 1)
        return d.function(lambda x: x.select(place + 1, index), told=f"select {place} {index}")
    start = c.pick(None, 0, 1, -n, -2)
    stop = c.pick(None, n, -1, n + 5, 2)
    step = c.pick(None, 1, 1, 2 if place else 1)
    cut = (slice(None),) * (place + 1) + (slice(start, stop, step),)
    fits = len(range(n)[cut[-1]]) > 0
    return fits and len(sample) <= 4 and d.function(lambda x: x[cut], told=f"slice {cut}")


def arithmetic(d: Drawing) -> bool:
    c = d.chance
    k = c.pick(2, 0.5, -1.5, 3, 1e-3, 0, True)
    ways: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
        ("+", lambda x: x + k),
        ("-", lambda x: x - k),
        ("r-", lambda x: k - x),
        ("*", lambda x: x * k),
        ("neg", lambda x: -x),
        ("alpha", lambda x: torch.add(x, 2.0, alpha=k)),
        ("rsub", lambda x: torch.rsub(x, 1.0, alpha=3)),
        ("in place", lambda x: x.mul_(k).add_(1)),
        ("/", lambda x: x / (k or 4)),
        ("same again", lambda x: x.clone().contiguous().detach()),
    )
    told, way = c.pick(*ways)
    return d.function(way, told=f"{told} {k}")


def oddity(d: Drawing) -> bool:
    """A step that may be refused; if it is not, it must be exact."""
    c = d.chance
    name, function = c.pick(*ODD)
    if not d.step(function, told=name, odd=True):
        return False
    d.odd.append(name)
    return True


def torch_network(seed: int) -> Network:
    """A module, its samples' shapes, and itself in double precision as the truth."""
    d = Drawing(seed)
    c = d.chance
    draw_blocks(d, c, plain, oddity)
    if d.x.ndim > 1 and c.happens(0.6):
        d.function(lambda x: x.flatten(1), told="flatten")
        if d.x.ndim == 2 and d.x.shape[1]:
            d.layer(lambda: nn.Linear(d.sample[0], 3))
            if c.happens(0.25):
                d.function(F.relu, told="final relu")
            elif c.happens(0.2):
                d.function(lambda x: x.softmax(-1), told="final softmax")
    read = {k for _, reads in d.module.steps for k in reads}
    loose = [k for k in range(len(d.shapes), len(d.values)) if k not in read and k != d.at]
    d.module.results = [d.at, *(k for k in loose if c.happens(0.3))][:3]
    d.module.wrap = c.pick("", "", "dict")
    settings: dict[str, Any] = {}
    if len(d.shapes) == 1 and c.happens(0.6):
        settings["shape"] = d.shapes[0]
    else:
        size = c.pick(1, 2, PROBE)
        settings["example"] = tuple(torch.rand(size, *shape) for shape in d.shapes)
    module = d.module.eval()
    return Network(module, d.shapes, _truth(module), settings, d.odd, story=d.story)


def _truth(module: Drawn) -> Callable[[Sequence[Array]], list[Array] | None]:
    def answers(batches: Sequence[Array]) -> list[Array] | None:
        double = copy.deepcopy(module).double()
        before = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float64)  # constants that are made on the way
            with torch.no_grad():
                found = double(*(torch.from_numpy(x).double() for x in batches))
        except Exception:  # this module does not take such a batch
            return None
        finally:
            torch.set_default_dtype(before)
        values = found.values() if isinstance(found, dict) else found if isinstance(found, tuple) else (found,)
        return [y.numpy() for y in values if isinstance(y, Tensor)]

    return answers
