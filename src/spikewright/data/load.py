"""Data from what people have on disk: npz, npy, idx, folders of pictures, or a function that returns a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.data.call import called, is_function
from spikewright.data.columns import Columns, columns_of
from spikewright.data.dataset import ArrayDataset, Dataset, check_samples
from spikewright.data.decode import SUFFIXES
from spikewright.data.folders import Pictures, Split, pictures_in
from spikewright.data.idx import idx_header, read_idx
from spikewright.data.images import PictureDataset, picture_dataset
from spikewright.data.in_hand import again, as_dataset
from spikewright.data.labels import Targets, as_targets, targets_of
from spikewright.data.layout import Inputs, channels_of, fit_axes, fit_picture_axes, side_by_side
from spikewright.data.named_arrays import named_classes, sample_names, target_names, targets_by_name
from spikewright.data.packed import IdxSource, NpzSource, SeveralSource
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.recorded import holds_recordings, is_recording, recordings_of
from spikewright.data.sampling import classes_of
from spikewright.data.source import ArraySource, Source, empty_like
from spikewright.data.streamed import StreamedDataset
from spikewright.data.table_files import holds_table
from spikewright.data.tables import pictures_or_lists
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array, SampleShapes, Shape
from spikewright.npz import SMALL, Header, check_unpacked, npz_headers, read_npy, read_npz, sane
from spikewright.recordings import Binning, binning_of

KINDS = "give .npz, .npy, idx(.gz), .parquet, .arrow, a picture, a folder of pictures, or module:function"


def load_data(
    spec: str,
    *,
    split: Split = "test",
    shape: Shape | None = None,
    inputs: Inputs | None = None,
    preprocessing: Preprocessing | str | None = None,
    classes: Sequence[str] = (),
    binning: Binning | str | None = None,
    columns: Columns | str | None = None,
) -> Dataset:
    """A data set from a path or a function's name.

    Args:
        spec: a ``.npz`` with x and y, or of several outputs ``y_NAME`` of each, and classes, their names; a folder with
            SNN Toolbox's ``x_norm.npz``, ``x_test.npz``, ``y_test.npz``; a ``.npy``; an ``images-idx*`` file (``.gz``
            or not) with its labels beside it, or the folder of both; a folder of class folders with pictures, or of
            ``train`` and ``test`` (``val``) above them, or of pictures without labels; a picture; a recording of an
            event camera, with a table of labelled stretches beside it or without, or a folder of such, in class folders
            or with tables; ``module:function`` or ``FILE.py:function``.
        split: which part, where a folder or file holds both.
        shape: of one sample as the network takes it; settles where channels stand.
        inputs: of the network, in place of a shape; where there are several, an ``.npz`` holds an array for each.
        preprocessing: applied batch by batch: a value, or its text, ``"scale=1/255"``.
        classes: the names of class folders in the order of their labels, where a network was converted with such.
        binning: how recordings become frames: a value, or its text, ``dt=50ms``.
        columns: which column of a table, or key of items that a function gives, is the sample, and which its label:
            a value, or its text, ``"image,label"``; None for those that are called as is usual.

    Raises:
        DataError: for data that are missing, damaged, empty, or do not fit.
    """
    if not isinstance(preprocessing, Preprocessing | str | None):
        raise SettingsError(f"preprocessing is Preprocessing(…) or its text, 'scale=1/255', not {preprocessing!r:.60}")
    steps = Preprocessing.parse(preprocessing or "") if not isinstance(preprocessing, Preprocessing) else preprocessing
    wanted = inputs if inputs is not None else None if shape is None else SampleShapes({"input": shape})
    path = Path(os.path.expanduser(spec))  # noqa: PTH111 - Path's own fails where there is no such user
    if not os.path.exists(path) or not spec:  # noqa: PTH110 - Path's own fails on names that cannot be
        if not is_function(spec):
            raise DataError(f"{spec}: no such file or folder")
        return _of_function(spec, wanted, steps, columns_of(columns))
    if not (path.is_file() or path.is_dir()):
        raise DataError(f"{spec}: neither a file nor a folder")
    source = _Source(path, spec, split, wanted, steps, classes, None if binning is None else binning_of(binning))
    if holds_table(path):
        return source.table(columns_of(columns))
    if columns is not None:
        raise DataError(f"{spec}: has no columns to choose from; --columns is for tables and for items with keys")
    if source.is_recordings:
        return source.recordings()
    if binning is not None:
        raise DataError(f"{spec}: holds no recordings of event cameras, which a binning is for; leave it away")
    if wanted is not None and len(wanted) > 1:
        return source.several()
    with sane(spec):
        if path.is_dir():
            return source.folder()
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return source.npz()
        if suffix == ".npy":
            return source.npy()
        if suffix in SUFFIXES:
            return source.pictures(Pictures((path,), None))
        if "idx" in path.name:
            return source.idx(path)
    raise DataError(f"{spec}: unknown kind of data; {KINDS}")


class _Source:
    """Data in one place, and what is known of the network that takes them.

    Args:
        path, spec: where, and how that was typed.
        split: which part.
        inputs: of the network.
        steps: of preprocessing.
        classes: as ``load_data``.
    """

    def __init__(
        self,
        path: Path,
        spec: str,
        split: Split,
        inputs: Inputs | None,
        steps: Preprocessing,
        classes: Sequence[str],
        binning: Binning | None = None,
    ) -> None:
        self.path, self.spec, self.split, self.inputs, self.steps = path, spec, split, inputs, steps
        self.classes, self.binning = tuple(classes), binning

    @property
    def is_recordings(self) -> bool:
        """Whether these are recordings of event cameras: of formats that others have too, where a binning is given."""
        if self.path.is_dir():
            return holds_recordings(self.path, self.split, said=self.binning is not None)
        return is_recording(self.path, said=self.binning is not None)

    def recordings(self) -> Dataset:
        """Recordings, each or its stretches with a label."""
        if self.binning is None:
            raise DataError(
                f"{self.spec}: recordings of event cameras become frames by a binning: give binning='dt=50ms' "
                "(--binning dt=50ms), count=5000 or frames=1, say"
            )
        if self.steps != Preprocessing():
            raise DataError(
                f"{self.spec}: preprocessing is for pictures and arrays; what is done to recordings stands in the "
                "binning: scale=…, crop=…, downsample=…"
            )
        made = recordings_of(self.path, self.split, self.classes, self.binning)
        with _named(self.spec):
            return made if self.inputs is None else made.with_axes_for(self.inputs)

    def dataset(self, x: Array, y: Array | Targets | None) -> Dataset:
        """An array of samples, once it is clear that the network takes them."""
        self.check(x.shape, x.dtype)
        with _named(self.spec):
            made = ArrayDataset(x, None if y is None else targets_of(y), self.steps)
        return made if self.inputs is None else made.with_axes_for(self.inputs)

    def check(self, shape: Shape, kind: np.dtype[Any] | None = None) -> None:
        """Refuse samples that the network does not take, before they are read.

        Args:
            shape: of all samples together.
            kind: of their values.
        """
        with _named(self.spec):
            check_samples(shape, kind)
        if not shape[0]:
            raise DataError(f"{self.spec}: the data set is empty")
        if self.inputs is None:
            return
        ((name, wanted),) = self.inputs.items()
        one = np.broadcast_to(np.zeros(()), (1, *shape[1:]))
        channels = channels_of(self.inputs, name)
        if not self.steps.spatial:
            if fit_axes(one, wanted, channels) is None:
                where = "channels last" if channels == "last" else "channels first"
                raise DataError(
                    f"{self.spec}: samples have the shape {shape[1:]}, the network takes {wanted} ({where})"
                )
            return
        last = channels == "last"
        count = wanted[-1] if last else wanted[0]
        found = fit_picture_axes(one, count, channels) if len(wanted) == 3 else None
        if found is None:
            raise DataError(
                f"{self.spec}: samples of the shape {shape[1:]} are no pictures that can be resized, padded or cropped "
                f"for a network that takes {wanted}"
            )
        after = self.steps.shape_after(found.shape[1:], 3 if last else 1)
        if after != wanted:
            raise DataError(
                f"{self.spec}: samples have the shape {after} after preprocessing, the network takes {wanted}"
            )

    def npz(self) -> Dataset:
        """Samples of an ``.npz``, with labels if there are any."""
        headers = npz_headers(self.path)
        x, plain = sample_names(self.path, headers, self.split)
        self.check(headers[x].shape, headers[x].dtype)
        count = headers[x].shape[:1]
        targets = target_names(headers, plain)
        for name in targets:
            if headers[name].shape[:1] != count:
                labels = headers[name].shape[0] if headers[name].shape else "no"
                raise DataError(f"{self.spec}: {count[0]} samples but {labels} labels; they must be as many")
        with _named(self.spec):
            given = targets_by_name(read_npz(self.path, list(targets)), targets)
            y, names = self._in_order(given, named_classes(self.path, headers))
        found = self.array(self.path, x, headers[x], y)
        return replace(found, classes=names) if names else found  # type: ignore[type-var]

    def toolbox(self, samples: Path, labels: Path | None) -> Dataset:
        """Samples and labels in an ``.npz`` each, as SNN Toolbox has them."""
        headers = npz_headers(samples)
        name, _ = sample_names(samples, headers, self.split)
        self.check(headers[name].shape, headers[name].dtype)
        y = None if labels is None else next(iter(read_npz(labels).values()), None)
        return self.array(samples, name, headers[name], y)

    def array(self, path: Path, name: str, header: Header, y: Any) -> Dataset:
        """The samples that one array of an ``.npz`` holds: a large one is streamed."""
        if check_unpacked(path, [name]) <= SMALL:
            return self.dataset(read_npz(path, [name])[name], y)
        return self.streamed(NpzSource(path, name, header, self.targets(y, header.shape[0])))

    def several(self) -> Dataset:
        """An ``.npz`` with an array for each input."""
        assert self.inputs is not None
        names = ", ".join(self.inputs)
        if self.path.suffix.lower() != ".npz" or not self.path.is_file():
            raise DataError(f"{self.spec}: a network with several inputs takes an .npz with the arrays {names}")
        if self.steps.spatial:
            raise DataError(f"{self.spec}: preprocessing cannot resize, pad or crop the samples of several inputs")
        headers = npz_headers(self.path)
        if any(name not in headers for name in self.inputs):
            raise DataError(f"{self.spec}: holds {', '.join(headers) or 'nothing'}; the network wants {names}")
        targets = {} if "y" in self.inputs else target_names(headers, "y", self.inputs)
        for name in self.inputs:
            with _named(f"{self.spec}: '{name}'"):
                check_samples(headers[name].shape, headers[name].dtype)
        y = targets_by_name(read_npz(self.path, list(targets)), targets)
        with _named(self.spec):
            heads = {name: empty_like(headers[name].shape, headers[name].dtype) for name in self.inputs}
            side_by_side(heads, self.inputs)
            counts = {name: headers[name].shape[0] for name in self.inputs}
            if len(set(counts.values())) != 1:
                said = ", ".join(f"{name}: {number}" for name, number in counts.items())
                raise DataError(f"every input needs as many samples (and frames) as the others, not {said}")
            if not max(counts.values()):
                raise DataError("the data set is empty")
            if check_unpacked(self.path, list(self.inputs)) <= SMALL:
                x = side_by_side(read_npz(self.path, list(self.inputs)), self.inputs)
                return ArrayDataset(x, y, self.steps)
            known = self.targets(y, max(counts.values()))
            parts = {name: NpzSource(self.path, name, headers[name], None) for name in self.inputs}
            return StreamedDataset(SeveralSource(parts, known), self.steps, self.inputs)

    def folder(self) -> Dataset:
        """SNN Toolbox's files, idx files, or pictures."""
        samples, found = self.parted(self.split)
        if samples is not None:
            labels = self.path / "y_test.npz"
            return self.toolbox(samples, labels if self.split == "test" and labels.exists() else None)
        if found is not None:
            return self.idx(found)
        for other in self.parted("test" if self.split == "train" else "train"):
            if other is not None:
                wanted = "training" if self.split == "train" else "test"
                raise DataError(f"{self.spec}: no {wanted} samples, only {other.name}: give that file to take these")
        return self.pictures(pictures_in(self.path, self.split, self.classes))

    def parted(self, split: str) -> tuple[Path | None, Path | None]:
        """The files that hold a part: SNN Toolbox's, and of idx."""
        samples = self.path / ("x_norm.npz" if split == "train" else "x_test.npz")
        prefixes = ("train",) if split == "train" else ("t10k", "test")
        found = [one for prefix in prefixes for one in sorted(self.path.glob(f"*{prefix}-images*idx*"))]
        return samples if samples.exists() else None, found[0] if found else None

    def idx(self, path: Path) -> Dataset:
        """An idx file of images, with the labels that lie beside it."""
        name = path.name.replace("images", "labels").replace("idx3", "idx1")
        names = (name, name.removesuffix(".gz"), f"{name}.gz")
        beside = [p for p in map(path.with_name, names) if p.exists() and p != path]
        header = idx_header(path, self.check)
        y = read_idx(beside[0]) if beside else None
        if header.nbytes <= SMALL:
            return self.dataset(read_idx(path), y)
        return self.streamed(IdxSource(path, header, self.targets(y, header.shape[0])))

    def npy(self) -> Dataset:
        """The array of an ``.npy``, of which only what is used is read."""
        x = read_npy(self.path)
        self.check(x.shape, x.dtype)
        return self.dataset(x, None) if x.nbytes <= SMALL else self.streamed(ArraySource(x))

    def streamed(self, source: Source) -> Dataset:
        """Samples that are read piece by piece, once it is clear that the network takes them."""
        made = StreamedDataset(source, self.steps)
        return made if self.inputs is None else made.with_axes_for(self.inputs)

    def targets(self, y: Any, samples: int) -> Targets | None:
        """Targets of so many samples, as they are kept."""
        with _named(self.spec):
            return None if y is None else as_targets(targets_of(y), samples)

    def table(self, columns: Columns) -> Dataset:
        """The rows of a Parquet or Arrow file."""
        found, y, names = pictures_or_lists(self.path, self.split, columns)
        with _named(self.spec):
            y, names = self._in_order(y, names)
        if isinstance(found, Source):
            x = found.head[0]
            assert isinstance(x, np.ndarray)
            self.check((found.length or 0, *x.shape[1:]), x.dtype)
            made = self.streamed(found)
            return replace(made, classes=names) if isinstance(made, StreamedDataset) else made
        data = PictureDataset(found, classes_of(y), self.steps, classes=names)
        return data if self.inputs is None else data.with_axes_for(self.inputs)

    def _in_order(self, y: Targets | None, names: tuple[str, ...]) -> tuple[Targets | None, tuple[str, ...]]:
        """Labels with the numbers that their names had when the network was converted, where both have names."""
        if names and isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.max(initial=0) >= len(names):
            raise DataError(f"there are labels up to {y.max():,}, and names of {len(names):,} classes")
        if not names or not self.classes or names == self.classes or not isinstance(y, np.ndarray):
            return y, names
        strange = sorted(set(names) - set(self.classes))
        if strange:
            raise DataError(
                f"'{strange[0]}' is no class that the network was converted with ({', '.join(self.classes)[:80]}); "
                "labels would not agree"
            )
        return np.array([self.classes.index(name) for name in names])[y], self.classes

    def pictures(self, found: Pictures) -> Dataset:
        if self.inputs is None:
            return picture_dataset(found, self.steps, None)
        ((name, wanted),) = self.inputs.items()
        return picture_dataset(found, self.steps, wanted, channels_of(self.inputs, name))


@contextmanager
def _named(where: str) -> Iterator[None]:
    """What is wrong with data, with the place where they are from."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _of_function(spec: str, inputs: Inputs | None, steps: Preprocessing, columns: Columns) -> Dataset:
    found = called(spec)
    several = inputs is not None and len(inputs) > 1
    with _named(spec):
        repeated = again(partial(called, spec), found, inputs if several else None, columns)
        data = as_dataset(found, inputs if several else None, columns) if repeated is None else repeated
    if data.length == 0:
        raise DataError(f"{spec}: the data set is empty")
    if not isinstance(data, ArrayDataset | StreamedDataset):
        return data if inputs is None else data.with_axes_for(inputs)
    if steps != Preprocessing():
        data = replace(data, preprocessing=steps)
    if several:
        return data
    if isinstance(data, ArrayDataset):
        shape, kind = data.x.shape, data.x.dtype
    else:
        head = data.source.head[0]
        assert isinstance(head, np.ndarray)
        shape, kind = head.shape, head.dtype
    _Source(Path(spec), spec, "test", inputs, data.preprocessing, ()).check(shape, kind)
    return data if inputs is None else data.with_axes_for(inputs)
