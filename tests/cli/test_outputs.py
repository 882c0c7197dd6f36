"""One rule for outputs: what exists is replaced only with --force, by a whole one, and the refusal comes first."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration import Max
from spikewright.cli.app import run
from spikewright.errors import SettingsError, StorageError
from spikewright.files import swap
from spikewright.reports.network import write_picture
from spikewright.synapse_graph.writers.csv import Csv
from spikewright.synapse_graph.writers.graphml import GraphMl

pytest.importorskip("pyarrow")
pytest.importorskip("nir")

CONVERT = ("convert", "trained.safetensors", "--data", "data.npz")
SIMULATE = (
    *("simulate", "net.safetensors", "--data", "data.npz", "-T", "4", "--engine", "reference", "--allow-overlap"),
)
SYNAPSES = ("synapses", "net.safetensors")
REPORT = ("--test", "data.npz", "-T", "4", "--allow-overlap", "--report")
WRITING: dict[str, tuple[str, tuple[str, ...]]] = {
    "convert": ("spiking.safetensors", CONVERT),
    "convert -o": ("out.safetensors", (*CONVERT, "-o", "out.safetensors")),
    "convert --report": ("page.html", (*CONVERT, "-o", "fresh.safetensors", *REPORT, "page.html")),
    "simulate -o": ("run.npz", (*SIMULATE, "-o", "run.npz")),
    "simulate --events": ("events", (*SIMULATE, "--events", "events")),
    "synapses -o .csv": ("graph.csv", (*SYNAPSES, "-o", "graph.csv")),
    "synapses -o .parquet": ("graph.parquet", (*SYNAPSES, "-o", "graph.parquet")),
    "synapses -o .scipy": ("graph.scipy", (*SYNAPSES, "-o", "graph.scipy")),
    "synapses, log": ("new.csv.json", (*SYNAPSES, "-o", "new.csv")),
    "synapses --report": ("page.html", (*SYNAPSES, "--report", "page.html")),
    "a dump": ("dump.csv", ("synapses", "dump.pickle", "-o", "dump.csv")),
    "export": ("net.nir", ("export", "net.safetensors", "-o", "net.nir")),
    "inspect": ("net.svg", ("inspect", "net.safetensors", "--picture", "net.svg")),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(4)
    sw.save(graph, "trained.safetensors")
    spiking = sw.convert(graph, sw.calibrate(sw.prepare(graph)[0], x, [Max()]).scales(Max())).spiking
    sw.save(spiking, "net.safetensors")
    np.savez("data.npz", x=x, y=np.arange(4) % 3)
    np.savez("other.npz", x=x[::-1].copy(), y=np.arange(4) % 3)
    sw.synapses(spiking).write("dump.pickle")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def refused(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    before = contents(Path.cwd())
    capsys.readouterr()
    assert run(typed) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert contents(Path.cwd()) == before
    return said.err


@pytest.mark.parametrize("case", WRITING)
def test_a_result_is_replaced_only_with_force(folder: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    place, typed = WRITING[case]
    assert run(typed) == 0, capsys.readouterr().err
    first = contents(folder)
    for name in ("fresh.safetensors", "new.csv"):  # what else the command writes is not in its way
        Path(name).unlink(missing_ok=True)
    missing = [word.replace("data.npz", "missing.npz").replace("net.safetensors", "gone.safetensors") for word in typed]
    said = refused(capsys, *missing)  # before anything is read
    assert said == f"error: {place} exists; choose another path, or give --force (force=True) to replace it\n"
    stands = Path(place)
    if stands.is_file() and not place.endswith(".json"):
        stands.write_bytes(b"an older one")
    assert run([*typed, "--force"]) == 0, capsys.readouterr().err
    after = contents(folder)
    assert after.keys() == first.keys()
    assert b"an older one" not in after.values()


def test_the_library_has_the_same_rule(folder: Path) -> None:
    graph = sw.load("net.safetensors")
    folded, _ = sw.prepare(sw.load("trained.safetensors"))
    statistics = sw.calibrate(folded, np.load("data.npz")["x"], [Max()])
    calls: dict[str, Callable[..., object]] = {
        "a.safetensors": lambda path, **force: sw.save(graph, path, **force),
        "b.safetensors": lambda path, **force: statistics.save(path, **force),
        "c.nir": lambda path, **force: sw.export(graph, path, **force),
        "d.svg": lambda path, **force: write_picture(path, graph, title="", **force),
        "e.csv": lambda path, **force: sw.synapses(graph).write(path, **force),
    }
    for path, call in calls.items():
        call(path)
        with pytest.raises(StorageError, match=f"{path} exists; choose another path, or give --force"):
            call(path)
        call(path, force=True)
    Path("f.html").write_text("older")
    with pytest.raises(StorageError, match=r"f.html exists"):
        sw.report("f.html", sw.convert(sw.load("trained.safetensors"), statistics, "max"))


STATISTICS = (*CONVERT, "--statistics", "found.safetensors", "--force")


def test_statistics_are_reused_and_others_are_replaced_only_with_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(STATISTICS) == 0
    before = Path("found.safetensors").read_bytes()
    stamp = Path("found.safetensors").stat().st_mtime_ns
    assert run(STATISTICS) == 0  # the same network and data: read, not written
    assert Path("found.safetensors").stat().st_mtime_ns == stamp
    other = [word.replace("data.npz", "other.npz") for word in STATISTICS[:-1]]
    said = refused(capsys, *other, "-o", "new.safetensors")
    assert said == (
        "error: found.safetensors: statistics of another network or other data; choose another path for --statistics, "
        "or give --force to replace it\n"
    )
    said = refused(capsys, *STATISTICS[:-1], "-o", "new.safetensors", "--method", "percentile:50")
    assert said.startswith("error: found.safetensors: the statistics hold no percentile 50")
    assert said.endswith("choose another path for --statistics, or give --force to replace it\n")
    assert run([*other, "--force"]) == 0
    assert Path("found.safetensors").read_bytes() != before
    typed = [word.replace("found.safetensors", "net.safetensors") for word in STATISTICS]
    assert "not statistics of Spikewright" in refused(capsys, *typed)  # not even with --force


CLASHES = {
    "--output and --report are both page.safetensors; give each a path of its own": (
        *CONVERT, "-o", "page.safetensors", *REPORT, "./page.safetensors",
    ),
    "--output and --statistics are both a.safetensors": (
        *CONVERT, "-o", "a.safetensors", "--statistics", "a.safetensors",
    ),
    "trained.safetensors is what MODEL reads; choose another path for --output": (
        *CONVERT, "--force", "-o", "trained.safetensors",
    ),
    "data.npz is what --data reads; choose another path for --statistics": (
        *CONVERT, "--force", "--statistics", "data.npz",
    ),
    "data.npz is what --data reads; choose another path for --output": (*SIMULATE, "--force", "-o", "data.npz"),
    "--output would be written into --events": (*SIMULATE, "--events", "out", "-o", "out/run.npz"),
    "net.safetensors is what SPIKING reads": ("export", "net.safetensors", "--force", "-o", "net.safetensors"),
    "run.npz is what --rates reads": (*SYNAPSES, "--rates", "run.npz", "--format", "csv", "--force", "-o", "run.npz"),
    "dump.pickle is what NET reads": ("synapses", "dump.pickle", "--force", "-o", "dump.pickle"),
    "--output and --report are both graph.csv": (*SYNAPSES, "-o", "graph.csv", "--report", "graph.csv"),
    "--output's graph.csv.txt and --report are both graph.csv.txt": (
        *SYNAPSES, "-o", "graph.csv", "--report", "graph.csv.txt",
    ),
    "--report would be written into --output": (
        *SYNAPSES, "-o", "graph.parquet", "--report", "graph.parquet/page.html",
    ),
    "net.svg is what --weights reads": ("inspect", "net.py:f", "--weights", "net.svg", "--picture", "net.svg"),
    "net.py:f is what MODEL reads": ("inspect", "net.py:f", "--picture", "net.py"),
}  # fmt: skip


@pytest.mark.parametrize("said", CLASHES)
def test_outputs_that_clash_are_refused_first(folder: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    for name in ("net.py", "net.svg", "run.npz"):
        Path(name).write_text("an input")
    assert said in refused(capsys, *CLASHES[said])


def test_another_name_of_an_input_is_the_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("link.safetensors").symlink_to("trained.safetensors")
    Path("hard.safetensors").hardlink_to("trained.safetensors")
    for name in ("link.safetensors", "hard.safetensors"):
        said = refused(capsys, *CONVERT, "--force", "-o", name)
        assert "trained.safetensors is what MODEL reads; choose another path for --output" in said


SUFFIXES = {
    ("convert", "x.h5"): "x.h5: a network is written as .safetensors, or it cannot be loaded: give x.safetensors",
    ("convert", "x"): "x: a network is written as .safetensors, or it cannot be loaded: give x.safetensors",
    ("convert", "x.nir"): "give x.safetensors; 'export' writes .nir",
    ("report", "page.pdf"): "page.pdf: a report is a .html file",
    ("simulate", "run.csv"): "run.csv: curves and rates are written as .npz",
    ("export", "x.onnx"): "x.onnx: no format is written under the suffix '.onnx'; give one of .nir",
}


@pytest.mark.parametrize("case", SUFFIXES)
def test_names_that_cannot_be_read_again_are_refused_first(
    folder: Path, capsys: pytest.CaptureFixture[str], case: tuple[str, str]
) -> None:
    command, path = case
    typed = {
        "convert": ("convert", "gone.onnx", "--data", "gone.npz", "-o", path),
        "report": ("convert", "gone.onnx", "--data", "gone.npz", "--test", "gone.npz", "--report", path),
        "simulate": ("simulate", "gone.safetensors", "--data", "gone.npz", "-o", path),
        "export": ("export", "gone.safetensors", "-o", path),
    }[command]
    assert SUFFIXES[case] in refused(capsys, *typed)


@pytest.mark.parametrize("path", ["x.h5", "x.nir", "x", "x.pt", "folder/"])
def test_save_writes_nothing_that_load_refuses(folder: Path, path: str) -> None:
    before = contents(folder)
    with pytest.raises(SettingsError, match=r"a network is written as \.safetensors, or it cannot be loaded: give "):
        sw.save(sw.load("net.safetensors"), path)
    assert contents(folder) == before
    sw.save(sw.load("net.safetensors"), "X.SafeTensors")
    assert sw.load("X.SafeTensors").fingerprint == sw.load("net.safetensors").fingerprint


def strangers(folder: Path, kind: str) -> None:
    """A folder of a user's own that looks like a result."""
    import pyarrow
    from pyarrow import parquet

    folder.mkdir()
    table = pyarrow.table({"source_row": [1, 2], "edge": [0.5, 1.5]})
    for name in {
        "parquet": ["part.parquet"],
        "named": ["0000-00000.parquet", "0000-00001.parquet"],
        "events": ["000-relu.parquet"],
    }.get(kind, []):
        parquet.write_table(table, folder / name)
    if kind == "events":
        (folder / "events.json").write_text(json.dumps({"populations": [{"file": "000-relu.parquet"}]}))
    if kind in ("npz", "pairs"):
        np.savez(folder / "000.npz", row=[1], col=[2], data=[3.0], shape=(4, 4), format=b"coo")
    if kind == "pairs":
        (folder / "pairs.txt").write_text("000.npz\ta\tb\n")
    if kind == "text":
        (folder / "pairs.txt").write_text("my notes\n")


