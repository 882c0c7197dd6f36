"""Finished parts that were damaged on the disk are found before anybody goes on from them, and the line is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.errors import ModelFileError, SpikewrightWarning
from spikewright.events import EventWriter
from spikewright.parts import Checkpoint, checkpoint
from spikewright.synapse_graph import Synapses, synapses, writing
from spikewright.tensors import read_tensors, write_tensors

SIMULATE = ("simulate", "net.safetensors", "--data", "data.npz", "-T", "6", "--batch-size", "4", "--allow-overlap")
COMMANDS = {
    "simulate": ((*SIMULATE, "-o", "out"), "simulating-", "out.npz"),
    "convert": (
        ("convert", "trained.safetensors", "--data", "data.npz", "--batch-size", "4", "--samples", "25"),
        "calibrating-",
        "out.safetensors",
    ),
    "synapses": (
        ("synapses", "net.safetensors", "--data", "data.npz", "-T", "6", "--batch-size", "4"),
        "simulating-rates-",
        "out.csv",
    ),
}
AGAIN = "take this file away to do its stage anew, or leave --resume (resume=True) away to begin anew"


pytestmark = pytest.mark.usefixtures("kept_after_every_batch")


def interrupted(call: Callable[[], object], monkeypatch: pytest.MonkeyPatch, samples: int = 12, name: str = "") -> None:
    """Let a call be interrupted once so many samples are kept."""
    original = checkpoint.Stage.keep

    def keep(stage: Any, state: Any, done: int, *more: Any, **options: Any) -> None:
        original(stage, state, done, *more, **options)
        if done >= samples and stage.name.startswith(name):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Stage, "keep", keep)
        with suppress(KeyboardInterrupt):
            assert call() == 130


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_another_kind(path: Path) -> None:
    sw.save(sw.load("trained.safetensors"), str(path), force=True)


def from_later(path: Path) -> None:
    """Written by a version with another format."""
    facts, arrays = read_tensors(path, checkpoint.KIND)
    write_tensors(path, checkpoint.KIND, {**facts, "format": 2}, arrays)


def of_unknown_values(path: Path) -> None:
    """Whole, with a true digest, and yet not what is kept."""
    facts, arrays = read_tensors(path, checkpoint.KIND)
    write_tensors(path, checkpoint.KIND, {**facts, "state": {"kind": "os:system", "fields": {}}}, arrays)


def of_a_strange_run(path: Path) -> None:
    facts, arrays = read_tensors(path, checkpoint.KIND)
    write_tensors(path, checkpoint.KIND, {**facts, "of": [1]}, arrays)


SPOILED = (flipped, truncated, emptied, of_another_kind, from_later, of_unknown_values, of_a_strange_run)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_stage_is_refused_and_nothing_says_that_the_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words, stage, name = COMMANDS[command]
    typed = (*words[:-2], "-o", name) if "-o" in words else (*words, "-o", name)
    assert run(typed) == 0
    whole = Path(name).read_bytes()
    run((*typed, "--force"))
    assert Path(name).read_bytes() == whole
    Path(name).unlink()
    interrupted(lambda: run((*typed, "--force")), monkeypatch)
    (kept,) = folder.glob(f".{name}.unfinished/{stage}*.safetensors")
    good = kept.read_bytes()
    for spoil in SPOILED:
        kept.write_bytes(good)
        spoil(kept)
        capsys.readouterr()
        assert run((*typed, "--resume", "--force")) == 2, spoil
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert len(said) == 1, (spoil, said)
        assert str(kept.name) in said[0], (spoil, said)
        assert "goes on from there" not in said[0], (spoil, said)
        assert AGAIN in said[0] or spoil in (of_another_kind, from_later), (spoil, said)
        assert not Path(name).exists()
    kept.unlink()  # as the line says
    assert run((*typed, "--resume", "--force")) == 0
    assert Path(name).read_bytes() == whole
    assert not list(folder.glob(".out*"))


def test_of_two_stages_the_damaged_one_is_done_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is kept of the calibration is still good, but no line says that the run goes on as it is."""
    typed = ("convert", "trained.safetensors", "--data", "data.npz", "--batch-size", "4", "--method", "max")
    typed = (*typed, "--test", "data.npz", "-T", "4", "--allow-overlap", "--no-explain", "-o", "out.safetensors")
    interrupted(lambda: run(typed), monkeypatch, name="simulating")
    (kept,) = folder.glob(".out.safetensors.unfinished/simulating*.safetensors")
    flipped(kept)
    capsys.readouterr()
    assert run((*typed, "--resume")) == 2
    said = capsys.readouterr().err
    assert f"{kept.name}: " in said
    assert "goes on from there" not in said
    kept.unlink()
    read = []
    monkeypatch.setattr(
        "spikewright.calibration.going_on.gather_part", lambda *_, **__: read.append(1), raising=True
    )  # nothing is calibrated again
    assert run((*typed, "--resume")) == 0
    assert not read


