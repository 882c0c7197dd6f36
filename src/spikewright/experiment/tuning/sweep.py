"""What was found of each point so far, kept in a Parquet file, so that a run that was interrupted goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.errors import DataError, SettingsError
from spikewright.experiment.scoring import Scored
from spikewright.experiment.tuning.point import Point
from spikewright.files import atomic_path, check_destination, shown
from spikewright.provenance import PROVENANCE, History, Provenance, described, descriptions
from spikewright.settings import fits
from spikewright.tensors import strict_json
from spikewright.text import first_line

KEY = b"spikewright-sweep"
"""The key under which the file says in its metadata what it was made of."""
FORMAT = 2
SUFFIX = ".parquet"
COLUMNS = ("point", "samples", "timestep", "lost", "score", "synops", "firing_rate", "mean_steps")
"""A row for each point, number of held-out samples and timestep; synops are those up to the timestep."""


class Sweep:
    """What was found of each point, by its text and by how many held-out samples it was judged on.

    Args:
        facts: what it is made of, by name: the network, the data, the grid; all as text.
        store: the file that keeps it; None for memory alone.
        force: whether a file of something else is replaced.

    Raises:
        DataError: for a file that is damaged, or made of something else.
        SettingsError: for a name that is no Parquet file's, or where there is no pyarrow.
        StorageError: for a place that cannot be written to.
    """

    def __init__(self, facts: Mapping[str, str], store: Path | None = None, force: bool = False) -> None:
        self.facts, self.store = dict(facts), store
        self.found: dict[tuple[str, int], Scored] = {}
        self.made: History = ()
        if store is not None:
            check_store(store)
            if store.exists():
                self.found = self._kept(store, force)

    def get(self, point: Point, samples: int) -> Scored | None:
        """What was found of a point on so many samples; None where nobody looked."""
        return self.found.get((str(point), samples))

    def add(self, point: Point, samples: int, scored: Scored) -> None:
        """Keep what was found of a point, on the disk before this returns.

        Raises:
            StorageError: when it cannot be written; what was kept before is untouched.
        """
        self.found[str(point), samples] = scored
        if self.store is not None:
            self._write(self.store)

    def _write(self, store: Path) -> None:
        pa = pyarrow()
        from pyarrow import parquet

        rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for (text, samples), one in self.found.items():
            steps = range(1, one.timesteps + 1)
            rows["point"] += [text] * one.timesteps
            rows["samples"] += [samples] * one.timesteps
            rows["timestep"] += list(steps)
            rows["lost"] += one.lost.tolist()
            rows["score"] += one.score.tolist()
            rows["synops"] += [one.synops_at(t) for t in steps]
            rows["firing_rate"] += [one.firing_rate] * one.timesteps
            rows["mean_steps"] += [one.mean_steps] * one.timesteps
        made = json.dumps(descriptions(_with_this(self.made, self.facts)))
        own = json.dumps({"format": FORMAT, **self.facts})
        table = pa.table(rows).replace_schema_metadata({KEY: own, PROVENANCE: made})
        with atomic_path(store, force=True) as temporary:
            parquet.write_table(table, temporary, write_page_checksum=True)

    def _kept(self, store: Path, force: bool) -> dict[tuple[str, int], Scored]:
        """What a file holds, where it was made of the same."""
        pyarrow()
        from pyarrow import parquet

        try:
            table = parquet.read_table(store, page_checksum_verification=True)
            own = strict_json((table.schema.metadata or {})[KEY])
            if not fits(own, dict[str, Any]) or own.pop("format") != FORMAT:
                raise ValueError("it is of another version")
            other = [name for name in self.facts if own.get(name) != self.facts[name]]
            if other or own.keys() != self.facts.keys():
                if force:
                    return {}
                raise _Another(f"another {' and another '.join(other) or 'kind'}")
            self.made = made_of(table.schema.metadata)
            return _read(table)
        except _Another as error:
            raise DataError(
                f"{shown(store)}: holds what was found of {error}; choose another path for --store, or give --force to "
                "begin anew"
            ) from error
        except Exception as error:
            raise DataError(
                f"{shown(store)}: no sweep, or damaged ({first_line(error)}); choose another path, or delete it"
            ) from error


def made_of(metadata: Mapping[bytes, bytes] | None) -> History:
    """How a sweep was made, command by command; nothing where its file does not say so.

    Args:
        metadata: of the file.

    Raises:
        SettingsError: for a record that is none.
        ValueError: for one that is no JSON.
    """
    found = (metadata or {}).get(PROVENANCE.encode())
    return () if found is None else described(json.loads(found))


def _with_this(before: History, facts: Mapping[str, str]) -> History:
    """What a file said before, and the run that goes on with it, where that is another."""
    now = Provenance.now(**facts)
    return before if now in before else (*before, now)


class _Another(Exception):
    """A sweep of something else."""


def check_store(store: Path) -> None:
    """Refuse a place where no sweep can be kept, before any work is done.

    Raises:
        SettingsError: for a name that is no Parquet file's, or where there is no pyarrow.
        StorageError: as ``files.check_destination``.
    """
    if store.suffix.lower() != SUFFIX:
        raise SettingsError(f"{shown(store)}: a sweep is kept as {SUFFIX}")
    pyarrow()
    check_destination(store, force=True)


def _read(table: Any) -> dict[tuple[str, int], Scored]:
    """The rows of a table, point by point."""
    columns = {name: table.column(name).to_pylist() for name in COLUMNS}
    groups: dict[tuple[str, int], list[int]] = {}
    for k, key in enumerate(zip(columns["point"], columns["samples"], strict=True)):
        groups.setdefault(key, []).append(k)
    found = {}
    for (text, samples), rows in groups.items():
        if [columns["timestep"][k] for k in rows] != list(range(1, len(rows) + 1)):
            raise ValueError(f"the timesteps of '{text}' are not all there")
        lost, score = (np.array([columns[name][k] for k in rows], np.float64) for name in ("lost", "score"))
        rate, synops, mean = (float(columns[name][rows[-1]]) for name in ("firing_rate", "synops", "mean_steps"))
        found[str(Point.parse(text)), int(samples)] = Scored(lost, score, rate, synops, mean_steps=mean)
    return found