@pytest.mark.parametrize("kind", ["parquet", "named", "npz", "pairs", "events", "text"])
@pytest.mark.parametrize("output", ["mine.parquet", "mine.scipy", "events"])
def test_a_users_folder_is_never_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str, output: str
) -> None:
    strangers(Path(output), kind)
    typed = (*SIMULATE, "--events", output) if output == "events" else (*SYNAPSES, "-o", output)
    what = "a folder of events" if output == "events" else "a graph of this format"
    said = refused(capsys, *typed, "--force")
    assert said == f"error: {output} is not {what} and is not replaced; choose another path\n"


@pytest.mark.parametrize("output", ["mine.parquet", "mine.scipy", "events"])
def test_a_result_with_something_of_the_users_in_it_is_not_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    typed = (*SIMULATE, "--events", output) if output == "events" else (*SYNAPSES, "-o", output)
    assert run(typed) == 0, capsys.readouterr().err
    strange = next(one for one in Path(output).iterdir() if one.suffix in (".parquet", ".npz"))
    (Path(output) / "thesis.parquet").write_bytes(strange.read_bytes()[:-9])
    assert "and is not replaced; choose another path" in refused(capsys, *typed, "--force")
    (Path(output) / "thesis.parquet").unlink()
    assert run([*typed, "--force"]) == 0


