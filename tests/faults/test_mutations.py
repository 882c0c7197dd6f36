"""Whatever is read is checked before it is believed: damaged files end in what they said, or in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faults.campaign import attack, shares, write
from faults.formats import formats, victim
from faults.worker import verdict

pytest.importorskip("onnx")
pytest.importorskip("h5py")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")


@pytest.mark.parametrize("name", sorted(formats()))
def test_damaged_files_are_refused_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.hdf5.SECONDS", 2.0)  # some of them have no end
    for package in {"pt2": (), "nir": ("nir",), "keras": ("keras",), "h5": ("keras",)}.get(name.split(".")[-1], ()):
        pytest.importorskip(package)
    form = formats()[name]
    form.make(tmp_path)
    file = victim(tmp_path, name)
    good = file.read_bytes()
    expected = form.read(tmp_path)
    assert form.read(tmp_path) == expected
    for seed in range(20 if form.slow == 1 else 4):
        damaged, sure = form.damaged(good, seed)
        file.write_bytes(damaged)
        kind, text = ("right", "") if damaged == good else verdict(form, tmp_path, expected, sure)
        assert kind in ("right", "other", "refused"), (seed, kind, text)


@pytest.mark.torture
def test_damaged_files_by_the_thousand() -> None:
    count = int(os.environ.get("SPIKEWRIGHT_MUTATIONS", 20_500))
    outcomes = {name: attack(name, 1000, share) for name, share in shares(count).items()}
    write(outcomes)
    assert not [fault for one in outcomes.values() for fault in one.faults]
