"""Random PyTorch modules: 1-D to 3-D, branches, shared layers, views, in-place operators, and oddities.

A network is a list of steps that is run eagerly while it is drawn, on a probe of three samples: what PyTorch itself
does not take there is drawn again.
"""

# ruff: noqa: ARG005

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from random_networks.drawing import Array, Chance, Network, draw_blocks

Step = Callable[..., Any]
PROBE = 3
"""Samples of the probe; no sample has an axis as long, but for chance."""

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
MAX, AVERAGE = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (
    (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)


class Drawn(nn.Module):
    """Steps over a list of values; each reads some, and adds one or several."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.steps: list[tuple[Step, tuple[int, ...]]] = []
        self.results: list[int] = []
        self.wrap = ""

    def constant(self, value: Array | Tensor) -> str:
        """A buffer, by name."""
        name = f"constant{len(list(self.buffers(recurse=False)))}"
        self.register_buffer(name, torch.as_tensor(value))
        return name

    def forward(self, *inputs: Tensor) -> Any:
        values: list[Any] = list(inputs)
        for function, reads in self.steps:
            found = function(self, *(values[k] for k in reads))
            values += found if isinstance(found, list | tuple) else [found]
        results = [values[k] for k in self.results]
        if self.wrap == "dict":
            return {f"head{k}": y for k, y in enumerate(results)}
        return results[0] if len(results) == 1 else tuple(results)


class Drawing:
    """Draws a module step by step; ``at`` is the value that the next step reads."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        torch.manual_seed(seed)
        self.module = Drawn().eval()
        self.shapes = [self.chance.sample_shape()]
        if self.chance.happens(0.12):
            self.shapes.append(self.shapes[0] if self.chance.happens(0.5) else self.chance.sample_shape())
        self.values: list[Tensor] = [torch.randn(PROBE, *shape) for shape in self.shapes]
        self.at = 0
        self.odd: list[str] = []
        self.story: list[str] = []

    @property
    def x(self) -> Tensor:
        return self.values[self.at]

    @property
    def sample(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    def step(self, function: Step, *others: int, told: str = "", odd: bool = False) -> bool:
        """Add a step if PyTorch takes it; what it gives must stay small."""
        reads = (self.at, *others)
        try:
            with torch.no_grad():
                found = function(self.module, *(self.values[k].clone() for k in reads))
        except Exception:
            return False
        several = list(found) if isinstance(found, list | tuple) else [found]
        if not several or not all(isinstance(y, Tensor) and (odd or y.numel()) and y.numel() <= 6000 for y in several):
            return False
        self.module.steps.append((function, reads))
        self.values += several
        self.at = len(self.values) - self.chance.between(1, len(several))
        self.story.append(f"{told} {reads} -> {[tuple(y.shape) for y in several]}")
        return True

    def layer(self, made: Callable[[], nn.Module]) -> bool:
        try:
            part = made().eval()
        except Exception:
            return False
        trained(part, self.chance)
        number = len(self.module.parts)
        self.module.parts.append(part)
        return self.step(lambda m, x, k=number: m.parts[k](x), told=str(part))

    def function(self, function: Callable[..., Any], *others: int, told: str = "") -> bool:
        return self.step(lambda m, *xs: function(*xs), *others, told=told)

    def with_constant(self, function: Callable[..., Any], value: Array | Tensor, told: str) -> bool:
        name = self.module.constant(value)
        return self.step(lambda m, x: function(x, getattr(m, name)), told=f"{told} constant {tuple(np.shape(value))}")


def trained(part: nn.Module, chance: Chance) -> None:
    """Weights and statistics as training, or an accident, would leave them."""
    for module in part.modules():
        for label, parameter in module.named_parameters(recurse=False):
            if label == "weight" and parameter.ndim > 1:
                parameter.data = torch.from_numpy(chance.weights(*parameter.shape))
            else:
                parameter.data = torch.from_numpy(chance.normal(*parameter.shape))
        if isinstance(module, NORM) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.copy_(torch.from_numpy(chance.normal(*module.running_mean.shape)))
            variance = np.abs(chance.normal(*module.running_var.shape)) + np.float32(chance.pick(0.1, 0.1, 0.0))
            module.running_var.copy_(torch.from_numpy(variance.astype(np.float32)))


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
    if kind == "matrix":
        matrix = c.normal(sample[-1], c.between(1, 6))
        ways = (torch.matmul, lambda x, m: F.linear(x, m.t()), lambda x, m: x @ m)
        return axes <= 3 and d.with_constant(c.pick(*ways), matrix, "matrix")
    return False


PLAIN = (
    *("conv", "conv", "conv", "linear", "linear", "norm", "norm", "relu", "relu", "relu", "relu", "max", "avg"),
    *("up", "adaptive", "dropout", "pad", "grow", "shuffle", "permute", "flatten", "fold", "unfold", "unsqueeze"),
    *("crop", "split", "scalar", "channels", "add", "add", "join", "reduce", "again", "branch", "branch", "leaky"),
    *("matrix",),
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


ODD: tuple[tuple[str, Step], ...] = (
    # rectifiers that are none
    ("threshold to five", lambda m, x: F.threshold(x, 0, 5)),
    ("threshold at one", lambda m, x: F.threshold(x, 1, 0)),
    ("threshold at one to one", lambda m, x: F.threshold(x, 1.0, 1.0)),
    ("threshold below", lambda m, x: F.threshold(x, -1, -1)),
    ("threshold in place", lambda m, x: F.threshold(x, 0.0, -2.0, inplace=True)),
    ("threshold behind relu", lambda m, x: F.threshold(x.relu(), 0.0, 1.0)),
    ("hardtanh", lambda m, x: F.hardtanh(x)),
    ("hardtanh below", lambda m, x: F.hardtanh(x, -2.0, 0.0)),
    ("clamp above", lambda m, x: x.clamp(max=1)),
    ("clamp turned round", lambda m, x: x.clamp(2, 1)),
    ("clamp by tensors", lambda m, x: x.clamp(torch.zeros(x.shape[-1]), torch.arange(1.0, x.shape[-1] + 1))),
    ("clamp by one tensor", lambda m, x: x.clamp(min=torch.tensor(0.0))),
    ("maximum that widens", lambda m, x: torch.maximum(x, torch.zeros(4, *(1 for _ in x.shape)))),
    ("maximum in a row", lambda m, x: torch.maximum(x, torch.zeros(x.shape[-1]))),
    ("leaky that grows", lambda m, x: F.leaky_relu(x, 1.5)),
    ("rrelu in training", lambda m, x: F.rrelu(x, training=True)),
    ("dropout in training", lambda m, x: F.dropout(x, 0.5)),
    ("dropout of nothing in training", lambda m, x: F.dropout(x, 0.0, training=True)),
    ("floor alone", lambda m, x: x.floor()),
    ("trunc", lambda m, x: x.trunc()),
    ("round", lambda m, x: x.round()),
    ("sigmoid", lambda m, x: x.sigmoid()),
    ("gelu", lambda m, x: F.gelu(x, approximate="tanh")),
    ("softmax inside", lambda m, x: x.softmax(1)),
    ("abs", lambda m, x: x.abs()),
    ("where", lambda m, x: torch.where(x > 0, x, 0.0)),
    ("mask", lambda m, x: x * (x > 0)),
    # numbers that are no real numbers
    ("integers", lambda m, x: x.to(torch.int32).float()),
    ("integers that stay", lambda m, x: x.int()),
    ("booleans", lambda m, x: x.bool().float()),
    ("bytes", lambda m, x: (x.clamp(0, 200).to(torch.uint8) - 128).float()),
    ("bits", lambda m, x: x.float().view(torch.int32).float()),
    ("imaginary", lambda m, x: (x * 1j).real),
    ("double", lambda m, x: x.double().mul(0.5).to(x.dtype)),
    ("divided by bytes", lambda m, x: x / torch.tensor([2], dtype=torch.uint8)),
    ("less bytes", lambda m, x: x - torch.tensor([3], dtype=torch.uint8)),
    ("less a boolean", lambda m, x: x.sub(torch.ones(1, dtype=torch.int8), alpha=2)),
    # division
    ("division by zero", lambda m, x: x / 0),
    ("division by a zero", lambda m, x: x / torch.tensor([0.0] * (x.shape[-1] - 1) + [1.0])),
    ("division by next to nothing", lambda m, x: x / 1e-30),
    ("division by less", lambda m, x: x / 1e-42),
    ("one by x", lambda m, x: 1 / (x.abs() + 1)),
    ("floor division", lambda m, x: x // 2),
    ("rounding division", lambda m, x: torch.div(x, 2, rounding_mode="trunc")),
    ("remainder", lambda m, x: x % 2),
    ("infinite factor", lambda m, x: x * float("inf")),
    ("not a number", lambda m, x: x + float("nan")),
    ("infinite constant folded", lambda m, x: x + torch.ones(1) / torch.zeros(1)),
    ("infinity that vanishes", lambda m, x: x * (1 / (torch.ones(1) / torch.zeros(1)))),
    # the batch
    ("times the batch", lambda m, x: x * x.shape[0]),
    ("times the batch as a float", lambda m, x: x * float(x.shape[0])),
    ("plus the batch", lambda m, x: x + len(x) / 2),
    ("by the batch", lambda m, x: x / x.size(0)),
    ("length of the batch as a tensor", lambda m, x: x + torch.full((1,), x.shape[0])),
    ("numbered samples", lambda m, x: x + torch.arange(x.shape[0]).view(-1, *(1 for _ in x.shape[1:]))),
    ("ones of the batch", lambda m, x: x + torch.ones(x.shape[0], *x.shape[1:])),
    ("sum of the ones of the batch", lambda m, x: x * torch.ones(x.shape[0], 1).sum()),
    ("zeros like it", lambda m, x: x + torch.zeros_like(x)),
    ("share of the batch", lambda m, x: x * torch.ones(x.shape[0]).softmax(0).view(-1, *(1 for _ in x.shape[1:]))),
    ("identity of the batch", lambda m, x: torch.eye(x.shape[0]) @ x.flatten(1)),
    ("decides by the batch", lambda m, x: x.relu() if x.shape[0] > 2 else x),
    ("decides by one sample", lambda m, x: x.relu() if x.shape[0] == 1 else -x),
    ("mixes samples", lambda m, x: x.reshape(-1, x.shape[-1])),
    ("mixes and unmixes", lambda m, x: x.reshape(-1, x.shape[-1]).relu().reshape(x.shape)),
    ("one row", lambda m, x: x.reshape(1, -1)),
    ("mean of the batch", lambda m, x: x - x.mean(0)),
    ("mean of the batch kept", lambda m, x: x.mean(0, keepdim=True) + x),
    ("first sample", lambda m, x: x - x[0:1]),
    ("first sample alone", lambda m, x: x[0:1]),
    ("without the last sample", lambda m, x: x[:-1]),
    ("every other sample", lambda m, x: x[::2]),
    ("samples turned round", lambda m, x: x.flip(0)),
    ("samples rolled", lambda m, x: x.roll(1, 0)),
    ("samples joined", lambda m, x: torch.cat([x, x])),
    ("samples turned and back", lambda m, x: x.transpose(0, 1).relu().transpose(0, 1)),
    ("softmax of the batch", lambda m, x: x.softmax(0)),
    ("everything", lambda m, x: x.flatten()),
    ("expanded in front", lambda m, x: x.expand(2, *x.shape)[0]),
    ("batch norm of the batch", lambda m, x: F.batch_norm(x, None, None, training=True)),
    # moving values
    ("flip", lambda m, x: x.flip(-1)),
    ("roll", lambda m, x: x.roll(1, -1)),
    ("every other channel", lambda m, x: x[:, ::2]),
    ("from behind", lambda m, x: x[..., [-1, 0]]),
    ("a mask of positions", lambda m, x: x[..., torch.tensor([True] + [False] * (x.shape[-1] - 1))]),
    ("nothing", lambda m, x: x[..., 2:2]),
    ("nothing joined", lambda m, x: torch.cat([x, x[..., :0]], -1)),
    ("less than nothing", lambda m, x: x[..., 3:1]),
    ("an empty part", lambda m, x: x.split([0, x.shape[-1]], -1)[1]),
    ("a part of all", lambda m, x: x.tensor_split(2, -1)[0]),
    ("unbound", lambda m, x: x.unbind(1)[0]),
    ("repeated", lambda m, x: x.repeat(1, *(2 for _ in x.shape[1:]))),
    ("repeated values", lambda m, x: x.repeat_interleave(2, -1)),
    ("expanded", lambda m, x: x.unsqueeze(1).expand(-1, 2, *(-1 for _ in x.shape[1:]))),
    ("written into", lambda m, x: _written(x)),
    ("stacked", lambda m, x: torch.stack([x, x + 1], 1)),
    ("einsum", lambda m, x: torch.einsum("bi,ij->bj", x.flatten(1), torch.ones(x[0].numel(), 2))),
    ("constant on the left", lambda m, x: torch.ones(2, x.shape[1]) @ x.flatten(2)),
    ("batched matrix", lambda m, x: x.flatten(2) @ torch.ones(1, x.flatten(2).shape[2], 2)),
    ("vector", lambda m, x: x @ torch.ones(x.shape[-1])),
    ("addmm", lambda m, x: torch.addmm(torch.ones(2), x.flatten(1), torch.ones(x[0].numel(), 2), beta=2)),
    (
        "addmm of rows",
        lambda m, x: torch.addmm(torch.arange(3.0).view(3, 1), x.flatten(1), torch.ones(x[0].numel(), 2)),
    ),
    ("squeeze", lambda m, x: x.squeeze()),
    ("strided", lambda m, x: x.contiguous().as_strided((x.shape[0], 2), (x[0].numel(), 1))),
    ("broken factor", lambda m, x: F.interpolate(x, scale_factor=2.3)),
    ("broken factor, recomputed", lambda m, x: F.interpolate(x, scale_factor=2.3, recompute_scale_factor=True)),
    ("smaller", lambda m, x: F.interpolate(x, scale_factor=0.5)),
    ("bilinear", lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear")),
    ("padded with ones", lambda m, x: F.pad(x, (1, 1), value=1.0)),
    ("reflected", lambda m, x: F.pad(x, (1, 1), mode="reflect")),
    ("padded batch", lambda m, x: F.pad(x, [0, 0] * (x.ndim - 1) + [1, 0])),
    ("padded channels", lambda m, x: F.pad(x, [0, 0] * (x.ndim - 2) + [1, 2])),
    ("pixel shuffle over the batch", lambda m, x: F.pixel_unshuffle(x, 1) if x.ndim == 3 else F.pixel_shuffle(x, 1)),
    ("pool of each sample", lambda m, x: F.avg_pool2d(x, 2) if x.ndim == 3 else F.max_pool1d(x, 2)),
    (
        "adaptive pool of each sample",
        lambda m, x: F.adaptive_avg_pool2d(x, 2) if x.ndim == 3 else F.adaptive_avg_pool1d(x, 1),
    ),
    ("max pool that differs", lambda m, x: F.adaptive_max_pool1d(x.flatten(2), 3)),
    ("indices", lambda m, x: F.max_pool1d(x.flatten(2), 2, return_indices=True)[1].float()),
    ("largest and where", lambda m, x: x.max(-1).indices.float()),
    ("largest", lambda m, x: x.max(-1).values),
    ("smallest", lambda m, x: x.amin(-1)),
    ("all at once", lambda m, x: x - x.mean()),
    ("mean of all but the batch", lambda m, x: x.flatten(1).mean(1, keepdim=True)),
    ("scalar", lambda m, x: x.flatten(1).mean(1)),
    ("sum as whole numbers", lambda m, x: x.sum(-1, dtype=torch.int64)),
    ("different shapes", lambda m, x: x + x.flatten(1).mean(1).view(-1, *(1 for _ in x.shape[1:]))),
    ("row and column", lambda m, x: x.unsqueeze(1) + x.unsqueeze(-1)),
    ("constant that widens", lambda m, x: x + torch.arange(2.0).view(2, *(1 for _ in x.shape[1:]))),
    ("constant of several samples", lambda m, x: x + torch.arange(3.0).view(3, *(1 for _ in x.shape[1:]))),
    ("constant with an axis more", lambda m, x: x + torch.ones(2, *(1 for _ in x.shape))),
    ("product", lambda m, x: x * x),
    ("norm", lambda m, x: F.normalize(x, dim=-1)),
    ("layer norm", lambda m, x: F.layer_norm(x, x.shape[1:])),
    ("instance norm", lambda m, x: F.instance_norm(x)),
    ("noise", lambda m, x: x + torch.randn_like(x)),
    ("counted", lambda m, x: _counted(m, x)),
)


def _written(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = 0
    return y


def _counted(m: Drawn, x: Tensor) -> Tensor:
    """A module that answers otherwise each time."""
    if not hasattr(m, "calls"):
        m.register_buffer("calls", torch.zeros(()))
    m.calls += 1
    return x + m.calls


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
