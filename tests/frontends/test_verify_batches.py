"""Answers that depend on the batch they are in, and code for one batch size."""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikewright.errors import GraphError, SpikewrightError, UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.torch import from_exported, from_torch
from spikewright.frontends.verify import verification
from verified_modules import Functional, deep, refusal, small

DEPENDENT: dict[str, Callable[[Any, Tensor], Any]] = {
    "times its size": lambda m, x: x * x.shape[0],
    "through its length": lambda m, x: m.fc(x) / len(x),
    "a tensor of its size": lambda m, x: x * torch.full((1,), float(x.shape[0])),
    "ones over its size": lambda m, x: x + torch.ones(x.shape[0], 4) / x.shape[0],
    "steps behind it": lambda m, x: torch.floor(x.clamp(0, 1) * 4 + 0.5) * x.shape[0],
    "the first sample alone": lambda m, x: x[0:1],
    "its mean": lambda m, x: x - x.mean(0, keepdim=True),
    "the sum of all": lambda m, x: x + x.sum(),
    "samples turned round": lambda m, x: x.flip(0),
    "samples rolled": lambda m, x: x.roll(1, 0),
    "softmax over it": lambda m, x: x.softmax(0),
    "normalised over it": lambda m, x: F.normalize(x, dim=0),
    "its statistics": lambda m, x: F.batch_norm(x, None, None, training=True),
    "largest of it": lambda m, x: x - x.amax(0),
    "numbered samples": lambda m, x: x + torch.arange(x.shape[0])[:, None],
    "samples side by side": lambda m, x: x.reshape(-1, 2),
    "sorted samples": lambda m, x: x.sort(0).values,
    "cumulated": lambda m, x: x.cumsum(0),
}


PLAIN = ("times its size", "through its length", "a tensor of its size", "steps behind it")
"""Those that can be traced for one batch size, and then look as if nothing were wrong."""


@pytest.mark.parametrize(("name", "size"), [*((name, 1) for name in DEPENDENT), *((name, 4) for name in PLAIN)])
def test_answers_that_depend_on_the_batch_are_refused(name: str, size: int) -> None:
    torch.manual_seed(0)
    module = Functional(DEPENDENT[name], fc=nn.Linear(4, 3))
    with pytest.raises(SpikewrightError) as caught:
        from_torch(module, torch.randn(size, 4))
    # Batch statistics of one sample fail by themselves; all else is refused by what it does.
    assert isinstance(caught.value, GraphError | UnsupportedModelError) or (name, size) == ("its statistics", 1)


@pytest.mark.parametrize("name", PLAIN)
def test_why_is_said(name: str) -> None:
    message = refusal(Functional(DEPENDENT[name], fc=nn.Linear(4, 3)), torch.randn(1, 4))
    assert message.startswith("Functional: its answer for one sample depends on the batch it stands in (by ")
    assert message.endswith("take what uses the batch size, or mixes samples, out of its code")


def test_samples_that_get_no_answer() -> None:
    assert refusal(Functional(lambda m, x: x[0:1]), torch.randn(1, 4)) == (
        "Functional: it answers a batch of 2 samples with 'output' of shape (1, 4), which is not one answer for each "
        "sample; take what mixes or drops samples out of its code"
    )


@pytest.mark.parametrize("size", [1, 4])
def test_code_for_one_batch_size_is_compared_at_that(size: int) -> None:
    module = Functional(lambda m, x: m.fc(x.view(size, -1)), fc=nn.Linear(12, 2))
    known = verification(from_torch(module, torch.randn(size, 3, 4)))
    assert known.batches == (size,)
    assert known.notes == (
        f"its code was followed for batches of {size} only, and what it does with that number is kept",
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_program_of_one_batch_size_answers_sample_by_sample(size: int) -> None:
    module = deep().eval()
    x = torch.randn(size, 1, 8, 8)
    graph = from_exported(torch.export.export(module, (x,)))
    known = verification(graph)
    assert known.batches == (size,)
    assert known.notes == (f"it is made for batches of {size} only",)
    together = run(graph, x)["output"]
    alone = np.concatenate([run(graph, x[i : i + 1])["output"] for i in range(size)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(together, module(x), atol=1e-4)


def test_a_program_of_any_batch_size_within_bounds() -> None:
    sizes = {0: torch.export.Dim("batch", min=2, max=64)}
    program = torch.export.export(small().eval(), (torch.zeros(4, 4),), dynamic_shapes=(sizes,))
    assert verification(from_exported(program)).batches == (2, 3)
