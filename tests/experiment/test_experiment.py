"""The main job in the library: calibrated once, converted by several methods, measured on the same samples."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain, residual
from spikewright.cli.app import run
from spikewright.data import Dataset
from spikewright.data.dataset import Batch
from spikewright.errors import DataError, SettingsError, UnsupportedModelError
from spikewright.experiment import compared, conversions, prepared, statistics_of
from spikewright.graph import Graph
from spikewright.nodes import Input, LeakyReLU, Output

METHODS = ("max", "percentile:99.9,channels")


class Counted(sw.ArrayDataset):
    """A data set that counts how often its samples are read."""

    read: dict[str, int]

    def batches(self, size: int) -> Iterator[Batch]:
        self.__dict__.setdefault("read", {"passes": 0})["passes"] += 1
        return super().batches(size)

    def with_axes_for(self, inputs: Any) -> Counted:  # noqa: ARG002
        return self


def test_a_comparison() -> None:
    b = residual(1)
    x, y = b.samples(30), np.arange(30) % 3
    told: list[str] = []

    def tell(what: str, done: int, total: int) -> None:
        assert 0 < done <= total
        told.append(what)

    found = sw.compare(b.graph(), x[:20], (x[20:], y[20:]), METHODS, 8, progress=tell)
    assert [one.label for one in found.candidates] == list(found.measures) == ["max", "percentile:99.9,channels"]
    assert list(dict.fromkeys(told)) == ["calibrating", *(f"simulating {label}" for label in found.measures)]
    for method in METHODS:
        alone = sw.convert(b.graph(), x[:20], method)
        assert found[method].conversion == alone
        measured = sw.measure(alone, (x[20:], y[20:]), 8)
        np.testing.assert_array_equal(found[method].measures.accuracy, measured.accuracy)
    lines = str(found).splitlines()
    assert lines[0].startswith("accuracy")
    assert [line.split()[0] for line in lines[1::2]] == list(found.measures)
    assert "trained" in lines[1]
    for line, measures in zip(lines[2::2], found.measures.values(), strict=True):
        assert line.split()[:3] == ["95", "%", "intervals"]
        last = measures.head.interval(8)
        assert last is not None
        assert line.endswith(f", {last.text(percent=True)}")
    with pytest.raises(SettingsError, match=r"no 'min' was compared; there are max, percentile:99\.9,channels"):
        found["min"]


def test_a_data_set_is_read_by_exactly_one_calibration() -> None:
    b = plain(1)
    x, y = b.samples(20), np.arange(20) % 4
    once = Counted(x)
    sw.calibrate(sw.prepare(b.graph())[0], once, METHODS)
    again = Counted(x)
    sw.compare(b.graph(), again, (x, y), METHODS, 2, allow_overlap=True)
    assert again.read == once.read  # the passes of one calibration, however many methods there are
    alone = Counted(x)
    sw.convert(b.graph(), alone, METHODS[1])
    assert alone.read == once.read


def test_statistics_that_are_at_hand_are_used() -> None:
    b = plain(1)
    x, y = b.samples(20), np.arange(20) % 4
    folded, data = prepared(b.graph()), Counted(x)
    statistics = sw.calibrate(folded, data, METHODS)
    passes = dict(data.read)
    found = sw.compare(b.graph(), statistics, (x, y), METHODS, 2, allow_overlap=True)
    made = conversions(b.graph(), statistics, METHODS, data)
    assert data.read == passes
    assert [one.spiking.fingerprint for one in made] == [c.conversion.spiking.fingerprint for c in found.candidates]
    assert [len(one.calibration.digests) for one in made] == [20, 20]


def test_stored_statistics_are_read_and_nothing_else(tmp_path: Path) -> None:
    b = plain(1)
    store, data = tmp_path / "s.safetensors", Counted(b.samples(20))
    folded = prepared(b.graph())
    first = statistics_of(folded, data, METHODS, store=store)
    passes = dict(data.read)
    second = statistics_of(folded, data, METHODS, store=store)
    assert data.read == passes
    assert first.key == second.key


@pytest.mark.parametrize("more", [(), ("--statistics", "s.safetensors")], ids=["alone", "--statistics"])
def test_the_command_calibrates_once(
    more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It did twice with --test and --report, and left --statistics aside the second time."""
    from spikewright.experiment import converting

    b = plain(1)
    monkeypatch.chdir(tmp_path)
    sw.save(b.graph(), "net.safetensors")
    np.savez("data.npz", x=b.samples(20))
    np.savez("test.npz", x=b.samples(20), y=np.arange(20) % 4)
    calls: list[object] = []

    def counted(*arguments: Any, **options: Any) -> sw.Statistics:
        calls.append(arguments)
        return sw.calibrate(*arguments, **options)

    monkeypatch.setattr(converting, "calibrate", counted)
    typed = ["convert", "net.safetensors", "--data", "data.npz", "--test", "test.npz", "--report", "r.html", "-T", "2"]
    typed += ["--method", "max", "--method", "percentile:99", *more]
    assert run(typed) == 0, capsys.readouterr().err
    assert len(calls) == 1
    assert run([*typed, "--force"]) == 0
    assert len(calls) == (1 if more else 2)  # the statistics are there


