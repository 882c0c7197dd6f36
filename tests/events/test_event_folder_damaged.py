"""Folders of events that are damaged or foreign: each is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from event_folders import COLUMNS, write
from spikewright.errors import DataError
from spikewright.events import StoredEvents, load_events

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def refused(folder: Path) -> str:
    """What reading it all says."""
    with pytest.raises(DataError) as error:
        read(folder)
    said = str(error.value)
    assert len(said.splitlines()) == 1
    assert str(folder) in said
    return said


def read(folder: Path) -> StoredEvents:
    stored = load_events(folder)
    for name in stored:
        assert len(stored[name]) == stored.counts[name]
    return stored


def change_facts(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        facts = json.loads((folder / "events.json").read_text(encoding="utf-8"))
        facts.pop("digest")  # or nothing else would be looked at
        change(facts)
        (folder / "events.json").write_text(json.dumps(facts), encoding="utf-8")

    return changed


def change_table(change: Callable[[object], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / "000-n_1.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return changed


def put(name: str, place: int, value: int) -> Callable[[Path], None]:
    def change(table: object) -> object:
        column = table[name].to_numpy().copy()  # type: ignore[index]
        column[place] = value
        return pa.table({**{c: table[c] for c in COLUMNS}, name: column}, schema=table.schema)  # type: ignore[attr-defined, index]

    return change_table(change)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: shutil.rmtree(f), "no events there; 'spikewright simulate --events' writes them"),
    (lambda f: (f / "events.json").unlink(), "no events there"),
    (lambda f: (f / "events.json").write_bytes(b"\xff\xfe"), "events.json: damaged"),
    (lambda f: (f / "events.json").write_text("[" * 100_000), "events.json: damaged"),
    (lambda f: (f / "events.json").write_text("[]"), "events.json: damaged"),
    (change_facts(lambda facts: facts.pop("network")), "events.json: damaged"),
    (change_facts(lambda facts: facts.update(format=2)), "format 2 of events, this version reads 1; upgrade"),
    (change_facts(lambda facts: facts.update(samples=-1)), "-1 is no number that could be"),
    (change_facts(lambda facts: facts.update(samples=True)), "True is no number that could be"),
    (change_facts(lambda facts: facts.update(timesteps=2**40)), "is no number that could be"),
    (change_facts(lambda facts: facts.update(samples=2**62)), "too many steps"),
    (change_facts(lambda facts: facts.update(network=3)), "3 is no text"),
    (change_facts(lambda facts: facts["populations"][0].update(shape=[2**20, 2**20])), "is no shape"),  # type: ignore[index]
    (change_facts(lambda facts: facts["populations"][0].update(shape=[0])), "is no shape"),  # type: ignore[index]
    (change_facts(lambda facts: facts["populations"][0].update(name="../n")), "no such file"),  # type: ignore[index]
    (change_facts(lambda facts: facts["populations"][0].update(events=1)), "not the 1 events"),  # type: ignore[index]
    (change_facts(lambda facts: facts["populations"].append(facts["populations"][0])), "twice"),  # type: ignore[attr-defined, index]
    (change_facts(lambda facts: facts.update(timesteps=11)), "not the events of 'n/1' in this run"),
    (lambda f: (f / "001-n_1.parquet").unlink(), "001-n_1.parquet: no such file; simulate again"),
    (lambda f: (f / "001-n_1.parquet").write_bytes(b""), "001-n_1.parquet: damaged"),
    (lambda f: halve(f / "001-n_1.parquet"), "001-n_1.parquet: damaged"),
    (lambda f: shutil.copy(f / "000-n_1.parquet", f / "001-n_1.parquet"), "not the events of 'n 1' in this run"),
    (change_table(lambda table: table.slice(1)), "damaged, not the"),  # type: ignore[attr-defined]
    (change_table(lambda table: table.drop_columns("value")), "damaged, not the"),  # type: ignore[attr-defined]
    (change_table(lambda table: table.replace_schema_metadata()), "not the events of 'n/1'"),  # type: ignore[attr-defined]
    (put("sample", -1, 7), "damaged, a sample is not among the 7 there are"),
    (put("timestep", 3, 12), "damaged, a timestep is not among the 12 there are"),
    (put("neuron", 3, -1), "damaged, a neuron is not among the 6 there are"),
    (put("value", 3, 0), "damaged, a value is 0 or no number"),
    (put("sample", 0, 2), "its events are in no order"),
]


@pytest.mark.parametrize("case", range(len(DAMAGE)))
def test_what_is_damaged_or_foreign_is_refused(tmp_path: Path, case: int) -> None:
    write(tmp_path / "events")
    damage, message = DAMAGE[case]
    damage(tmp_path / "events")
    assert message in refused(tmp_path / "events")


@pytest.mark.parametrize("name", ["000-n_1.parquet", "events.json"])
def test_bytes_that_flipped(tmp_path: Path, name: str) -> None:
    """Either one clear line, or what was written: checksums guard the values."""
    folder = tmp_path / "events"
    write(folder)
    good, right = (folder / name).read_bytes(), {n: e.dense(7, 12) for n, e in read(folder).items()}
    random, seen = np.random.default_rng(0), 0
    for place in random.choice(len(good), min(len(good), 400), replace=False):
        bad = bytearray(good)
        bad[place] ^= int(random.integers(1, 256))
        (folder / name).write_bytes(bytes(bad))
        try:
            found = read(folder)
        except DataError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            seen += 1
        else:
            if name != "events.json":
                assert all(np.array_equal(found[n].dense(7, 12), dense) for n, dense in right.items())
    assert seen > 200
