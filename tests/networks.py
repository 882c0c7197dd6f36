"""Random networks for tests: small, with biases and statistics that are not the defaults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikewright.graph import Array, Graph, Node
from spikewright.nodes import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    ChannelAffine,
    Concat,
    Conv,
    ConvTranspose,
    Flatten,
    GlobalAvgPool,
    Identity,
    Input,
    LeakyReLU,
    Linear,
    MaxPool,
    Output,
    Pad,
    Permute,
    ReLU,
    Upsample,
)


class Builder:
    """Adds nodes one after the other, with random weights; ``at`` is the last one."""

    def __init__(self, seed: int, shape: tuple[int, ...] = (3, 8, 8)) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = [Input(name="input", shape=shape)]
        self.at = "input"

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.at = node.name
        return self.at

    @property
    def shape(self) -> tuple[int, ...]:
        return Graph([*self.nodes]).shapes[self.at]

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def conv(
        self,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        padding: Sequence[tuple[int, int]] = ((1, 1), (1, 1)),
        groups: int = 1,
        dilation: int = 1,
    ) -> str:
        weight = self.random.normal(size=(outputs, self.shape[0] // groups, kernel, kernel)) / kernel
        return self.add(
            Conv(
                name=self.name("conv"),
                inputs=(self.at,),
                weight=weight,
                bias=self.random.normal(size=outputs) / 2,
                stride=(stride, stride),
                padding=tuple(padding),
                dilation=(dilation, dilation),
                groups=groups,
            )
        )

    def conv_transpose(
        self,
        outputs: int,
        kernel: int = 3,
        stride: int = 2,
        padding: Sequence[tuple[int, int]] = ((1, 0), (0, 1)),
        groups: int = 1,
        dilation: int = 1,
    ) -> str:
        inputs = self.shape[0]
        return self.add(
            ConvTranspose(
                name=self.name("up"),
                inputs=(self.at,),
                weight=self.random.normal(size=(inputs, outputs // groups, kernel, kernel)) / kernel,
                bias=self.random.normal(size=outputs) / 2,
                stride=(stride, stride),
                padding=tuple(padding),
                dilation=(dilation, dilation),
                groups=groups,
            )
        )

    def linear(self, outputs: int) -> str:
        weight = self.random.normal(size=(outputs, self.shape[0])) / np.sqrt(self.shape[0])
        bias = self.random.normal(size=outputs) / 2
        return self.add(Linear(name=self.name("linear"), inputs=(self.at,), weight=weight, bias=bias))

    def norm(self) -> str:
        n = self.shape[0]
        return self.add(
            BatchNorm(
                name=self.name("norm"),
                inputs=(self.at,),
                mean=self.random.normal(size=n),
                variance=self.random.uniform(0.3, 2, n),
                gamma=self.random.normal(size=n),
                beta=self.random.normal(size=n) / 2,
                epsilon=1e-3,
            )
        )

    def affine(self) -> str:
        n = self.shape[0]
        scale, bias = self.random.normal(size=n), self.random.normal(size=n)
        return self.add(ChannelAffine(name=self.name("affine"), inputs=(self.at,), scale=scale, bias=bias))

    def relu(self, ceiling: float | None = None) -> str:
        return self.add(ReLU(name=self.name("relu"), inputs=(self.at,), ceiling=ceiling))

    def leaky(self) -> str:
        slope = self.random.uniform(0.05, 0.5, self.shape[0])
        return self.add(LeakyReLU(name=self.name("leaky"), inputs=(self.at,), slope=slope))

    def dropout(self) -> str:
        return self.add(Identity(name=self.name("dropout"), inputs=(self.at,), source="dropout"))

    def avg_pool(self, kernel: int = 2, padding: int = 0, count: bool = True, overhang: int = 0) -> str:
        return self.add(
            AvgPool(
                name=self.name("pool"),
                inputs=(self.at,),
                kernel=(kernel,) * 2,
                stride=(2, 2),
                padding=((padding, padding),) * 2,
                count_padding=count,
                overhang=(overhang,) * 2,
            )
        )

    def max_pool(self, kernel: int = 2, stride: int = 2, padding: tuple[int, int] = (0, 0)) -> str:
        return self.add(
            MaxPool(
                name=self.name("pool"),
                inputs=(self.at,),
                kernel=(kernel,) * 2,
                stride=(stride,) * 2,
                padding=(padding,) * 2,
                dilation=(1, 1),
            )
        )

    def adaptive_pool(self, *size: int) -> str:
        return self.add(AdaptiveAvgPool(name=self.name("pool"), inputs=(self.at,), size=size))

    def permute(self, *axes: int) -> str:
        return self.add(Permute(name=self.name("permute"), inputs=(self.at,), axes=axes))

    def global_pool(self) -> str:
        return self.add(GlobalAvgPool(name=self.name("pool"), inputs=(self.at,)))

    def flatten(self) -> str:
        return self.add(Flatten(name=self.name("flatten"), inputs=(self.at,)))

    def sum(self, *names: str) -> str:
        return self.add(Add(name=self.name("add"), inputs=names))

    def concat(self, *names: str) -> str:
        return self.add(Concat(name=self.name("concat"), inputs=names))

    def graph(self) -> Graph:
        return Graph([*self.nodes, Output(name="output", inputs=(self.at,))])

    def samples(self, count: int = 6) -> Array:
        return self.random.uniform(0, 1, (count, *self.nodes[0].infer_shape())).astype(np.float32)


def plain(seed: int) -> Builder:
    """conv, norm, relu, pool, conv, relu, linear."""
    b = Builder(seed)
    b.conv(4)
    b.norm()
    b.affine()  # the exporters' way of writing a norm's scale and shift
    b.norm()
    b.relu()
    b.avg_pool()
    b.conv(5, padding=((0, 1), (1, 0)))
    b.relu()
    b.flatten()
    b.linear(4)
    return b


def residual(seed: int) -> Builder:
    """Add then ReLU, with an identity shortcut and a projection."""
    b = Builder(seed)
    b.conv(4)
    b.norm()
    start = b.relu()
    b.conv(4)
    b.norm()
    branch = b.at
    b.sum(branch, start)
    middle = b.relu()
    b.conv(6, stride=2)
    b.norm()
    branch = b.at
    b.at = middle
    b.conv(6, kernel=1, stride=2, padding=((0, 0), (0, 0)))
    b.norm()
    b.sum(branch, b.at)
    b.relu()
    b.global_pool()
    b.flatten()
    b.linear(3)
    return b


def pre_activation(seed: int) -> Builder:
    """ReLU then Add: norm and ReLU before the convolutions, sums that nothing rectifies."""
    b = Builder(seed)
    start = b.conv(4)
    b.norm()
    b.relu()
    b.conv(4)
    b.relu()
    branch = b.conv(4)
    total = b.sum(start, branch)
    b.norm()
    b.relu()
    b.sum(b.at, total)
    b.max_pool()
    b.flatten()
    b.linear(3)
    return b


def dense(seed: int) -> Builder:
    """Concatenation with the input, grouped convolution after it, concatenation into a linear layer."""
    b = Builder(seed)
    b.conv(5)
    b.concat(b.relu(), "input")
    b.conv(8, groups=8)
    b.norm()
    one = b.relu(ceiling=1.0)
    b.conv(4, kernel=1, padding=((0, 0), (0, 0)))
    b.conv(4)  # two layers with nothing between them
    two = b.relu()
    b.concat(one, two)
    b.flatten()
    b.linear(3)
    return b


def norm_after_relu(seed: int) -> Builder:
    """Norms before the first layer, after ReLU, across pooling, with negative scales and padding after them."""
    b = Builder(seed)
    b.norm()
    b.conv(4)
    b.relu()
    b.norm()
    b.affine()
    b.conv(4, stride=2)
    b.relu()
    b.norm()
    b.avg_pool(kernel=2, padding=1, count=False, overhang=0)
    b.conv(4, padding=((1, 0), (2, 1)))
    b.relu()
    b.norm()
    b.flatten()
    b.linear(3)
    b.relu()
    b.norm()
    b.linear(3)
    return b


def pools(seed: int) -> Builder:
    """Max pooling before and after ReLU, overlapping and padded, dropout, ReLU after average pooling."""
    b = Builder(seed)
    b.conv(4)
    b.max_pool(3, 2, (1, 1))
    b.relu()
    b.dropout()
    b.conv(4)
    b.relu()
    b.max_pool(3, 1, (0, 1))
    b.conv(5)
    b.avg_pool(kernel=2, padding=1, count=True)
    b.relu()
    b.flatten()
    b.linear(3)
    b.relu()
    return b


def upwards(seed: int) -> Builder:
    """Transposed convolutions with norms on both sides, pooling to a size that divides nothing, channels put last."""
    b = Builder(seed, (3, 5, 6))
    b.conv(4)
    b.relu()
    b.norm()
    b.conv_transpose(6, groups=2)
    b.norm()
    b.relu()
    b.norm()
    b.max_pool(3, 2)
    b.conv_transpose(4, kernel=2, stride=1, padding=((0, -1), (1, 1)))
    b.relu()
    b.norm()
    b.adaptive_pool(3, 4)
    b.permute(1, 2, 0)
    b.flatten()
    b.linear(4)
    return b


ALL = (plain, residual, pre_activation, dense, norm_after_relu, pools, upwards)


def anything(seed: int) -> Graph:
    """A network drawn block by block: branches, shortcuts, shared layers, odd windows, and several outputs."""
    b = Builder(seed, tuple(np.random.default_rng(seed).integers((2, 5, 5), (8, 11, 11))))
    pick = b.random
    seen: list[str] = ["input"]
    for _ in range(pick.integers(5, 11)):
        if pick.random() < 0.2:
            b.at = str(pick.choice(seen))  # a branch off something earlier
        _block(b, str(pick.choice(BLOCKS)), seen)
        seen.append(b.at)
    graph = Graph(b.nodes)
    ends = [name for name in seen if not graph.consumers[name]]
    outputs = []
    for number, end in enumerate(ends):
        b.at = end
        if pick.random() < 0.3:
            b.global_pool()
        b.flatten()
        b.linear(3)
        if pick.random() < 0.3:
            b.relu()
        outputs.append(Output(name=f"output{number}" if number else "output", inputs=(b.at,)))
    return Graph([*b.nodes, *outputs])


BLOCKS = (
    *("conv", "conv", "relu", "relu", "norm", "affine", "dropout"),
    *("avg", "max", "add", "join", "pad", "grow", "again"),
    *("up", "adapt", "leaky"),
)


def _block(b: Builder, kind: str, seen: Sequence[str]) -> None:
    """One random block at ``b.at``; what does not fit there becomes a ReLU."""
    pick, (channels, *spatial) = b.random, b.shape
    shapes = Graph(b.nodes).shapes
    padding = [(int(low), int(high)) for low, high in pick.integers(0, 3, (2, 2))]
    alike = [name for name in seen if shapes[name] == b.shape]
    joinable = [name for name in seen if shapes[name][1:] == tuple(spatial)]
    room = min(spatial) >= 4
    convs = [n for n in b.nodes if isinstance(n, Conv) and n.weight.shape[1] * n.groups == channels]
    if kind == "conv" and room:
        groups = int(pick.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        kernel, dilation = (int(n) for n in pick.choice([(1, 1), (2, 1), (2, 2), (3, 1)]))
        b.conv(groups * int(pick.integers(1, 3)), kernel, int(pick.integers(1, 3)), padding, groups, dilation)
    elif kind == "up" and max(spatial) < 8:
        groups = int(pick.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        kernel, dilation, stride = (int(n) for n in pick.integers(2, 4, 3))
        reach = dilation * (kernel - 1) + 1
        padding = [
            (low, high) if (n - 1) * stride + reach > low + high else (0, 0)
            for n, (low, high) in zip(spatial, padding, strict=True)
        ]
        b.conv_transpose(groups * int(pick.integers(1, 3)), kernel, stride, padding, groups, dilation)
    elif kind == "adapt" and room:
        b.adaptive_pool(*(int(pick.integers(3, n + 1)) for n in spatial))
    elif kind == "leaky":
        b.leaky()
    elif kind == "norm":
        b.norm()
    elif kind == "affine":
        b.affine()
        if pick.random() < 0.3:  # one factor for each neuron
            scale, bias = pick.normal(size=(2, channels, *spatial))
            b.nodes[-1] = b.nodes[-1].replace(scale=scale, bias=bias)
    elif kind == "dropout":
        b.dropout()
    elif kind == "avg" and room:
        kernel = int(pick.integers(2, 4))
        b.avg_pool(kernel, int(pick.integers(0, 2)), bool(pick.integers(2)), int(pick.integers(0, 2)))
    elif kind == "max" and room:
        b.max_pool(int(pick.integers(2, 4)), int(pick.integers(1, 3)), (int(pick.integers(2)), int(pick.integers(2))))
    elif kind == "add":
        b.sum(b.at, str(pick.choice(alike)))  # at times to itself
    elif kind == "join":
        b.concat(b.at, str(pick.choice(joinable)))
        if pick.random() < 0.3 and len(set(b.nodes[-1].inputs)) == 2 and b.nodes[-1].inputs[1] in alike:
            b.nodes[-1] = b.nodes[-1].replace(axis=1)
    elif kind == "pad":
        b.add(Pad(name=b.name("pad"), inputs=(b.at,), padding=((0, int(pick.integers(2))), *padding)))
    elif kind == "grow" and max(spatial) < 8:
        b.add(Upsample(name=b.name("grow"), inputs=(b.at,), factor=(1, 2)))
    elif kind == "again" and convs and room:
        b.add(convs[0].replace(name=b.name("shared"), inputs=(b.at,)))
    else:
        b.relu(ceiling=float(pick.uniform(0.5, 2)) if pick.random() < 0.3 else None)