@pytest.mark.parametrize("name", ["graph.csv.json", "graph.csv.txt"])
def test_what_is_no_log_is_not_replaced_by_one(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path(name).write_text('{"mine": 1}')
    said = refused(capsys, *SYNAPSES, "-o", "graph.csv")
    assert said == f"error: {name} exists; choose another path, or give --force (force=True) to replace it\n"
    said = refused(capsys, *SYNAPSES, "-o", "graph.csv", "--force")
    assert said == f"error: {name} is not the log of a graph and is not replaced; choose another path\n"


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def stopped_after(function: Callable[..., object]) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> None:
        function(*arguments, **options)
        raise KeyboardInterrupt

    return call


INTERRUPTED: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "calibrating": ("", lambda patch: patch.setattr("spikewright.experiment.converting.calibrate", stop)),
    "before the first rename": ("", lambda patch: patch.setattr("spikewright.files.swap.rename_to_free", stop)),
    "after the first rename": (
        "spiking.safetensors",
        lambda patch: patch.setattr("spikewright.files.swap.rename_to_free", stopped_after(swap.rename_to_free)),
    ),
    "measuring": ("spiking.safetensors", lambda patch: patch.setattr("spikewright.experiment.comparing.measure", stop)),
    "writing the report": (
        "spiking.safetensors",
        lambda patch: patch.setattr("spikewright.reports.document.Document.html", stop),
    ),
    "printing": (
        "spiking.safetensors, page.html",
        lambda patch: patch.setattr("spikewright.cli.convert.comparison", stop),
    ),
}


