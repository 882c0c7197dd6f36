"""Modules that are imported and compared, and what refusals say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikewright.errors import GraphError
from spikewright.frontends.torch import from_torch
from spikewright.frontends.torch.rules import rules as torch_rules


class Functional(nn.Module):
    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x: Tensor) -> Any:
        return self.function(self, *x)


class Staircase(nn.Module):
    """QCFS with L steps to a trained ceiling."""

    def __init__(self, levels: int = 8, ceiling: float = 1.3) -> None:
        super().__init__()
        self.levels = levels
        self.ceiling = nn.Parameter(torch.tensor([ceiling]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(torch.clamp(x / self.ceiling, 0, 1) * self.levels + 0.5) / self.levels * self.ceiling


def small(*middle: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), *(middle or (nn.ReLU(),)), nn.Linear(6, 3))


def deep() -> nn.Module:
    torch.manual_seed(1)
    convs = [nn.Sequential(nn.Conv2d(1 if k == 0 else 8, 8, 3, padding=1), Staircase()) for k in range(2)]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(8 * 64, 5))


def refusal(module: nn.Module, example: Any, **options: Any) -> str:
    with pytest.raises(GraphError) as caught:
        from_torch(module, example, **options)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def replace_rule(monkeypatch: pytest.MonkeyPatch, operator: str, rule: Any) -> None:
    """Another rule for an operator of PyTorch, for the rest of the test."""
    changed = {**torch_rules(), **REPLACED, operator: rule}
    monkeypatch.setitem(REPLACED, operator, rule)
    monkeypatch.setattr("spikewright.frontends.torch.frontend.rules", lambda: changed)


REPLACED: dict[str, Any] = {}
"""Rules that the test that runs has replaced."""
