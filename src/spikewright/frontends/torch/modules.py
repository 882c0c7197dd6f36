"""What people give in the place of a torch module, and modules that have nothing to be traced."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spikewright.causes import Cause
from spikewright.errors import ModelFileError

if TYPE_CHECKING:
    from torch import nn

BY_CODE = "give the nn.Module that it was made from, or save that with torch.export.save as .pt2"


def runnable(given: Any) -> nn.Module:
    """The module that can be traced: the one inside of a wrapper, or the given one.

    Raises:
        ModelFileError: for what is no module, or holds no weights yet.
    """
    import torch
    from torch import nn

    kind = type(given).__name__
    if isinstance(given, type):
        raise ModelFileError(f"{given.__name__} is a class; give a module made of it: {given.__name__}()")
    if is_state_dict(given):
        raise ModelFileError(
            "a state dict holds weights without the network: build the module, call load_state_dict on it, and give it"
        )
    if isinstance(given, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise ModelFileError(f"{_scripted(given)} is TorchScript (torch.jit), which cannot be followed; {BY_CODE}")
    if not isinstance(given, nn.Module):
        raise ModelFileError(f"a {kind} is no torch.nn.Module; give the module itself")
    wrapped = _inside(given)
    if wrapped is not given:
        return runnable(wrapped)
    for path, part in given.named_modules():
        _check_part(given, path, part)
    return given


def is_torch(given: Any) -> bool:
    """Whether an object is of PyTorch, so that ``runnable`` has something to say of it; PyTorch is not imported."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(given, type):
        return issubclass(given, torch.nn.Module)
    return isinstance(given, torch.nn.Module | torch.jit.ScriptFunction) or is_state_dict(given)


def is_state_dict(given: Any) -> bool:
    """Whether an object is weights by name, or a checkpoint that holds them."""
    import torch

    if not isinstance(given, Mapping):
        return False
    return any(isinstance(value, torch.Tensor) or is_state_dict(value) for value in given.values())


def _scripted(given: Any) -> str:
    return str(getattr(given, "original_name", None) or getattr(given, "name", None) or type(given).__name__)


def _inside(module: nn.Module) -> nn.Module:
    """What DataParallel, DistributedDataParallel and torch.compile wrap."""
    from torch import nn

    name = "_orig_mod" if type(module).__name__ == "OptimizedModule" else "module"
    if type(module).__name__ in ("OptimizedModule", "DataParallel", "DistributedDataParallel"):
        inside = getattr(module, name, None)
        if isinstance(inside, nn.Module):
            return inside
    return module


def _check_part(module: nn.Module, path: str, part: nn.Module) -> None:
    """Refuse a part whose weights are not there, or not numbers."""
    import torch
    from torch.nn.parameter import is_lazy

    model = type(module).__name__
    where = f"its {type(part).__name__}" + (f" '{path}'" if path else "")
    if isinstance(part, torch.jit.ScriptModule):
        raise ModelFileError(f"{model}: {where} is TorchScript (torch.jit), which cannot be followed; {BY_CODE}")
    home = type(part).__module__
    tensors = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
    if ".quantized" in home or any(not is_lazy(t) and t.is_quantized for t in tensors):
        what = f"{where} is quantised, and its weights are whole numbers"
        raise ModelFileError(f"{model}: {Cause.QUANTISED.message(what)}")
    for tensor in tensors:
        if is_lazy(tensor):
            raise ModelFileError(f"{model}: {where} has no weights yet (a lazy module); run it once on a batch first")
        if tensor.is_meta:
            raise ModelFileError(
                f"{model}: {where} is on the meta device, where weights have no values; "
                "call module.to_empty(device='cpu') and load its weights first"
            )
