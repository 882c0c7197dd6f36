"""Runs that are interrupted and go on end in the same bytes, and only those of the same settings go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interruptions import stopped_after
from spikewright.cli import simulate
from spikewright.cli.app import run
from spikewright.parts import Checkpoint, checkpoint, from_plain, to_plain
from spikewright.parts.fold import Fold
from spikewright.provenance import PROVENANCE

SIMULATE = ("simulate", "net.safetensors", "--data", "data.npz", "-T", "6", "--batch-size", "4", "--allow-overlap")


pytestmark = pytest.mark.usefixtures("kept_after_every_batch")


@pytest.fixture
def folder(folder: Path) -> Path:
    """With data of numbers, and others beside."""
    x = np.load("data.npz")["x"]
    np.savez("values.npz", x=x, y=np.random.default_rng(0).normal(1000, 1, (30, 4)))
    np.savez("other.npz", x=x[::-1].copy(), y=np.arange(30) % 3)
    return folder


WAYS = {
    "classes": (),
    "poisson": ("--encoder", "poisson"),
    "late": ("--readout-from", "2"),
    "8 bits": ("--dtype", "int8"),
    "regression": ("--data", "values.npz", "--task", "regression"),
    "early exit": ("--early-exit", "2", "--calibration", "other.npz"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_goes_on_ends_in_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    typed = (*SIMULATE, *WAYS[way])
    assert run((*typed, "-o", "run.npz")) == 0
    Path("run.npz").rename("whole.npz")
    capsys.readouterr()
    go = stopped_after(12, monkeypatch)
    assert run((*typed, "-o", "run.npz")) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: interrupted; 12 of 30 samples (simulating) are kept beside run.npz: --resume (resume=True) goes on "
        "from there"
    )
    assert not Path("run.npz").exists()
    go()
    assert run((*typed, "-o", "run.npz", "--resume")) == 0
    assert Path("run.npz").read_bytes() == Path("whole.npz").read_bytes()
    assert not list(folder.glob(".*"))


def curves(path: str) -> dict[str, bytes]:
    """All arrays but the one that says by which command line they were made."""
    with np.load(path) as found:
        return {name: found[name].tobytes() for name in found.files if name != PROVENANCE}


def files_of(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_events_that_the_interrupted_command_wrote_are_no_obstacle(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed between the one output and the other."""
    pytest.importorskip("pyarrow")
    typed = (*SIMULATE, "--events", "sent", "-o", "run.npz")
    assert run((*SIMULATE, "-o", "whole.npz")) == 0
    with monkeypatch.context() as patched:

        def interrupted(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(simulate, "write_curves", interrupted)
        assert run(typed) == 130
    whole = files_of("sent")
    assert not Path("run.npz").exists()
    assert run(typed) == 2  # only a run that goes on may
    assert run((*typed, "--resume")) == 0
    assert files_of("sent") == whole
    assert curves("run.npz") == curves("whole.npz")
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("more", [("-o", "run.npz"), ()])
def test_events_go_on_too(folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    pytest.importorskip("pyarrow")
    assert run((*SIMULATE, "--events", "sent", *more)) == 0
    whole = files_of("sent"), Path("run.npz").read_bytes() if more else b""
    for path in (*Path("sent").iterdir(), *folder.glob("run.npz")):
        path.unlink()
    Path("sent").rmdir()
    for samples in (8, 20):
        go = stopped_after(samples, monkeypatch)
        assert run((*SIMULATE, "--events", "sent", *more, "--resume")) == 130
        assert not Path("sent").exists()
        assert list(folder.glob(".*.unfinished/*.events/*.parquet"))
        go()
    assert run((*SIMULATE, "--events", "sent", *more, "--resume")) == 0
    assert (files_of("sent"), Path("run.npz").read_bytes() if more else b"") == whole
    assert not list(folder.glob(".*"))


def test_a_run_with_events_does_not_go_on_from_one_without_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    go = stopped_after(12, monkeypatch)
    assert run((*SIMULATE, "-o", "run.npz")) == 130
    go()
    capsys.readouterr()
    assert run((*SIMULATE, "-o", "run.npz", "--events", "sent", "--resume")) == 2
    assert "is of other settings" in capsys.readouterr().err


def test_pieces_that_are_damaged_or_gone_are_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    go = stopped_after(12, monkeypatch)
    typed = (*SIMULATE, "-o", "run.npz", "--events", "sent")
    assert run(typed) == 130
    go()
    piece = sorted(folder.glob(".run.npz.unfinished/*.events/*.parquet"))[0]
    for spoil in (lambda: piece.write_bytes(piece.read_bytes()[:-7]), piece.unlink):
        spoil()
        capsys.readouterr()
        assert run((*typed, "--resume")) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(f"error: {piece.resolve()}: damaged"), said
        assert "leave --resume (resume=True) away to begin anew" in said
        assert not Path("sent").exists()


def test_only_the_same_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go = stopped_after(12, monkeypatch)
    typed = (*SIMULATE, "-o", "run.npz")
    assert run(typed) == 130
    go()
    for what, more in (
        ("other settings", ("-T", "7")),
        ("other settings", ("--encoder", "poisson")),
        ("other settings", ("--batch-size", "3")),
        ("other settings", ("--dtype", "int8")),
        ("other data", ("--data", "other.npz")),
    ):
        capsys.readouterr()
        assert run((*typed, *more, "--resume")) == 2
        assert capsys.readouterr().err == (
            f"error: what was left beside run.npz is of {what}, so that this run cannot go on from it: leave --resume "
            "(resume=True) away to begin anew, or choose another output\n"
        )
    assert run(typed) == 0
    assert "is not used" in capsys.readouterr().err
    assert not list(folder.glob(".*"))


def test_damaged_parts_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go = stopped_after(12, monkeypatch)
    typed = (*SIMULATE, "-o", "run.npz")
    run(typed)
    go()
    (file,) = folder.glob(".run.npz.unfinished/*")
    raw = bytearray(file.read_bytes())
    raw[-3] ^= 1
    file.write_bytes(raw)
    capsys.readouterr()
    assert run((*typed, "--resume")) == 2
    assert "damaged, its contents do not have the digest that it states; take this file away" in capsys.readouterr().err


def test_a_run_that_has_no_output_has_nothing_to_go_on_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run((*SIMULATE, "--resume")) == 2
    assert "--resume goes on from what an interrupted run left beside its output: give -o too" in (
        capsys.readouterr().err
    )


def test_sums_do_not_depend_on_how_batches_were_cut() -> None:
    values = np.random.default_rng(0).normal(size=(53, 3)) * 10.0 ** np.random.default_rng(1).integers(-8, 8, (53, 1))
    whole = Fold()
    for number, value in enumerate(values):
        whole.add(number, value)
    for parts in (1, 2, 3, 7, 53):
        merged = Fold()
        for some in np.array_split(np.arange(53), parts)[::-1]:
            fold = Fold()
            for number in some:
                fold.add(int(number), values[number])
            merged.merge(fold)
        np.testing.assert_array_equal(merged.totals[0], whole.totals[0])
        assert merged.nodes.keys() == whole.nodes.keys()
    assert len(whole.nodes) == 4  # 53 = 32 + 16 + 4 + 1


def test_counts_survive_a_file(tmp_path: Path) -> None:
    fold = Fold()
    fold.add(3, np.ones(2), 0.1)
    given: dict[str, Any] = {
        "fold": fold,
        "rows": [np.arange(3), np.arange(2)],
        "none": None,
        "numbers": (1, 0.1, float("inf"), np.float32(0.5)),
        ("a", 1): frozenset({"x", "y"}),
    }
    found = from_plain(*to_plain(given))
    assert found["numbers"] == given["numbers"]
    assert found["a", 1] == {"x", "y"}
    assert [list(one) for one in found["rows"]] == [[0, 1, 2], [0, 1]]
    np.testing.assert_array_equal(found["fold"].totals[0], fold.totals[0])
    with pytest.raises(TypeError, match="is not storable"):
        to_plain({"x": object()})


def test_a_long_run_keeps_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption costs a hundredth of the time at most, and what is kept does not grow with the days."""
    now = [0.0]
    monkeypatch.setattr(checkpoint, "EVERY", 5.0)
    monkeypatch.setattr(checkpoint, "LOST", 0.01)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    stage, times = Checkpoint(tmp_path / "x.npz").stage("simulating", {}), []
    for second in range(2001):
        now[0] = float(second)
        before = stage.done
        stage.keep(lambda: 0, second)
        if stage.done != before:
            times.append(second)
    assert set(np.diff([t for t in times if t <= 500])) == {5}
    assert set(np.diff([t for t in times if t >= 1900])) <= {19, 20}
    assert times[-1] > 1980


def test_a_checkpoint_that_nothing_is_kept_in_leaves_nothing(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "x.npz").clear()
    assert not list(tmp_path.iterdir())


CONVERT = ("convert", "trained.safetensors", "--data", "data.npz", "--batch-size", "4", "--samples", "25")
METHODS = ("--method", "percentile:99", "--method", "percentile:90,channels", "--method", "max")
MEASURED = ("--test", "other.npz", "-T", "4", "--allow-overlap", "--no-explain")


@pytest.mark.parametrize(
    ("stage", "samples", "more"),
    [("calibrating", 8, ()), ("calibrating", 25, MEASURED), ("simulating max", 12, MEASURED)],
)
def test_a_conversion_that_goes_on_ends_in_the_same_bytes(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    samples: int,
    more: tuple[str, ...],
) -> None:
    typed = (*CONVERT, *METHODS, *more, "--json")
    assert run((*typed, "-o", "made.safetensors")) == 0
    whole = capsys.readouterr().out
    Path("made.safetensors").rename("whole.safetensors")
    go = stopped_after(samples, monkeypatch, stage)
    assert run((*typed, "-o", "made.safetensors")) == 130
    assert f"({stage}) are kept beside made.safetensors: --resume" in capsys.readouterr().err
    go()
    assert run((*typed, "-o", "made.safetensors", "--resume")) == 0
    assert capsys.readouterr().out == whole
    assert Path("made.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    assert not list(folder.glob(".*"))


def test_a_conversion_of_other_data_does_not_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go = stopped_after(8, monkeypatch)
    run((*CONVERT, "-o", "made.safetensors"))
    go()
    capsys.readouterr()
    assert run((*CONVERT, "--data", "other.npz", "-o", "made.safetensors", "--resume")) == 2
    assert "what was left beside made.safetensors is of other data" in capsys.readouterr().err
