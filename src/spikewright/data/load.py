"""Data from what people have on disk: npz, npy, idx, folders of images, or a function that returns a data set."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.data.dataset import ArrayDataset, Dataset, as_dataset
from spikewright.data.images import image_folder
from spikewright.data.layout import Inputs, laid_out, side_by_side
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.targets import Targets
from spikewright.errors import DataError
from spikewright.graph import Array, Shape

Split = Literal["train", "test"]


def load_data(
    spec: str,
    *,
    split: Split = "test",
    shape: Shape | None = None,
    inputs: Inputs | None = None,
    preprocessing: Preprocessing | None = None,
) -> Dataset:
    """A data set from a path or a function's name.

    Args:
        spec: a ``.npz`` with x and y; a folder with SNN Toolbox's ``x_norm.npz``, ``x_test.npz``, ``y_test.npz``;
            a ``.npy``; an ``images-idx*`` file (``.gz`` or not) with its labels beside it, or the folder of both;
            a folder of class folders with PNG or JPG; ``module:function`` or ``FILE.py:function``.
        split: which part, where a folder or file holds both.
        shape: of one sample as the network takes it; settles where channels stand.
        inputs: of the network, in place of a shape; where there are several, an ``.npz`` holds an array for each.
        preprocessing: applied batch by batch.

    Raises:
        DataError: for data that are missing, damaged, empty, or do not fit.
    """
    steps = preprocessing or Preprocessing()
    if inputs is not None and len(inputs) == 1:
        shape = next(iter(inputs.values()))
    path = Path(spec)
    if ":" in spec and not path.exists():
        found = as_dataset(_call(spec))
        if isinstance(found, ArrayDataset):
            return _dataset(found.x, found.y, shape, steps, spec)
        return found
    if not path.exists():
        raise DataError(f"{spec}: no such file or folder")
    several = inputs is not None and len(inputs) > 1
    try:
        if several and path.suffix != ".npz":
            raise DataError(
                f"{spec}: a network with several inputs takes an .npz with the arrays {', '.join(inputs or ())}"
            )
        if inputs is not None and several:
            x, y = _several(path, inputs)
        elif path.is_dir():
            x, y = _folder(path, split, shape)
        elif path.suffix == ".npz":
            x, y = _npz(path, split)
        elif path.suffix == ".npy":
            x, y = np.load(path, mmap_mode="r", allow_pickle=False), None
        elif "idx" in path.name:
            x, y = _idx_pair(path)
        else:
            raise DataError(f"{spec}: unknown kind of data; give .npz, .npy, idx(.gz), a folder or module:function")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        hint = "it holds pickled objects" if "pickle" in str(error).lower() else str(error)
        raise DataError(f"{spec}: damaged or not what its name says ({hint}); save or download it again") from error
    return _dataset(x, y, shape, steps, spec)


def _dataset(x: Array, y: Targets | None, shape: Shape | None, steps: Preprocessing, spec: str) -> Dataset:
    if not len(x):
        raise DataError(f"{spec}: the data set is empty")
    fitting = x if shape is None else laid_out(x, shape)
    if fitting is None:
        raise DataError(
            f"{spec}: samples have the shape {tuple(x.shape[1:])}, the network takes {shape} (channels first)"
        )
    return ArrayDataset(fitting, y, steps)


def _npz(path: Path, split: Split) -> tuple[Array, Array | None]:
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        names = file.files
        pairs = [(f"x_{split}", f"y_{split}"), ("x", "y"), ("x_norm", ""), ("x_test", "y_test"), ("arr_0", "arr_1")]
        for x, y in pairs:
            if x in names:
                return file[x], file[y] if y in names else None
    raise DataError(f"{path}: holds {', '.join(names) or 'nothing'}; expected arrays named x and y")


def _several(path: Path, inputs: Inputs) -> tuple[Array, Array | None]:
    if path.suffix != ".npz":
        raise DataError(f"{path}: a network with several inputs takes an .npz with the arrays {', '.join(inputs)}")
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        missing = [name for name in inputs if name not in file.files]
        if missing:
            raise DataError(f"{path}: holds {', '.join(file.files)}; the network wants {', '.join(inputs)}")
        x = side_by_side({name: file[name] for name in inputs}, inputs)
        return x, file["y"] if "y" in file.files and "y" not in inputs else None


def _folder(path: Path, split: Split, shape: Shape | None) -> tuple[Array, Array | None]:
    toolbox = path / ("x_norm.npz" if split == "train" else "x_test.npz")
    if toolbox.exists():
        x, _ = _npz(toolbox, split)
        labels = path / "y_test.npz"
        if split == "train" or not labels.exists():
            return x, None
        with labels.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return x, file[file.files[0]]
    prefix = "train" if split == "train" else "t10k"
    idx = sorted(path.glob(f"{prefix}-images*idx*"))
    if idx:
        return _idx_pair(idx[0])
    return image_folder(path, None if shape is None else shape[0])


def _idx_pair(path: Path) -> tuple[Array, Array | None]:
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    beside = [p for p in (path.with_name(name), path.with_name(name.removesuffix(".gz"))) if p.exists()]
    return _idx(path), _idx(beside[0]) if beside and beside[0] != path else None


def _idx(path: Path) -> NDArray[Any]:
    """An IDX file: two zero bytes, a type, the number of axes, their lengths, the values, all big-endian."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    types = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in types:
        raise ValueError("no IDX header")
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    values = np.frombuffer(raw, types[raw[2]], offset=4 + 4 * axes)
    if values.size != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{values.size} values where its header says {tuple(int(n) for n in shape)}")
    return values.reshape(shape)


def _call(spec: str) -> Any:
    """What ``module:function`` or ``FILE.py:function`` returns."""
    source, _, name = spec.rpartition(":")
    try:
        if source.endswith(".py"):
            if not Path(source).is_file():
                raise DataError(f"{source}: no such file")
            found = importlib.util.spec_from_file_location(Path(source).stem, source)
            assert found is not None
            assert found.loader is not None
            module = importlib.util.module_from_spec(found)
            sys.modules.setdefault(Path(source).stem, module)
            found.loader.exec_module(module)
        else:
            module = importlib.import_module(source)
    except ImportError as error:
        raise DataError(f"{spec}: neither a file nor an importable module ({error})") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise DataError(f"{source}: has no function '{name}'")
    return function()
