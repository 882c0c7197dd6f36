"""Events read back from a folder: nothing of it is believed before it is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.errors import DataError
from spikewright.events.trains import Events
from spikewright.events.writing import COLUMNS, FACTS, FORMAT, KEY, facts_of_file, file_name
from spikewright.graph import MOST_VALUES, Shape
from spikewright.provenance import PROVENANCE, History, described
from spikewright.tabular import Table, Tabular
from spikewright.tensors import DIGEST, digest, strict_json
from spikewright.text import first_line, shape_text

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile


@dataclass(frozen=True, eq=False)
class StoredEvents(Mapping[str, Events], Tabular):
    """The events of a run in a folder, by population; each is read when it is asked for.

    Attributes:
        folder: where they are.
        network: the fingerprint of the graph that ran.
        samples, timesteps: N and T.
        first_sample: the where of the first sample in its data set.
        shapes: of the populations, in the network's order.
        counts: how many events each of them sent.
        provenance: how the run was made, where its folder says so.
    """

    folder: Path
    network: str
    samples: int
    timesteps: int
    shapes: Mapping[str, Shape] = field(repr=False)
    counts: Mapping[str, int]
    first_sample: int = 0
    provenance: History = field(default=(), repr=False)

    def _table(self) -> Table:
        """A row a population: how many events it sent; the events themselves are in Parquet, which pandas reads too."""
        told = f"{sum(self.counts.values()):,} events of {self.samples:,} samples over {self.timesteps:,} timesteps"
        rows = [(name, shape_text(shape), self.counts[name]) for name, shape in self.shapes.items()]
        return Table.of_rows(("population", "shape", "events"), rows, [told, str(self.folder)])

    def __getitem__(self, population: str) -> Events:
        return Events.joined(self.shapes[population], list(self.batches(population)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def batches(self, population: str) -> Iterator[Events]:
        """The events of a population batch after batch, as the simulation wrote them: never all in memory.

        Raises:
            KeyError: for a population that is not there.
            DataError: for events that cannot be: outside of the run, in no order, too many or too few, or unreadable.
        """
        shape, last, count = self.shapes[population], (-1, -1), 0
        path = self.folder / file_name(list(self.shapes).index(population), population)
        with _readable(path), _opened(path) as file:
            for group in range(file.num_row_groups):
                events = _events(file, group, shape)
                last, count = self._check(path, events, last), count + len(events.value)
                yield events
            if count != self.counts[population]:
                raise DataError(f"{path}: damaged, {count} events, not the {self.counts[population]} of the run")

    def _check(self, path: Path, events: Events, last: tuple[int, int]) -> tuple[int, int]:
        """Refuse events outside of the run or out of order; gives the step and neuron of the last one."""
        limits = {"sample": self.samples, "timestep": self.timesteps, "neuron": prod(events.shape)}
        for name, limit in limits.items():
            column = getattr(events, name)
            least = self.first_sample if name == "sample" else 0
            if len(column) and not least <= column.min() <= column.max() < least + limit:
                raise DataError(f"{path}: damaged, a {name} is not among the {limit} there are; simulate again")
        if not (np.isfinite(events.value).all() and events.value.all()):
            raise DataError(f"{path}: damaged, a value is 0 or no number; simulate again")
        step = np.concatenate([[last[0]], events.sample * self.timesteps + events.timestep])
        neuron = np.concatenate([[last[1]], events.neuron])
        risen = np.diff(step) + (np.diff(step) == 0) * np.diff(neuron)
        if not (risen > 0).all():
            raise DataError(f"{path}: damaged, its events are in no order; simulate again")
        return int(step[-1]), int(neuron[-1])


def load_events(folder: Path | str) -> StoredEvents:
    """The events that ``simulate(..., events_to=FOLDER)`` or ``spikewright simulate --events FOLDER`` wrote.

    Only what describes them is read here.

    Raises:
        DataError: for a folder that is missing, damaged, not of events, or from a later version.
        SettingsError: where there is no pyarrow.
    """
    where = Path(folder)
    if not (where / FACTS).is_file():
        raise DataError(f"{where}: no events there; 'spikewright simulate --events' writes them")
    with _readable(where / FACTS):
        facts = strict_json((where / FACTS).read_bytes())
        if facts["format"] != FORMAT:
            raise DataError(
                f"{where}: format {facts['format']!s:.20} of events, this version reads {FORMAT}; upgrade spikewright"
            )
        if DIGEST in facts and facts.pop(DIGEST) != digest(facts, {}):
            raise ValueError("it does not have the digest that it states")
        found = StoredEvents(
            where,
            _text(facts["network"]),
            _number(facts["samples"], 2**63),
            _number(facts["timesteps"], 2**31),
            {_text(one["name"]): _shape(one["shape"]) for one in facts["populations"]},
            {_text(one["name"]): _number(one["events"], 2**63) for one in facts["populations"]},
            _number(facts.get("first_sample", 0), 2**62),
            described(facts.get(PROVENANCE)),
        )
        if len(found) != len(facts["populations"]) or (found.first_sample + found.samples) * found.timesteps >= 2**63:
            raise ValueError("a population is there twice, or there are too many steps")
    for index, (name, shape) in enumerate(found.shapes.items()):
        path = where / file_name(index, name)
        with _readable(path), _opened(path) as file:
            metadata = (file.schema_arrow.metadata or {}).get(KEY.encode(), b"")
            if metadata != facts_of_file(found.network, found.timesteps, name, shape).encode():
                raise DataError(f"{path}: not the events of '{name}' in this run; simulate again")
            kinds = {field.name: str(field.type) for field in file.schema_arrow}
            if kinds != _KINDS or file.metadata.num_rows != found.counts[name]:
                raise DataError(f"{path}: damaged, not the {found.counts[name]} events that {FACTS} tells of")
    return found


_KINDS = {name: kind.replace("float32", "float") for name, kind in COLUMNS.items()}
"""The types of the columns as Arrow writes them."""


def _events(file: ParquetFile, group: int, shape: Shape) -> Events:
    table = file.read_row_group(group, columns=list(COLUMNS))
    if len(table) != file.metadata.row_group(group).num_rows:
        raise ValueError("it does not hold as many rows as it claims")
    if any(table[name].null_count for name in COLUMNS):
        raise ValueError("values are missing")
    return Events(shape, *(table[name].to_numpy() for name in COLUMNS))


@contextmanager
def _opened(path: Path) -> Iterator[ParquetFile]:
    pyarrow()
    from pyarrow.parquet import ParquetFile

    with path.open("rb") as raw, ParquetFile(raw, page_checksum_verification=True) as file:
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes a reader say, as one line."""
    damage = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, NotImplementedError)
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; simulate again") from None
    except damage as error:
        raise DataError(f"{path}: damaged ({first_line(error)}); simulate again") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!s:.40} is no text")
    return value


def _number(value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"{value!s:.40} is no number that could be")
    return value


def _shape(value: Any) -> Shape:
    shape = tuple(_number(length, MOST_VALUES + 1) for length in value)
    if not 0 < prod(shape) <= MOST_VALUES:
        raise ValueError(f"{value!s:.40} is no shape")
    return shape
