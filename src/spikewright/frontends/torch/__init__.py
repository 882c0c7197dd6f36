"""PyTorch: modules through ``torch.export``, ``.pt2`` files, and ``FILE.py:FACTORY`` on the command line."""

from spikewright.frontends.torch.frontend import from_exported, from_file, from_torch, load_pt2
from spikewright.frontends.torch.modules import is_torch

__all__ = ["from_exported", "from_file", "from_torch", "is_torch", "load_pt2"]
