"""Pictures as a data set: names and labels in memory, pixels decoded batch by batch, so that any number will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.dataset import CACHE, Batch, Dataset, keep_digests
from spikewright.data.decode import PictureHeader, decode, picture_header
from spikewright.data.digests import digests_of
from spikewright.data.folders import Pictures
from spikewright.data.in_advance import in_advance
from spikewright.data.layout import Inputs, channels_of
from spikewright.data.pictures import Encoded, PictureFiles, PictureStore, content_of
from spikewright.data.preprocessing import AS_THEY_ARE, Preprocessing
from spikewright.data.resize import Size
from spikewright.data.sampling import Rows
from spikewright.data.values import not_finite
from spikewright.errors import DataError
from spikewright.graph import Array, Shape

EAGER = 2000
"""So many headers are looked at when a folder is opened; of more, when pictures are asked for."""
KEPT = 2**25
"""Bytes of decoded pictures that are kept for the next pass over the data."""
COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class LookedAt:
    """What headers say.

    Attributes:
        first: that of the first picture.
        lossy: how many pictures have more bits a colour than are decoded.
    """

    first: PictureHeader
    lossy: int


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture ready to be put into a batch.

    Attributes:
        picture: ``(rows, columns, channels)``, in its place and size.
        kind: the type that it was decoded with.
        digest: ``(1,)`` of its file, where it was asked for.
    """

    picture: Array
    kind: np.dtype[Any]
    digest: NDArray[np.uint64] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class PictureDataset(Dataset):
    """Pictures in files or in the cells of a table, decoded where they are needed, on threads, a batch ahead.

    Attributes:
        files: the pictures.
        y: ``(N,)`` class indices, or None.
        preprocessing: applied to each picture and batch.
        wanted: the shape of a sample as the network takes it; None for ``(3, rows, columns)``.
        channels: where the network has them, as ``Input.channels``.
        classes: the names of the classes.
        notes: what was left out.
        first_sample: of a part, the place of its first sample in the whole.
    """

    files: PictureStore
    y: Rows | None = None
    preprocessing: Preprocessing = AS_THEY_ARE
    wanted: Shape | None = None
    channels: str = "first"
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_sample: int = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> Shape:
        return self.wanted or (self._count, *self._size)

    @property
    def has_labels(self) -> bool:
        return self.y is not None

    @property
    def labels(self) -> Rows | None:
        return self.y

    @property
    def targets(self) -> Rows | None:
        return self.y

    def batches(self, size: int) -> Iterator[Batch]:
        return self._batches(size, None)

    def noting_batches(self, size: int) -> Iterator[Batch]:
        if CACHE in vars(self):
            yield from self.batches(size)
            return
        digests: list[NDArray[np.uint64]] = []
        yield from self._batches(size, digests)
        keep_digests(self, np.concatenate([*digests, np.zeros(0, np.uint64)]))

    def _batches(self, size: int, digests: list[NDArray[np.uint64]] | None) -> Iterator[Batch]:
        """Batches; the digests of their pictures are added to a list where there is one."""
        _ = self.looked_at
        reader = self._read(digests is not None, size)
        with closing(reader):  # type: ignore[type-var]
            for start in range(0, len(self), size):
                found = list(islice(reader, min(size, len(self) - start)))
                if digests is not None:
                    digests.append(np.concatenate([one.digest for one in found if one.digest is not None]))
                x = self._batch(range(start, start + len(found)), found)
                if (row := not_finite(x)) is not None:
                    raise DataError(f"{self.files[start + row]}: holds NaN or infinity; take it out, or repair it")
                yield self._in_place(x), None if self.y is None else self.y[start : start + size]

    def raw(self) -> Iterator[bytes]:
        for row in range(len(self)):
            yield content_of(self.files[row])

    def subset(self, rows: Rows) -> PictureDataset:
        rows = np.asarray(rows)
        files = self.files.some(np.flatnonzero(rows) if rows.dtype == bool else rows)
        return replace(self, files=files, y=None if self.y is None else self.y[rows], first_sample=0)

    def with_axes_for(self, inputs: Inputs) -> PictureDataset:
        if len(inputs) != 1:
            raise DataError(
                f"a network with the inputs {', '.join(inputs)} takes an .npz with these arrays, no pictures"
            )
        ((name, shape),) = inputs.items()
        channels = channels_of(inputs, name)
        return (
            self
            if (shape, channels) == (self.wanted, self.channels)
            else replace(self, wanted=shape, channels=channels)
        )

    @property
    def form(self) -> str:
        return f"{self.shape} {self.channels} {self.preprocessing}"

    @cached_property
    def looked_at(self) -> LookedAt:
        """What the headers say: of all files, or where these can only be read with the pictures, of the first.

        Raises:
            DataError: for a file that is no picture, sizes that do not fit each other or the network, and for 8 and 16
                bits side by side where nothing brings them to one range.
        """
        first, lossy = picture_header(self.files[0]), 0
        self._check_shape(self.preprocessing.size_after(first.size))
        for row in range(len(self) if self.files.quick_headers else 1):
            one = picture_header(self.files[row]) if row else first
            self._check_like(self.files[row], one.size, one.bits, first)
            lossy += one.lost
        return LookedAt(first, lossy)

    def _check_like(self, file: Path | Encoded, size: Size, bits: int, first: PictureHeader) -> None:
        if self.preprocessing.size_after(size) != self.preprocessing.size_after(first.size):
            raise DataError(
                f"{file}: is {size}, the first picture {first.size}; make them one size, with "
                "--preprocess resize=ROWSxCOLUMNS, or resize= and crop="
            )
        if bits != first.bits and (self.preprocessing.range is None or 32 in (bits, first.bits)):
            raise DataError(
                f"{file}: has {bits} bits, the first picture {first.bits}; preprocess with totensor or another "
                "preset, which scales each by its own maximum"
            )

    @property
    def lossy(self) -> int:
        """How many have more bits a colour than Pillow decodes."""
        return self.looked_at.lossy

    def _check_shape(self, size: Size) -> None:
        if self.wanted is None:
            return
        _ = self._count
        fits = self._arranged((1, *size, self._seen))
        if fits != self.wanted:
            room = self._room
            advice = f"preprocess with resize={room[0]}x{room[1]}, or crop= or pad=" if room else "no picture fits it"
            raise DataError(
                f"{self.files[0]}: is {size[0]}×{size[1]}"
                f"{' after preprocessing' if self.preprocessing.spatial else ''}, the network takes samples of "
                f"{self.wanted}; {advice}"
            )

    @property
    def _place(self) -> str:
        first = self.files[0]
        return str(first.parent if isinstance(first, Path) else first)

    @property
    def _last(self) -> bool:
        """Whether samples have their channels last: the network says so, or its shape leaves nothing else."""
        shape = self.wanted or ()
        if self.channels == "last" or len(shape) != 3:
            return self.channels == "last"
        return self.channels == "first" and shape[0] not in COLOURS and shape[-1] in COLOURS

    @property
    def _room(self) -> Size | None:
        """The rows and columns that the network takes; None where it does not say."""
        shape = self.wanted or ()
        if len(shape) == 2:
            return shape[0], shape[1]
        if len(shape) == 3:
            return (shape[0], shape[1]) if self._last else (shape[1], shape[2])
        return None

    @cached_property
    def _seen(self) -> int:
        """How many channels the network takes."""
        shape = self.wanted
        if shape is None:
            return self.preprocessing.channels or 3
        if len(shape) == 1:
            pixels = self._size[0] * self._size[1]
            return shape[0] // pixels if shape[0] % pixels == 0 and shape[0] // pixels in COLOURS else 0
        if len(shape) == 2:
            return 1
        return (shape[-1] if self._last else shape[0]) if len(shape) == 3 else 0

    @cached_property
    def _count(self) -> int:
        """How many channels pictures are read with.

        Raises:
            DataError: where the network takes other samples than pictures.
        """
        channels = self.preprocessing.channels or self._seen
        if self._seen not in COLOURS and self.wanted is not None and len(self.wanted) == 1:
            size = self._size
            raise DataError(
                f"{self.files[0]}: is {size[0]}×{size[1]}, the network takes rows of {self.wanted[0]:,} values; "
                "preprocess with resize=ROWSxCOLUMNS"
            )
        if self._seen not in COLOURS or (channels != self._seen and channels != 1):
            raise DataError(
                f"{self._place}: the network takes samples of {self.wanted}; pictures have 1, 3 or 4 channels"
                + (f", and preprocessing reads {channels}" if channels in COLOURS else "")
            )
        return channels

    @cached_property
    def _size(self) -> Size:
        """Rows and columns of the first picture after preprocessing."""
        return self.preprocessing.size_after(picture_header(self.files[0]).size)

    @cached_property
    def _kept(self) -> dict[int, Decoded]:
        return {}

    def _read(self, noting: bool, ahead: int) -> Iterator[Decoded]:
        """All pictures in their order, decoded on threads before they are asked for."""
        _ = self._count, self._seen  # found once, before threads ask
        waiting = ((row, self._kept.get(row) or self.files[row]) for row in range(len(self)))
        for row, found in enumerate(in_advance(partial(self._picture, noting=noting), waiting, ahead)):
            if row not in self._kept and found.picture.nbytes * (len(self._kept) + 1) <= KEPT:
                self._kept[row] = found
            yield found

    def _picture(self, which: tuple[int, Decoded | Path | Encoded], noting: bool) -> Decoded:
        """One picture in its size; with its digest where that is to be noted."""
        _, file = which
        if isinstance(file, Decoded) and (file.digest is not None or not noting):
            return file
        if isinstance(file, Decoded):
            return replace(file, digest=digests_of([content_of(self.files[which[0]])]))
        digest = None
        if noting:
            file = Encoded(str(file), content_of(file))
            digest = digests_of([file.content])
        pixels = decode(file, self._count, self.preprocessing.alpha)
        if not self.files.quick_headers:
            self._check_like(file, pixels.shape[:2], 8 * pixels.dtype.itemsize, self.looked_at.first)
        picture = self.preprocessing.picture(pixels)
        if self._seen > picture.shape[-1]:
            picture = np.repeat(picture, self._seen, axis=-1)
        return Decoded(picture, pixels.dtype, digest)

    def _batch(self, rows: Sequence[int], found: Sequence[Decoded]) -> NDArray[np.float32]:
        """``(B, rows, columns, channels)``, preprocessed."""
        first = found[0].picture.shape
        for row, one in zip(rows, found, strict=True):
            if one.picture.shape != first:
                raise DataError(f"{self.files[row]}: its pixels are not what its header says; save it again")
        if len({one.kind for one in found}) == 1:
            return self.preprocessing.values(np.stack([one.picture for one in found]), found[0].kind, -1)
        return np.concatenate([self.preprocessing.values(one.picture[None], one.kind, -1) for one in found])

    def _arranged(self, shape: Shape) -> Shape:
        """The shape of a sample, from that of a batch of pictures."""
        return self._in_place(np.broadcast_to(np.float32(0), shape)).shape[1:]

    def _in_place(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """A batch ``(B, rows, columns, channels)`` with the axes of the network."""
        if self.wanted is not None and len(self.wanted) == 2:
            return x[..., 0]
        if not self._last and not (self.wanted is not None and len(self.wanted) == 1 and self.channels == "moved"):
            x = np.moveaxis(x, -1, 1)
        return x.reshape(len(x), -1) if self.wanted is not None and len(self.wanted) == 1 else x


def picture_dataset(
    found: Pictures, preprocessing: Preprocessing, wanted: Shape | None, channels: str = "first"
) -> PictureDataset:
    """The pictures of a folder for a network; a moderate number of them is looked at right away.

    Raises:
        DataError: as ``PictureDataset.looked_at``.
    """
    data = PictureDataset(
        PictureFiles(found.files), found.labels, preprocessing, wanted, channels, found.classes, found.notes
    )
    if len(data) > EAGER:
        return data
    if preprocessing.range is None and data.looked_at.first.bits == 16:
        note = "pictures have 16 bits, their values go up to 65535; totensor scales by that, scale=1/255 does not"
        data = replace(data, notes=(*data.notes, note))
    if data.lossy:
        note = f"{data.lossy:,} of {len(data):,} pictures have 16 bits a colour, of which the upper 8 are read"
        return replace(data, notes=(*data.notes, note))
    return data
