"""One verb for every door: a model in memory or on disk becomes a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikewright.errors import ModelFileError, SettingsError
from spikewright.graph import Graph, Shape
from spikewright.storage import load_graph


def load(
    model: Any,
    *,
    example: Any = None,
    shape: Shape | None = None,
    weights: Path | str | None = None,
    dt: float | None = None,
) -> Graph:
    """Read a trained network.

    Args:
        model: a torch module (with ``example`` or ``shape``); a Keras model; a loaded ONNX model or NIR graph; or
            the path of an ``.onnx``, ``.pt2``, ``.keras``, ``.h5``, ``.nir`` or Spikewright ``.safetensors`` file; or
            ``FILE.py:FACTORY``, code that makes a torch module.
        example: a batch that the module takes, ``(B, *shape)``.
        shape: of one sample, channels first, instead of an example.
        weights: for ``FILE.py:FACTORY``: a state dict as safetensors, or as torch saves it, read without
            unpickling anything but tensors.
        dt: for NIR: length of a timestep, in seconds.

    Returns:
        the graph, which computes what the model computes; spiking already where the model is.

    Raises:
        UnsupportedModelError: with everything in the model that has no spiking form.
        ModelFileError: for files that are missing, damaged, or not what their name says.
        SettingsError: when neither example nor shape is given where one is needed.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | Path):
        return _from_path(str(model), shape, None if weights is None else Path(weights), dt)
    if type(model).__name__ == "ModelProto":
        from spikewright.frontends.onnx import from_onnx

        return from_onnx(model, shape=shape)
    if type(model).__name__ == "ExportedProgram":
        from spikewright.frontends.torch import from_exported

        return from_exported(model)
    if type(model).__name__ == "NIRGraph":
        from spikewright.frontends.nir import from_nir

        return from_nir(model, dt=dt)
    from spikewright.frontends.keras import from_keras, is_keras

    if is_keras(model):  # before torch: with that backend its layers are torch modules too
        return from_keras(model, shape=shape)
    if callable(getattr(model, "state_dict", None)):
        import torch

        from spikewright.frontends.torch import from_torch

        if example is None and shape is None:
            raise SettingsError("a torch module needs an example input: load(module, example=x) or shape=(1, 28, 28)")
        return from_torch(model, torch.zeros(1, *shape) if example is None and shape is not None else example)
    raise ModelFileError(
        f"cannot read a network from a {type(model).__name__}; give a torch or Keras model, ONNX, NIR, or a path"
    )


def _from_path(spec: str, shape: Shape | None, weights: Path | None, dt: float | None) -> Graph:
    if ".py:" in spec:
        from spikewright.frontends.torch import from_file

        return from_file(spec, weights, shape)
    if weights is not None:
        raise SettingsError("weights belong to code: FILE.py:FACTORY --weights FILE")
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from spikewright.frontends.onnx import from_onnx

        return from_onnx(spec, shape=shape)
    if suffix == ".pt2":
        from spikewright.frontends.torch import load_pt2

        return load_pt2(spec)
    if suffix == ".nir":
        from spikewright.frontends.nir import from_nir

        return from_nir(spec, dt=dt)
    if suffix in (".keras", ".h5", ".hdf5"):
        from spikewright.frontends.keras import from_keras

        return from_keras(spec, shape=shape)
    if suffix == ".safetensors":
        return load_graph(spec)
    if suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt"):
        raise ModelFileError(
            f"{spec}: holds weights without the network; give its code: FILE.py:FACTORY --weights {spec}"
        )
    known = ".onnx, .pt2, .keras, .h5, .nir, .safetensors or FILE.py:FACTORY"
    raise ModelFileError(f"{spec}: {'unknown kind of model' if Path(spec).exists() else 'no such model'}; give {known}")
