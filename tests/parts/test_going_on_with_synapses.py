"""Synapses whose rates are simulated: interrupted and killed, whole or in shards, they go on to the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from interruptions import killed_after, stopped_after
from spikewright.cli.app import run
from spikewright.reports import synapses as page

SIMULATED = ("synapses", "net.safetensors", "--data", "data.npz", "-T", "6", "--batch-size", "4")

pytestmark = pytest.mark.usefixtures("kept_after_every_batch")


def shard(number: int, of: int = 2) -> tuple[str, ...]:
    return (*SIMULATED, "-o", "graph.csv", "--shard", f"{number}/{of}")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("graph.csv*")}


@pytest.fixture
def whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, bytes]:
    """The graph and its logs, which name the command that came last, as two shards write them in one go."""
    assert (run(shard(1)), run(shard(2))) == (0, 0)
    made = contents(folder)
    for name in made:
        Path(name).unlink()
    assert set(made) == {"graph.csv", "graph.csv.json", "graph.csv.txt"}
    assert not list(folder.glob(".*"))
    capsys.readouterr()
    return made


def test_each_shard_goes_on_from_its_own_simulation(
    folder: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, samples in ((1, 12), (2, 20)):
        go = stopped_after(samples, monkeypatch)
        assert run(shard(number)) == 130
        go()
        assert f"{samples} of 30 samples (simulating rates) are kept beside graph.csv: --resume" in (
            capsys.readouterr().err
        )
    assert {path.name for path in folder.glob(".*")} == {f".graph.csv.{n}-of-2.unfinished" for n in (1, 2)}
    go = stopped_after(0, monkeypatch)  # after one batch more
    assert run((*shard(1), "--resume")) == 130
    go()
    assert "16 of 30 samples (simulating rates)" in capsys.readouterr().err
    assert run((*shard(1), "--resume")) == 0
    assert [path.name for path in folder.glob(".*.unfinished")] == [".graph.csv.2-of-2.unfinished"]
    assert run((*shard(2), "--resume")) == 0
    assert contents(folder) == whole
    assert not list(folder.glob(".*"))


def test_a_shard_that_is_killed_goes_on(folder: Path, whole: dict[str, bytes]) -> None:
    killed_after(8, *shard(1))
    killed_after(20, *shard(1), "--resume")
    killed_after(16, *shard(2))
    assert run((*shard(1), "--resume")) == 0
    assert run((*shard(2), "--resume")) == 0
    assert contents(folder) == whole
    assert not list(folder.glob(".*"))


def test_only_the_same_simulation_of_a_shard_goes_on(
    folder: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go = stopped_after(12, monkeypatch)
    run(shard(1))
    go()
    for more, said in ((("-T", "7"), "is of other settings"), (("--batch-size", "5"), "is of other settings")):
        capsys.readouterr()
        assert run((*shard(1), *more, "--resume")) == 2
        assert said in capsys.readouterr().err
    assert run(shard(1)) == 0  # anew, which is said
    assert "what an interrupted run left beside graph.csv is not used" in capsys.readouterr().err
    assert run(shard(2)) == 0
    assert contents(folder) == whole


def test_a_page_alone_goes_on_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = (*SIMULATED, "--report", "page.html", "--json")
    assert run(typed) == 0
    told = capsys.readouterr().out
    Path("page.html").unlink()
    go = stopped_after(12, monkeypatch)
    assert run(typed) == 130
    go()
    assert "12 of 30 samples (simulating rates) are kept beside page.html" in capsys.readouterr().err
    assert run((*typed, "--resume")) == 0
    assert capsys.readouterr().out == told
    assert not list(folder.glob(".*"))


def test_a_page_of_nothing_that_is_simulated_has_nothing_to_go_on_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("synapses", "net.safetensors", "--report", "page.html", "--resume")) == 2
    assert "--resume goes on from what an interrupted run left beside its output" in capsys.readouterr().err


def test_a_graph_that_the_interrupted_command_wrote_is_no_obstacle(
    folder: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = (*SIMULATED, "-o", "graph.csv", "--report", "page.html")
    with monkeypatch.context() as patched:

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(page, "write_synapse_report", interrupted)
        assert run(typed) == 130
    assert run(typed) == 2  # only a run that goes on may replace it
    made = contents(folder)
    assert made["graph.csv"] == whole["graph.csv"]
    assert run((*typed, "--resume")) == 0
    assert contents(folder) == made
    assert Path("page.html").exists()
    assert not list(folder.glob(".*"))
