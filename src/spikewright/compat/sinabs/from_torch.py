"""The name that newer versions of sinabs have for the conversion: ``from_torch.from_model``."""

from spikewright.compat.sinabs.from_model import from_torch as from_model

__all__ = ["from_model"]
