"""A module from a Python file the user names, and its weights from a file that must not run anything."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import pickle
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spikewright.errors import ModelFileError, SpikewrightError
from spikewright.frontends.common.files import check_exists
from spikewright.frontends.torch.archives import check_unpacked, is_archive, names_objects, pickled_objects
from spikewright.text import first_line

if TYPE_CHECKING:
    from torch import Tensor, nn


def build_module(spec: str, weights: Path | None) -> nn.Module:
    """The module that ``FILE.py:FACTORY`` gives, with its weights loaded.

    Raises:
        ModelFileError: when the file, the factory or the weights are missing or do not fit.
    """
    from torch import nn

    source, _, name = spec.rpartition(":")
    if not source.endswith(".py") or not name:
        raise ModelFileError(f"{spec}: give a Python file and what makes the module in it, as FILE.py:FACTORY")
    factory = _factory(Path(source), name)
    try:
        inspect.signature(factory).bind()
    except TypeError:
        raise ModelFileError(
            f"{spec}: needs the arguments {inspect.signature(factory)}; "
            "name a function that takes none and returns the module"
        ) from None
    except ValueError:
        pass  # a callable without a signature: calling it tells
    try:
        module = factory()
    except (Exception, SystemExit) as error:  # code of the user's own
        raise ModelFileError(f"{spec}: failed with {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise ModelFileError(f"{spec}: returned a {type(module).__name__}, not a torch.nn.Module")
    if weights is not None:
        load_weights(module, Path(weights))
    return module


def _factory(path: Path, name: str) -> Any:
    """A callable of a Python file."""
    check_exists(path)
    module = _imported(path)
    factory = getattr(module, name, None)
    if not callable(factory):
        found = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        raise ModelFileError(f"{path}: has no function or class '{name}'; it has {', '.join(found) or 'none'}")
    return factory


def _imported(path: Path) -> ModuleType:
    """The file as a module, with its own folder importable while it is executed."""
    # A name of its own, so that a file called like an installed package shadows nothing.
    name = f"_spikewright_model_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        found.loader.exec_module(module)
    except SpikewrightError:
        raise
    except (Exception, SystemExit) as error:  # code of the user's own
        del sys.modules[name]
        raise ModelFileError(f"{path}: cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    finally:
        sys.path.remove(folder)
    return module


def load_weights(module: nn.Module, path: Path) -> None:
    """Put a state dict from a file into a module.

    Args:
        module: changed in place.
        path: ``.safetensors``, or what ``torch.save`` wrote: a state dict, or a checkpoint that holds one under
            ``state_dict``, ``model_state_dict`` or ``model``.

    Raises:
        ModelFileError: for a missing or damaged file, one that holds more than tensors, or weights that do not fit.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such weights file")
    state = _state(path)
    wanted = module.state_dict()
    troubles = [
        _listed("missing", [k for k in wanted if k not in state]),
        _listed("unexpected", [k for k in state if k not in wanted]),
        _listed(
            "of another shape",
            [
                f"{k} {tuple(state[k].shape)} for {tuple(wanted[k].shape)}"
                for k in wanted
                if k in state and tuple(wanted[k].shape) != tuple(state[k].shape)
            ],
        ),
    ]
    if any(troubles):
        raise ModelFileError(
            f"{path}: does not fit {type(module).__name__}: {'; '.join(t for t in troubles if t)}; "
            "load the weights of this very model"
        )
    module.load_state_dict(state)


def _listed(label: str, keys: list[str]) -> str:
    """``missing fc.weight, fc.bias and 3 more``."""
    if not keys:
        return ""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{label}: {', '.join(keys[:3])}{more}"


def _state(path: Path) -> dict[str, Tensor]:
    import torch

    found = _safetensors(path) if path.suffix == ".safetensors" else _torch_save(path)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelFileError(f"{path}: holds a {type(found).__name__}, not a state dict of tensors; {_SAVE}")
    return {str(k): v for k, v in found.items()}


_SAVE = "save it with torch.save(model.state_dict(), …) or as safetensors"


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"{path}: not a whole safetensors file ({first_line(error)}); download or save it again"
        ) from error


def _torch_save(path: Path) -> Any:
    """What ``torch.save`` wrote, if it is nothing but tensors and containers."""
    import torch

    try:
        if is_archive(path):
            with zipfile.ZipFile(path) as archive:
                check_unpacked(archive, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the errors below say what matters
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if names_objects(path):
            raise pickled_objects(f"{path}:", _SAVE) from error
        raise ModelFileError(f"{path}: not a weights file of torch, or damaged; {_SAVE}") from error
    except Exception as error:
        raise ModelFileError(
            f"{path}: not a whole weights file ({first_line(error)}); download or save it again"
        ) from error
