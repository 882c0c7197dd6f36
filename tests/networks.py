"""Random networks for tests: small, with biases and statistics that are not the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import spikewright as sw
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
    Permute,
    ReLU,
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


def stored(builder: Builder, folder: Path) -> None:
    """A network with three classes as ``net.safetensors``, and its data, ``train.npz`` and ``test.npz``."""
    x = builder.samples(40)
    sw.save(builder.graph(), folder / "net.safetensors")
    np.savez(folder / "train.npz", x=x[:24], y=np.arange(24) % 3)
    np.savez(folder / "test.npz", x=x[24:], y=np.arange(16) % 3)


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
