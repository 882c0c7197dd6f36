"""Drawing a PyTorch module step by step, each run at once on a probe of three samples."""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from random_networks.drawing import Array, Chance

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
