"""What a way back writes over and finds again: gradients stay what they are."""

from typing import Any

import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright import training
from spikewright.training import memory, scan, spiking_module


class Shortcut(nn.Module):
    """Pools right behind neurons, of sizes that they fit and do not fit, and sums that several read."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3)
        self.end = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.avg_pool2d(self.a(x).relu(), 2)
        x = self.b(x)
        x = nn.functional.avg_pool2d((x.relu() + x).relu(), 2)
        return self.end(self.c(x).relu().mean((2, 3)))


@pytest.mark.parametrize(("neurons", "budget"), [({}, 2**30), ({"no_debt": True}, 2**30), ({}, 1)])
@pytest.mark.parametrize("sequence", [False, True])
def test_what_is_written_over_changes_no_gradient(neurons: dict[str, Any], budget: int, sequence: bool) -> None:
    """Potentials in the place of inputs, gradients in that of potentials, pools right behind neurons."""
    torch.manual_seed(0)
    x = torch.rand(3, 1, 15, 14)
    conversion = sw.convert(sw.load(Shortcut(), shape=(1, 15, 14)), x.numpy(), "max", neurons=sw.Neurons(**neurons))
    module = training.module(conversion, budget=budget).double()
    given = (torch.rand(4, 3, 1, 15, 14).double(),) if sequence else (x.double(), 4)

    def gradients(keep: bool) -> list[torch.Tensor]:
        module.zero_grad()
        loss = module(*given)[:, -1].square().sum()
        loss.backward(retain_graph=keep)
        found = [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]
        if keep:
            loss.backward()
            for one, parameter in zip(found, module.parameters(), strict=True):
                torch.testing.assert_close(2 * one, parameter.grad)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spiking_module, "read_alone", lambda *_: False)
        patch.setattr(spiking_module, "pools_at_once", lambda _: False)
        patch.setattr(spiking_module, "sends_single", lambda _: False)
        patch.setattr(scan, "_freed", lambda: False)
        plain = gradients(keep=False)
    assert all(one.abs().sum() > 0 for one in plain)
    for keep in (False, True):
        for one, other in zip(plain, gradients(keep), strict=True):
            torch.testing.assert_close(one, other)


def test_memory_that_is_given_back_is_asked_for_again() -> None:
    memory.give_memory_back()
    assert torch.ones(2**21).sum() == 2**21


def test_two_losses_one_behind_the_other() -> None:
    """What the first way back wrote over is not taken for spikes by the second."""
    net = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2))
    x = torch.rand(5, 6)
    module = training.module(sw.convert(sw.load(net, shape=(6,)), x.numpy(), "max"))
    frames, weights = x.expand(4, 5, 6), module.trained["4", "weight"]
    done = module.run(frames, counts=True)
    (*_, counts) = done.counts.values()
    counts.sum().backward()
    with pytest.raises(RuntimeError, match=r"retain_graph=True"):
        torch.autograd.grad(done.answer.sum(), weights)
    done = module.run(frames, counts=True)
    (*_, counts) = done.counts.values()
    counts.sum().backward(retain_graph=True)
    torch.autograd.grad(done.answer.sum(), weights)
