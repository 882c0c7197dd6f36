"""Random graphs of blocks that networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from networks import Builder
from spikewright.graph import Graph
from spikewright.nodes import (
    Conv,
    Output,
    Pad,
    Upsample,
)


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
