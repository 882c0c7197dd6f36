"""Steps of PyTorch that may be refused; those that are not must be exact."""

# ruff: noqa: ARG005

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from random_networks.torch_drawing import (
    Drawn,
    Step,
)

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