def test_refusals_come_before_anything_is_read() -> None:
    leaky = Graph(
        [
            Input(name="x", shape=(3,)),
            LeakyReLU(name="l", inputs=("x",), slope=0.1),
            Output(name="y", inputs=("l",)),
        ]
    )

    class Unread(Dataset):
        shape, has_labels, fingerprint = (3,), False, ""

        def __len__(self) -> int:
            return 4

        def batches(self, size: int) -> Iterator[Batch]:
            raise AssertionError(f"read {size}")

        def subset(self, rows: Any) -> Dataset:
            raise AssertionError(f"read {rows}")

    with pytest.raises(UnsupportedModelError, match="LeakyReLU"):
        sw.convert(leaky, Unread(), "max")
    with pytest.raises(UnsupportedModelError, match="LeakyReLU"):
        sw.compare(leaky, Unread(), Unread())
    b = plain(1)
    with pytest.raises(DataError, match="label 9 does not exist"):
        sw.compare(b.graph(), Unread(), (b.samples(2), np.array([0, 9])))
    with pytest.raises(SettingsError, match="unknown threshold method 'mix'"):
        sw.compare(b.graph(), Unread(), b.samples(2), ["mix"])


def test_near_chance_is_said_once() -> None:
    b = plain(1)
    x, y = b.samples(200), np.random.default_rng(0).integers(0, 4, 200)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = sw.compare(b.graph(), (x, y), (x, y), METHODS, 2, allow_overlap=True)
    told = [str(one.message) for one in said]
    assert sum("near chance" in text for text in told) == 1
    assert sum("near chance" in text for text in found.warnings) == 1
    assert len(told) == len(set(told))
    assert sum("calibration too" in text for text in found.warnings) == 1


def test_conversions_of_any_making_are_compared() -> None:
    b = plain(1)
    x = b.samples(8)
    made = [sw.convert(b.graph(), x, "max", neurons=text) for text in ("", "spikes=multi")]
    given = sw.convert(b.graph(), made[0].scales)
    found = compared([made[0], given, made[1]], x, 2, allow_overlap=True)
    assert list(found.measures) == ["max", "conversion 2", "max (3)"]
    assert found.graph is found.statistics is None
    assert list(compared({"single": made[0], "multi": made[1]}, x, 2, allow_overlap=True).measures) == [
        "single",
        "multi",
    ]
    bare = sw.Candidate("bare", made[0], sw.measure(made[0].spiking, x, 2))
    with pytest.raises(SettingsError, match="bare: was measured without its trained network"):
        sw.Comparison((bare,))