@pytest.mark.parametrize("when", INTERRUPTED)
def test_an_interruption_says_what_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    written, patch = INTERRUPTED[when]
    before = contents(folder).keys()
    patch(monkeypatch)
    assert run([*CONVERT, *REPORT, "page.html"]) == 130
    said = capsys.readouterr().err
    expected = f"interrupted; written before that: {written}" if written else "interrupted; nothing was written"
    assert said.splitlines()[-1] == f"error: {expected}"
    assert ", ".join(sorted(contents(folder).keys() - before, reverse=True)) == written


def test_what_fails_later_says_what_was_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.load("data.npz")["x"].astype(np.float32)
    x[-1, 0] = np.nan
    np.savez("odd.npz", x=x, y=np.arange(len(x)) % 3)
    assert run([*CONVERT, "--test", "odd.npz", "--report", "page.html", "-T", "2", "--allow-overlap"]) == 2
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert "holds NaN or infinity" in first
    assert second == "written before that: spiking.safetensors"
    assert not Path("page.html").exists()


def test_labels_that_do_not_fit_are_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("odd.npz", x=np.load("data.npz")["x"], y=np.array([0, 1, 2, 77]))
    assert "label 77" in refused(capsys, *CONVERT, "--test", "odd.npz", "--report", "page.html", "-T", "2")


@pytest.mark.parametrize(("name", "kept"), [("graph.csv", True), ("graph.graphml", False)])
def test_interrupted_synapses_say_what_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, kept: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*((Csv, "head") if kept else (GraphMl, "whole")), stop)
        assert run([*SYNAPSES, "-o", name]) == 130
    said = capsys.readouterr().err
    left = [str(one) for one in folder.glob(".*")]
    if kept:
        goes_on = f"finished parts stay in {left[0]}: --resume (resume=True) goes on from there"
        assert said == f"error: interrupted; {goes_on}\n"
    else:
        assert (said, left) == ("error: interrupted; nothing was written\n", [])
    assert run([*SYNAPSES, "-o", name]) == 0
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("begun", [("--pools", "folded"), ("--rates", "rates.npz", "--pool-weight", "mean")], ids=str)
def test_the_beginning_of_another_graph_is_seen_before_data_are_simulated(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, begun: tuple[str, ...]
) -> None:
    rates = sw.simulated_rates(sw.load("net.safetensors"), np.load("data.npz")["x"], 2)
    np.savez("rates.npz", timestep=np.arange(2), **rates.arrays())
    command = ("synapses", "net.safetensors", "-o", "graph.csv")
    assert run([*command, *begun, "--shard", "1/2"]) == 0, capsys.readouterr().err
    monkeypatch.setattr("spikewright.cli.synapses.simulated_rates", stop)
    said = refused(capsys, *command, "--data", "data.npz", "-T", "2")
    assert "holds the beginning of another graph (other network, rates or settings); finish that one" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_stream_that_is_full(folder: Path) -> None:
    code = "import sys; from spikewright.cli.app import run; sys.exit(run(sys.argv[1:]))"
    typed = [sys.executable, "-c", code, "inspect", "net.safetensors", "--picture", "net.svg"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(typed, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "error: the output: No space left on device; written: net.svg\n"
    assert done.returncode == 2


def test_an_output_stream_that_nobody_reads_any_more(folder: Path) -> None:
    code = "import sys; from spikewright.cli.app import run; sys.exit(run(sys.argv[1:]))"
    typed = [sys.executable, "-c", code, "inspect", "net.safetensors", "--json"]
    with subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == ("", 1)
