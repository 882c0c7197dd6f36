"""The rules for PyTorch's operators: every ``Rules`` in a file of this folder, or of another package."""

from __future__ import annotations

from types import ModuleType

from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Handler
from spikewright.registry import Registry


def _held(module: ModuleType) -> dict[str, Handler]:
    return {name: rule for table in vars(module).values() if isinstance(table, Rules) for name, rule in table.items()}


rules = Registry("spikewright.torch_rules", "a rule for PyTorch", _held, folder="spikewright.frontends.torch")
"""What becomes of each ATen operator, by its name without namespace and overload."""