def test_a_stage_of_another_version_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = (*SIMULATE, "-o", "run.npz")
    interrupted(lambda: run(typed), monkeypatch)
    monkeypatch.setattr(checkpoint, "version", lambda _: "9.9")
    capsys.readouterr()
    assert run((*typed, "--resume")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "is of another version of spikewright" in said
    assert "goes on from there" not in said


def test_a_damaged_comparison_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = sw.load("trained.safetensors"), np.load("data.npz")
    how: dict[str, Any] = {"batch_size": 4, "allow_overlap": True, "explain": False, "task": "classification"}
    how |= {"methods": ["max", "percentile:99"], "timesteps": 4}

    def compared(resume: bool) -> Any:
        kept = Checkpoint("page.html", resume)
        return sw.compare(graph, data["x"][:8], (data["x"], data["y"]), checkpoint=kept, **how)

    whole = compared(False)
    Checkpoint("page.html", resume=True).clear()
    interrupted(lambda: compared(False), monkeypatch)
    assert list(folder.glob(".page.html.unfinished/calibrating*"))
    (kept,) = folder.glob(".page.html.unfinished/simulating*")
    good = kept.read_bytes()
    for spoil in (flipped, truncated, emptied, of_unknown_values):
        kept.write_bytes(good)
        spoil(kept)
        with pytest.raises(ModelFileError, match=kept.name):
            compared(True)
    kept.write_bytes(good)
    found = compared(True)
    for one, other in zip(found.candidates, whole.candidates, strict=True):
        assert one.measures.summary() == other.measures.summary()


def spoiled_events() -> dict[str, Callable[[list[Path]], None]]:
    """Ways in which pieces of events are damaged, of which the last is what page checks alone do not see."""

    def in_a_page(pieces: list[Path]) -> None:
        raw = bytearray(pieces[0].read_bytes())
        raw[40] ^= 4
        pieces[0].write_bytes(raw)

    def another_in_its_place(pieces: list[Path]) -> None:
        pieces[0].write_bytes(pieces[-1].read_bytes())

    return {
        "in a page": in_a_page,
        "truncated": lambda pieces: truncated(pieces[0]),
        "emptied": lambda pieces: emptied(pieces[0]),
        "gone": lambda pieces: pieces[0].unlink(),
        "another in its place": another_in_its_place,
    }


@pytest.mark.parametrize("way", spoiled_events())
def test_damaged_events_are_found_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    pytest.importorskip("pyarrow")
    typed = (*SIMULATE, "-o", "run.npz", "--events", "sent")
    interrupted(lambda: run(typed), monkeypatch)
    pieces = sorted(folder.glob(".run.npz.unfinished/*.events/*.parquet"))
    spoiled_events()[way](pieces)
    seen: list[object] = []
    monkeypatch.setattr(EventWriter, "__call__", lambda *values: seen.append(values))
    capsys.readouterr()
    assert run((*typed, "--resume")) == 2
    assert not seen
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert said[0].startswith(f"error: {pieces[0].resolve()}: damaged (")
    assert said[0].endswith("leave --resume (resume=True) away to begin anew")
    assert len(said) == 1
    assert not Path("sent").exists()
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run(typed) == 0  # as the line says
    assert not list(folder.glob(".run*"))
    made = Path("run.npz").read_bytes(), contents(Path("sent"))
    assert run((*typed, "--force")) == 0
    assert (Path("run.npz").read_bytes(), contents(Path("sent"))) == made


def test_events_damaged_while_a_run_goes_on_are_not_said_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    original = EventWriter.finish

    def finish(writer: EventWriter) -> None:
        spoiled_events()["in a page"](sorted(folder.glob(".run.npz.unfinished/*.events/*.parquet")))
        original(writer)

    monkeypatch.setattr(EventWriter, "finish", finish)
    assert run((*SIMULATE, "-o", "run.npz", "--events", "sent")) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert ": damaged (" in said
    assert said.endswith("leave --resume (resume=True) away to begin anew")
    assert not Path("sent").exists()


def test_a_run_of_other_settings_is_not_said_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two stages the first would go on, the second is of other settings."""
    typed = ("convert", "trained.safetensors", "--data", "data.npz", "--batch-size", "4", "--method", "max")
    typed = (*typed, "--test", "data.npz", "--allow-overlap", "--no-explain", "-o", "out.safetensors")
    interrupted(lambda: run((*typed, "-T", "4")), monkeypatch, name="simulating")
    capsys.readouterr()
    assert run((*typed, "-T", "5", "--resume")) == 2
    said = capsys.readouterr().err
    assert "is of other settings" in said
    assert "goes on from there" not in said


def graph_of(part_rows: int = 300) -> Synapses:
    return synapses(sw.load("net.safetensors"), part_rows=part_rows)


def begun(target: Path, monkeypatch: pytest.MonkeyPatch, parts: int = 6) -> list[Path]:
    """Some finished parts of a graph whose writing was interrupted."""
    count, original = [0], writing.note_sum

    def note(*values: Any) -> None:
        count[0] += 1
        if count[0] > parts:
            raise KeyboardInterrupt
        original(*values)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(writing, "note_sum", note)
        graph_of().write(target, workers=1)
    return sorted(target.parent.glob(f".{target.name}.*.parts/parts/*"))


def contents(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in ([path] if path.is_file() else sorted(path.iterdir()))}


def unnoted(part: Path) -> None:
    (part.parents[1] / "sums" / f"{part.name}.json").unlink()


def by_another_version(part: Path) -> None:
    note = part.parents[1] / "sums" / f"{part.name}.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "spikewright": "9.9"}))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "edges"])
@pytest.mark.parametrize("spoil", [flipped, truncated, emptied, unnoted, by_another_version])
def test_damaged_parts_of_a_synapse_graph_are_written_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, spoil: Callable[[Path], None]
) -> None:
    pytest.importorskip("pyarrow")
    whole = contents(graph_of().write(folder / f"whole.{suffix}"))
    target = folder / f"graph.{suffix}"
    parts = begun(target, monkeypatch)
    assert len(parts) > 2
    spoil(parts[1])
    with pytest.warns(SpikewrightWarning, match=rf"{parts[1].name}: .*; it is written anew"):
        graph_of().write(target, resume=True)
    assert list(contents(target).values()) == list(whole.values())
    assert not list(folder.glob(".graph*"))


def test_parts_of_other_shares_are_looked_at_too(folder: Path) -> None:
    whole = contents(graph_of().write(folder / "whole.csv"))
    graph_of().write(folder / "graph.csv", shard=(1, 2))
    part = sorted(folder.glob(".graph.csv.*.parts/parts/*"))[0]
    flipped(part)
    with pytest.warns(SpikewrightWarning, match=rf"{part.name}: damaged; it is written anew"):
        graph_of().write(folder / "graph.csv", shard=(2, 2))
    assert list(contents(folder / "graph.csv").values()) == list(whole.values())


def test_a_synapse_graph_goes_on_only_if_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder / "graph.csv"
    kept = {part: part.stat().st_ino for part in begun(target, monkeypatch)}
    written: list[str] = []
    original = writing.note_sum

    def note(hidden: Path, name: str, part: Path) -> None:
        written.append(name)
        original(hidden, name, part)

    monkeypatch.setattr(writing, "note_sum", note)
    with pytest.warns(SpikewrightWarning, match=r"graph.csv is not used, and is written anew: --resume"):
        graph_of().write(target)
    assert {part.name for part in kept} <= set(written)
    written.clear()
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    other = folder / "other.csv"
    kept = {part: part.stat().st_ino for part in begun(other, monkeypatch)}
    monkeypatch.setattr(writing, "note_sum", note)
    graph_of().write(other, resume=True)
    assert not {part.name for part in kept} & set(written)
    assert target.read_bytes() == other.read_bytes()


def test_rates_of_a_synapse_graph_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ("synapses", "net.safetensors", "--data", "data.npz", "-T", "6", "--batch-size", "4", "-o")
    assert run((*typed, "whole.csv")) == 0
    capsys.readouterr()
    interrupted(lambda: run((*typed, "graph.csv")), monkeypatch)
    assert "12 of 30 samples (simulating rates) are kept beside graph.csv: --resume" in capsys.readouterr().err
    assert run((*typed, "graph.csv", "--resume")) == 0
    assert Path("graph.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not list(folder.glob(".graph*"))
    assert run((*typed[:-1], "--resume")) == 2
    assert "give -o too" in capsys.readouterr().err


def test_states_that_lack_something_are_no_states(tmp_path: Path) -> None:
    """As an unreleased version with the same number might have kept them."""
    stage = Checkpoint(tmp_path / "x.npz").stage("simulating", {})
    stage.keep(lambda: {"part": 1}, 4, now=True)
    facts, arrays = read_tensors(stage.path, checkpoint.KIND)
    state = {"kind": "spikewright.engines.run:Run", "fields": {}}
    write_tensors(stage.path, checkpoint.KIND, {**facts, "state": state}, arrays)
    with pytest.raises(ModelFileError, match=r"damaged .*lacks a field.*take this file away"):
        Checkpoint(tmp_path / "x.npz", resume=True).stage("simulating", {})


def test_rates_of_what_can_be_read_once_only_need_no_checkpoint(folder: Path) -> None:
    conversion, x = sw.load("net.safetensors"), np.load("data.npz")["x"]
    whole = sw.simulated_rates(conversion, x, 6)
    found = sw.simulated_rates(conversion, ((one, 0) for one in x), 6, checkpoint=Checkpoint("graph.csv"))
    for name, rates in whole.values.items():
        np.testing.assert_array_equal(found.values[name], rates)
    assert not list(folder.glob(".graph*"))
