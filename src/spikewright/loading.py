"""One verb for every door: a model in memory or on disk becomes a graph."""

from __future__ import annotations

import zipfile
from math import prod
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

from spikewright.conversion import Conversion
from spikewright.errors import ModelFileError, SettingsError
from spikewright.frontends.verify import SECONDS, check_seconds
from spikewright.graph import Graph, Shape
from spikewright.node import MOST_VALUES
from spikewright.settings import whole
from spikewright.storage import load_stored

KNOWN = ".onnx, .pt2, .keras, .h5, .nir, .safetensors or FILE.py:FACTORY"
"""What a path may be."""
BY_KERAS = (
    "save the Keras model with model.save('network.keras'), or what there is with "
    "python -m tf2onnx.convert --saved-model FOLDER --output network.onnx"
)


@overload
def load(
    model: str | PathLike[str],
    *,
    example: Any = None,
    shape: Shape | None = None,
    weights: Path | str | None = None,
    dt: float | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph | Conversion: ...
@overload
def load(
    model: Any,
    *,
    example: Any = None,
    shape: Shape | None = None,
    weights: Path | str | None = None,
    dt: float | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph: ...
def load(
    model: Any,
    *,
    example: Any = None,
    shape: Shape | None = None,
    weights: Path | str | None = None,
    dt: float | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph | Conversion:
    """Read a trained network, or what ``save`` wrote.

    Where the framework is at hand, the graph is run beside the network on random samples before it is given out: torch
    modules, ``.pt2`` programs and Keras models, and ONNX models in memory where ONNX Runtime is installed.

    Args:
        model: a torch module (with ``example`` or ``shape``); a Keras model; a loaded ONNX model or NIR graph; or
            the path of an ``.onnx``, ``.pt2``, ``.keras``, ``.h5``, ``.nir`` or Spikewright ``.safetensors`` file; or
            ``FILE.py:FACTORY``, code that makes a torch module.
        example: a batch that the module takes, ``(B, *shape)``.
        shape: of one sample, channels first, instead of an example.
        weights: for ``FILE.py:FACTORY``: a state dict as safetensors, or as torch saves it, read without
            unpickling anything but tensors.
        dt: for NIR: length of a timestep, in seconds.
        verify: False leaves the comparison out; True makes it for ``.onnx``, ``.keras`` and ``.h5`` files too, with
            ONNX Runtime or Keras, and refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun; one is always compared.

    Returns:
        the graph, which computes what the model computes; spiking already where the model is. ``meta["verified"]``
        says what was compared. Of a file that holds a conversion, that.

    Raises:
        UnsupportedModelError: with everything in the model that has no spiking form.
        ModelFileError: for files that are missing, damaged, or not what their name says.
        SettingsError: when neither example nor shape is given where one is needed, or a package is missing.
        GraphError: for a graph that does not compute what the model does, naming the first node that differs.
    """
    check_seconds(verify_seconds)
    shape = _checked_shape(shape)
    how: dict[str, Any] = {"verify": verify, "verify_seconds": verify_seconds}
    if isinstance(model, Graph | Conversion):
        return model
    if isinstance(model, str | PathLike):
        return _from_path(fspath(model), shape, None if weights is None else Path(weights), dt, how)
    if type(model).__name__ == "ModelProto":
        from spikewright.frontends.onnx import from_onnx

        return from_onnx(model, shape=shape, **how)
    if type(model).__name__ == "ExportedProgram":
        from spikewright.frontends.torch import from_exported

        return from_exported(model, **how)
    if type(model).__name__ == "NIRGraph":
        return _from_nir(model, dt, verify)
    from spikewright.frontends.keras import from_keras, is_keras

    if is_keras(model):  # before torch: with that backend its layers are torch modules too
        return from_keras(model, shape=shape, **how)
    return _from_torch(model, example, shape, how)


def _from_torch(model: Any, example: Any, shape: Shape | None, how: dict[str, Any]) -> Graph:
    """A torch module, or the advice for what is none."""
    from spikewright.frontends.torch import from_torch, is_torch

    if not is_torch(model):
        raise ModelFileError(
            f"cannot read a network from a {type(model).__name__}; give a torch or Keras model, ONNX, NIR, or a path"
        )
    if example is None:
        if shape is None:
            raise SettingsError("a torch module needs an example input: load(module, example=x) or shape=(1, 28, 28)")
        import torch

        example = torch.zeros(1, *shape)
    return from_torch(model, example, **how)


def _check_idle(spec: str, **settings: Any) -> None:
    """Refuse settings that would change nothing.

    Raises:
        SettingsError: naming the first that was given.
    """
    for label, value in settings.items():
        if value is not None:
            raise SettingsError(f"{spec}: {label} is no setting of what Spikewright wrote: the file says it all")


def _from_nir(model: Any, dt: float | None, verify: bool | None) -> Graph:
    from spikewright.frontends.nir import from_nir

    if verify:
        raise SettingsError("NIR comes without a framework that could run it, so it cannot be verified")
    return from_nir(model, dt=dt)


def _checked_shape(shape: Any) -> Shape | None:
    """A shape as numbers.

    Raises:
        SettingsError: for anything but positive whole numbers, or more values than a sample can have.
    """
    if shape is None:
        return None
    try:
        numbers = tuple(whole("shape", n) for n in shape)
    except (TypeError, SettingsError):
        raise SettingsError(f"shape is that of one sample, such as (1, 28, 28), not {str(shape)[:60]!r}") from None
    if prod(numbers) > MOST_VALUES:
        raise SettingsError(f"shape: a sample has at most {MOST_VALUES:,} values, not those of {str(numbers)[:60]}")
    return numbers


def _from_path(
    spec: str | bytes, shape: Shape | None, weights: Path | None, dt: float | None, how: dict[str, Any]
) -> Graph | Conversion:
    if isinstance(spec, bytes):
        raise ModelFileError("a path must be text, not bytes")
    if ".py:" in spec:
        from spikewright.frontends.torch import from_file

        return from_file(spec, weights, shape, **how)
    if weights is not None:
        raise SettingsError("weights belong to code: FILE.py:FACTORY --weights FILE")
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from spikewright.frontends.onnx import from_onnx

        return from_onnx(spec, shape=shape, **how)
    if suffix == ".pt2":
        from spikewright.frontends.torch import load_pt2

        return load_pt2(spec, **how)
    if suffix == ".nir":
        return _from_nir(spec, dt, how["verify"])
    if suffix in (".keras", ".h5", ".hdf5"):
        from spikewright.frontends.keras import from_keras

        return from_keras(spec, shape=shape, **how)
    if suffix == ".safetensors":
        _check_idle(spec, shape=shape, dt=dt, verify=how["verify"] or None)
        return load_stored(spec)
    if Path(spec).is_dir():
        kind = "a TensorFlow SavedModel" if (Path(spec) / "saved_model.pb").exists() else "a folder"
        advice = BY_KERAS if "Saved" in kind else f"give {KNOWN}"
        raise ModelFileError(f"{spec}: is {kind}, not a file; {advice}")
    if suffix == ".pb" and Path(spec).exists():
        raise ModelFileError(f"{spec}: is a TensorFlow graph, which is not read; {BY_KERAS}")
    if suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt"):
        if _holds_torchscript(Path(spec)):
            raise ModelFileError(
                f"{spec}: holds a TorchScript program, which is not read; save its nn.Module with torch.export.save as "
                ".pt2, or give its code: FILE.py:FACTORY --weights FILE"
            )
        raise ModelFileError(
            f"{spec}: holds weights without the network; give its code: FILE.py:FACTORY --weights {spec}"
        )
    raise ModelFileError(f"{spec}: {'unknown kind of model' if Path(spec).exists() else 'no such model'}; give {KNOWN}")


def _holds_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``; only the names of its records are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
