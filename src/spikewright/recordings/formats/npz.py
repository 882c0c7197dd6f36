"""``.npz`` with arrays x, y, t and p, or with one structured array; ``.npy`` with a structured array (tonic's too).

Names and units differ: ``ts``, ``timestamps``, ``pol`` and others are known, floats are seconds, whole numbers
microseconds. Events that are not in the order of their times are put into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from spikewright.npz import npz_headers, read_npy, read_npz
from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.named import by_time, columns_among, columns_of_array, pieces_of


class Npz(RecordingFormat):
    """``.npz`` and ``.npy``: all of it is in memory, since a packed array is unpacked as a whole."""

    says_units: ClassVar[bool] = False

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return suffix in (".npz", ".npy") or head.startswith(b"\x93NUMPY")

    @property
    def sensor_size(self) -> Size | None:
        if self._plain:
            return None
        headers = npz_headers(self.path)
        for names in (("width", "height"), ("sensor_width", "sensor_height")):
            if all(name in headers and headers[name].shape in ((), (1,)) for name in names):
                found = read_npz(self.path, names)
                return int(found[names[0]].reshape(-1)[0]), int(found[names[1]].reshape(-1)[0])
        return None

    @property
    def _plain(self) -> bool:
        with self.path.open("rb") as file:
            return file.read(6) == b"\x93NUMPY"

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        if self._plain:
            yield columns_of_array(read_npy(self.path), self.order, self.unit, str(self.path))
            return
        headers = npz_headers(self.path)
        named = columns_among(headers)
        if named:
            arrays = read_npz(self.path, list(named.values()))
            yield by_time(Columns.joined(list(pieces_of({c: arrays[n] for c, n in named.items()}, self.unit))))
            return
        inside = [name for name, header in headers.items() if header.dtype.names or header.shape[1:] == (4,)]
        if len(inside) != 1:
            raise ValueError(f"it holds {', '.join(headers)[:80] or 'nothing'}, where x, y, t and p are expected")
        yield columns_of_array(read_npz(self.path, inside)[inside[0]], self.order, self.unit, str(self.path))
