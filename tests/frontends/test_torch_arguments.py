"""Arguments that a rule could forget: with each the graph computes what PyTorch does, or the operator is refused.

The smallest failing examples of what random networks found are here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikewright as sw
from spikewright.errors import GraphError, ModelFileError, UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.torch import from_exported, from_torch

ROW, SEQUENCE, IMAGE, PICTURES = (4,), (4, 6), (4, 4, 6), (2, 4, 4, 4)
UNBATCHED = "no batch axis of its own"


class Functional(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *xs: Tensor) -> Any:
        return self.function(*xs)


EXACT: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "threshold 0, 0": (lambda x: F.threshold(x, 0, 0), ROW),
    "threshold to 5": (lambda x: F.threshold(x, 0, 5), ROW),
    "threshold at 1": (lambda x: F.threshold(x, 1, 0), ROW),
    "threshold to −2 in place": (lambda x: F.threshold(x * 1, 0, -2, True), ROW),
    "threshold of rectified": (lambda x: F.threshold(x.relu(), 0, 1), ROW),
    "threshold in place": (lambda x: F.threshold(x * 2, 0.0, 0.0, inplace=True), ROW),
    "clamp by one tensor": (lambda x: x.clamp(min=torch.tensor(0.0)), ROW),
    "clamp to a range by tensors": (lambda x: x.clamp(torch.zeros(1), torch.full((4,), 0.5)), ROW),
    "leaky, growing": (lambda x: F.leaky_relu(x, 1.5), ROW),
    "leaky, falling": (lambda x: F.leaky_relu(x, -0.5), ROW),
    "dropout of nothing": (lambda x: F.dropout(x, 0.0, training=True), ROW),
    "alpha of add": (lambda x: torch.add(x, x.relu(), alpha=-2), ROW),
    "alpha of a constant": (lambda x: torch.sub(x, torch.arange(4.0), alpha=3), ROW),
    "alpha of rsub": (lambda x: torch.rsub(x, 1.0, alpha=3), ROW),
    "bytes taken away": (lambda x: x - torch.tensor([3], dtype=torch.uint8), ROW),
    "divided by bytes": (lambda x: x / torch.tensor([2], dtype=torch.uint8), ROW),
    "a boolean factor": (lambda x: x * torch.tensor([True, False, True, True]), ROW),
    "double on the way": (lambda x: x.double().mul(0.5).float(), ROW),
    "addmm with a number": (lambda x: torch.addmm(torch.ones(()), x, torch.ones(4, 2)), ROW),
    "ceil_mode, not counting": (lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), SEQUENCE),
    "ceil_mode, dilated": (lambda x: F.max_pool1d(x, 2, 3, 1, 2, True), SEQUENCE),
    "divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=-3), IMAGE),
    "mean with its axes": (lambda x: x.mean((1, 3), keepdim=True), IMAGE),
    "sum from behind": (lambda x: x.sum(-1), IMAGE),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), IMAGE),
    "pixel shuffle of pictures": (lambda x: F.pixel_shuffle(x, 2), PICTURES),
    "pixel unshuffle of pictures": (lambda x: F.pixel_unshuffle(x, 2), PICTURES),
    "channel shuffle of a sequence": (lambda x: F.channel_shuffle(x, 2), SEQUENCE),
    "scale factor": (lambda x: F.interpolate(x, scale_factor=(2.0, 3.0)), IMAGE),
    "broken factor": (lambda x: F.interpolate(x, scale_factor=2.3), (4, 3)),
    "broken size": (lambda x: F.interpolate(x, size=(6, 8)), IMAGE),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), IMAGE),
    "windows that differ": (lambda x: F.adaptive_max_pool2d(x, 3), IMAGE),
    "reflection": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), IMAGE),
    "padding with ones": (lambda x: F.pad(x, (1, 1), value=1.0), IMAGE),
    "two-sided clamp": (F.hardtanh, IMAGE),
    "ceiling alone": (lambda x: x.clamp(max=1), IMAGE),
    "maximum of branches": (lambda x: torch.maximum(x, 1 - x), IMAGE),
    "ceilings that differ": (lambda x: torch.minimum(x.relu(), torch.arange(1.0, x.shape[-1] + 1)), IMAGE),
    "branches that spread": (lambda x: x + x.mean((2, 3), keepdim=True), IMAGE),
    "mean of stacked branches": (lambda x: torch.stack([x, x.flip(2)]).mean(0), IMAGE),
    "scale factor for shapes": (lambda x: F.interpolate(x, scale_factor=2.3, recompute_scale_factor=True), (4, 3)),
    "an empty part": (lambda x: x.split([0, 6], -1)[1], SEQUENCE),
    "chunks from behind": (lambda x: x.chunk(3, -1)[-1], SEQUENCE),
    "first result of a norm": (
        lambda x: torch.ops.aten.native_batch_norm(x, None, None, torch.ones(4), torch.ones(4), False, 0.1, 1e-3)[0],
        IMAGE,
    ),
    "ones for the batch": (lambda x: x + torch.ones(x.shape[0], 4), ROW),
    "a filled batch": (lambda x: x + torch.full((x.shape[0], 1), 2.0).expand(-1, 4), ROW),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    function, shape = EXACT[name]
    graph = sw.load(Functional(function), shape=shape)
    for count in (1, 5):
        x = torch.randn(count, *shape)
        wanted = function(x.clone()).numpy()
        found = run(graph, x.numpy())["output"]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(np.abs(wanted).max(), 1))


ON_BATCH = "its answer for one sample depends on the batch it stands in"

REFUSED: dict[str, tuple[Callable[[Tensor], Any], tuple[int, ...], str]] = {
    "clamp turned round": (lambda x: x.clamp(2, 1), ROW, "clamp at .*: its lower bound 2 is not below"),
    "ceiling of 0": (lambda x: F.hardtanh(x, 0.0, 1e-9).clamp(0, 0), ROW, "clamp at .*: its lower bound 0 is not"),
    "maximum that repeats": (lambda x: torch.maximum(x, torch.zeros(3, 1, 1)), (1,), "maximum at"),
    "rrelu in training": (lambda x: F.rrelu(x, training=True), ROW, "rrelu at .*: it does what it does in training"),
    "dropout in training": (lambda x: F.dropout(x, 0.5), ROW, "dropout at .*: it does what it does in training"),
    "whole numbers": (lambda x: x.to(torch.int32).float(), ROW, "to_copy at .*: it rounds to whole numbers"),
    "bytes that wrap": (lambda x: (x.byte() - 128).float(), ROW, "to_copy at .*: it rounds to whole numbers"),
    "bits": (lambda x: x.view(torch.int32).float(), ROW, "view at .*: it reads the bits of numbers as other numbers"),
    "half bits": (lambda x: x.half().view(torch.bfloat16).float(), ROW, "view at .*: it reads the bits"),
    "imaginary": (lambda x: (x * 1j).real, ROW, "mul at"),
    "complex constant": (lambda x: (x * torch.tensor([1j])).real, ROW, "mul at"),
    "division by zero": (lambda x: x / 0, ROW, "div at .*: it divides by zero"),
    "division by a zero": (lambda x: x / torch.tensor([1.0, 0, 1, 1]), ROW, "div at .*: it divides by zero"),
    "division by nearly zero": (lambda x: x / 1e-42, ROW, "div at .*: its constant is infinite"),
    "infinite": (lambda x: x + float("inf"), ROW, "add at .*: its constant is infinite, or no number"),
    "no number": (lambda x: x * float("nan"), ROW, "mul at .*: its constant is infinite, or no number"),
    "infinite when folded": (lambda x: x + torch.ones(1) / torch.zeros(1), ROW, "add at .*: its constant is infinite"),
    "rounding division": (lambda x: torch.div(x, 2, rounding_mode="floor"), ROW, "div at .*: it rounds"),
    "rows that differ": (
        lambda x: torch.addmm(torch.arange(3.0).view(3, 1), x, torch.ones(4, 2)),
        ROW,
        r"fails on an example",
    ),
    "sum of whole numbers": (lambda x: x.sum(-1, dtype=torch.int64), SEQUENCE, "sum at .*: it computes with numbers"),
    "where the largest stood": (
        lambda x: F.max_pool1d(x, 2, return_indices=True)[1].float(),
        SEQUENCE,
        "max_pool1d at .*: more of it is read than its first result",
    ),
    "statistics of a norm": (
        lambda x: torch.ops.aten.native_batch_norm(x, None, None, torch.ones(4), torch.ones(4), False, 0.1, 1e-3)[1],
        IMAGE,
        "none of its outputs|its output does not depend|batch_norm at",
    ),
    "nothing": (lambda x: x[..., 2:2], SEQUENCE, "slice at .*: it leaves nothing"),
    "nothing left of a row, and more behind it": (
        lambda x: F.pad(x, (-2, -2)) + 1,
        ROW,
        r"1 operator cannot be .*: pad at .*: it leaves nothing, \(0,\)",
    ),
    "less than nothing": (lambda x: x[..., 3:1], SEQUENCE, "slice at .*: it leaves nothing"),
    "pixel shuffle over the batch": (
        lambda x: F.pixel_unshuffle(x, 2),
        (4, 4),
        "pixel_unshuffle at .*: it takes the batch",
    ),
    "pool of each sample": (lambda x: F.avg_pool2d(x, 2), SEQUENCE, f"avg_pool2d at .*{UNBATCHED}"),
    "pool of each row": (lambda x: F.max_pool1d(x, 2), ROW, f"max_pool1d at .*{UNBATCHED}"),
    "adaptive pool of each sample": (
        lambda x: F.adaptive_avg_pool2d(x, 1),
        SEQUENCE,
        f"adaptive_avg_pool2d at .*{UNBATCHED}",
    ),
    "numbered samples": (
        lambda x: x + torch.arange(x.shape[0]).view(-1, 1),
        ROW,
        "arange at .*: its constant depends on the size of the batch",
    ),
    "the batch as a constant": (
        lambda x: x + torch.full((1,), x.shape[0]),
        ROW,
        ON_BATCH,
    ),
    "the batch, summed": (
        lambda x: x * torch.ones(x.shape[0], 1).sum(),
        ROW,
        ON_BATCH,
    ),
    "the batch as a factor": (lambda x: x * x.shape[0], ROW, ON_BATCH),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    function, shape, message = REFUSED[name]
    with pytest.raises(match=message) as caught:
        sw.load(Functional(function), shape=shape)
    assert "not make sense" not in str(caught.value)


BY_BATCH: dict[str, Callable[[Tensor], Tensor]] = {
    "the batch as a number": lambda x: x * float(x.shape[0]),
    "a decision by the batch": lambda x: x.relu() if x.shape[0] > 2 else x,
    "a decision by one sample": lambda x: x.relu() if x.shape[0] == 1 else -x,
    "the first sample": lambda x: x - x[0:1],
    "up to five samples": lambda x: x[:5],
    "a batch norm of the batch": lambda x: F.batch_norm(x, None, None, training=True),
    "samples in a row": lambda x: x.reshape(1, -1),
    "noise": lambda x: x + torch.randn_like(x),
}


WRITTEN_FOR_ONE = ("samples in a row", 1)
"""What is written for one size, and traced at it, is what it is there."""


@pytest.mark.parametrize(("name", "example"), [(n, e) for n in BY_BATCH for e in (1, 3) if (n, e) != WRITTEN_FOR_ONE])
def test_samples_may_not_know_of_each_other(name: str, example: int) -> None:
    """Whatever the size of the example: it would be baked in."""
    with pytest.raises((GraphError, ModelFileError, UnsupportedModelError)) as caught:
        from_torch(Functional(BY_BATCH[name]), torch.randn(example, 4))
    assert len(str(caught.value)) < 400


def test_a_decision_by_the_batch_is_told() -> None:
    with pytest.raises(GraphError) as caught:
        from_torch(Functional(BY_BATCH["a decision by one sample"]), torch.zeros(1, 4))
    assert ON_BATCH in str(caught.value)
    with pytest.raises(
        ModelFileError, match="does one thing for batches of more than 2 samples and another for others"
    ):
        from_torch(Functional(BY_BATCH["a decision by the batch"]), torch.zeros(1, 4))
    with pytest.raises(ModelFileError, match="does one thing for batches of up to 4 samples and another for others"):
        from_torch(Functional(BY_BATCH["up to five samples"]), torch.zeros(1, 4))


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


def test_a_module_that_changes_what_it_computes_with() -> None:
    with pytest.raises(UnsupportedModelError, match=r"buffer 'calls' at forward of Counting: forward\(\) changes it"):
        from_torch(Counting(), torch.zeros(2, 3))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64])
def test_inputs_of_whole_numbers_are_cast_before_anything_else(kind: torch.dtype) -> None:
    """256 is 0 in bytes, and no whole number is half of 3."""
    x = torch.tensor([[3, 200]], dtype=kind)
    graph = from_torch(Functional(lambda x: x.view(-1, 1, 2).flatten(1).float() * 2), x)
    np.testing.assert_array_equal(run(graph, x.numpy())["output"], [[6, 400]])
    with pytest.raises(
        UnsupportedModelError, match=r"mul at .*: it computes with numbers other than floating-point ones"
    ):
        from_torch(Functional(lambda x: (x * 2).float()), x)


def test_a_program_in_training_mode_that_drops_values() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(3, 3), nn.Dropout()), (torch.rand(4, 3),), strict=False)
    with pytest.raises(UnsupportedModelError, match=r"dropout at 1: it does what it does in training"):
        from_exported(program)
