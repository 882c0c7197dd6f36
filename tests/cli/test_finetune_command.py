"""``finetune``: what it prints and writes, and what it refuses before anything is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.finetune import before_and_after
from spikewright.cli.terminal import Terminal
from spikewright.cli.unmet import MOST, limits_told
from spikewright.measures import Measures
from spikewright.tasks.regression import Regression
from spikewright.training.bounds import Bound


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A conversion that answers in counts, and data to train and to measure with."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("finetune")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    x = np.random.default_rng(0).random((150, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.from_numpy(x)).argmax(1).numpy()
    graph = sw.load(module.eval(), shape=(1, 8, 8))
    names = {name: str(folder / name) for name in ("net.safetensors", "layered.safetensors", "train.npz", "test.npz")}
    sw.save(sw.convert(graph, x[:40], "max", readout="count"), names["net.safetensors"])
    sw.save(sw.convert(graph, x[:40], "max", neurons="layered"), names["layered.safetensors"])
    np.savez(names["train.npz"], x=x[40:100], y=y[40:100])
    np.savez(names["test.npz"], x=x[100:], y=y[100:])
    return names


def typed(files: dict[str, str], output: Path, *more: str) -> list[str]:
    given = ["finetune", files["net.safetensors"], "--data", files["train.npz"], "-T", "4", "--epochs", "1"]
    return [*given, "-o", str(output), *more]


def test_a_table_of_before_and_after(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "better.safetensors"
    state = str(tmp_path / "state.safetensors")
    chip = ("--chip", "speck2f", "--clip", "--test", files["test.npz"], "--checkpoint", state)
    assert run(typed(files, output, "--synops-limit", "total=1e5", "--dt", "1ms", *chip)) == 0
    printed = capsys.readouterr().out
    assert "before and after training" in printed
    for word in ("T=1", "T=4", "synops/s", "speck2f, before: fits", "speck2f, after: fits", f"written: {output}"):
        assert word in printed.replace("\n", " "), word
    assert sw.load(output).corrections[0].name == "finetune"
    assert run(typed(files, output, "--synops-limit", "total=1e5", "--dt", "1ms", *chip, "--force")) == 0
    assert "1 of 1 epochs were done" in capsys.readouterr().err


def test_limits_of_cores(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "better.safetensors"
    cores = sw.check(sw.load(files["net.safetensors"]), "speck2f").cores
    last = list(cores.values())[-1]
    state = str(tmp_path / "state.safetensors")
    limits = ("--chip", "speck2f", "--dt", "1ms", "--synops-limit", f"{last}:1e3,total=1e9", "--checkpoint", state)
    assert run(typed(files, output, *limits, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"]["synops_limit"] == {f"core {last}": 1000.0, "total": 1e9}
    assert run(typed(files, output, *limits, "--json", "--force")) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] == 1


def test_a_report_of_before_and_after(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "better.safetensors", tmp_path / "better.html"
    last = list(sw.check(sw.load(files["net.safetensors"]), "speck2f").cores.values())[-1]
    limits = ("--chip", "speck2f", "--dt", "1ms", "--synops-limit", f"{last}:1e3,total=1e9")
    assert run(typed(files, output, *limits, "--report", str(report), "--test", files["test.npz"])) == 0
    assert f"report: {report}" in capsys.readouterr().out.replace("\n", " ")
    page = report.read_text()
    for said in (
        "How good, how soon",
        "% at T=4",
        "How it learned",
        "Firing rates",
        "Where the work is",
        f"core {last}",
        "kept",
        "× it",
        "speck2f holds it (",
        "spikewright finetune",
    ):
        assert said in page, said
    assert run(typed(files, output, "--report", str(report))) == 2
    assert run(typed(files, output, "--force", "--report", str(tmp_path / "page.txt"))) == 2
    assert "a report is a .html file" in capsys.readouterr().err


def test_limits_that_are_not_kept_are_told(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which layer, core, population or total, by how much; the page has all of them."""
    report = tmp_path / "page.html"
    last = list(sw.check(sw.load(files["net.safetensors"]), "speck2f").cores.values())[-1]
    limits = ("--chip", "speck2f", "--dt", "1ms", "--synops-limit", f"{last}:10,total=1e9", "--firing-rate", "1e-3")
    rate = ("--rate", "1e-9", "--report", str(report), "--test", files["test.npz"])
    assert run(typed(files, tmp_path / "better.safetensors", *limits, *rate)) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("limit not kept: ")]
    network = sw.load(files["net.safetensors"])
    with np.load(files["test.npz"]) as test:
        measures = sw.measure(network, (test["x"], test["y"]), 4, quiet=True)
    rates = {name: layer.firing.mean for name, layer in measures.layers.items()}
    first, silent = rates
    assert rates[silent] == 0
    assert len(told) == 2
    (core,) = (line for line in told if f"core {last}: " in line)
    assert "synaptic operations a second, " in core
    assert core.endswith(" times the limit of 10")
    assert told[1] == (
        f"limit not kept: {first}: {rates[first]:.3g} spikes a neuron and step, {rates[first] / 1e-3:.0f} times the "
        "limit of 0.001"
    )
    page = report.read_text()
    for said in ("<h2>Limits</h2>", f"core {last}", "spikes a neuron and step", "× it", "kept"):
        assert said in page, said


def test_limits_that_are_kept_are_told_in_a_line(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "better.safetensors"
    assert run(typed(files, output, "--synops-limit", "total=1e9")) == 0
    assert "limit: it is kept" in capsys.readouterr().out
    assert run(typed(files, output, "--synops-limit", "1e9", "--firing-rate", "1e3", "--force", "--json")) == 0
    told = json.loads(capsys.readouterr().out)["limits"]
    assert all(one["kept"] for one in told)
    assert {one["unit"] for one in told} == {"synaptic operations a sample", "spikes a neuron and step"}
    assert {one["limit"] for one in told} == {1e9, 1e3}


@pytest.fixture(scope="module")
def long_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of more layers than a speck2f has cores."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [layer for _ in range(10) for layer in (nn.Conv2d(1, 1, 3, padding=1), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))
    x = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)
    place = tmp_path_factory.mktemp("long") / "long.safetensors"
    sw.save(sw.convert(sw.load(module.eval(), shape=(1, 8, 8)), x, "max", readout="count"), place)
    return place


def test_a_chip_that_does_not_hold_the_network_says_why(
    files: dict[str, str], long_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "page.html"
    given = ["finetune", str(long_network), "--data", files["train.npz"], "-T", "2", "--epochs", "1"]
    more = ["--chip", "speck2f", "-o", str(tmp_path / "better.safetensors"), "--report", str(report)]
    assert run([*given, *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    (at,) = (k for k, line in enumerate(lines) if line == "speck2f, after: does not fit")
    (reason, *_) = sw.check(sw.load(long_network), "speck2f").lines()
    assert lines[at + 1] == f"  {reason}"
    assert reason in report.read_text()


def test_many_reasons_are_told_in_a_few_lines() -> None:
    limits = [Bound(f"layer{k}", "synaptic operations a sample", 10.0, 50.0, 20.0 + k) for k in range(8)]
    told = limits_told([*limits, Bound("total", "synaptic operations a sample", 1e3, 50.0, 20.0)])
    assert told[0] == "limit not kept: layer7: 27 synaptic operations a sample, 2.70 times the limit of 10"
    assert told[MOST:] == ["3 more limits are not kept: --report lists all"]
    assert str(Bound("a", "spikes", 10.0, 50.0, 10.001)) == "a: 10 spikes, just above the limit of 10"
    assert str(Bound("a", "spikes", 10.0, 50.0, 10.0)) == "a: 10 spikes, within the limit of 10"


@pytest.mark.parametrize("when", ["before", "epoch 1 of 2", "epoch 2 of 2", "after", "without"])
def test_an_interruption_says_how_to_go_on(
    files: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    output, state = tmp_path / "better.safetensors", tmp_path / "state.safetensors"
    typing = typed(files, output, "--epochs", "2", *(() if when == "without" else ("--checkpoint", str(state))))

    @contextmanager
    def interrupted(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
        def tell(what: str, done: int, total: int) -> None:
            if what == when or when == "without":
                raise KeyboardInterrupt

        yield tell

    with monkeypatch.context() as patch:
        patch.setattr("spikewright.cli.finetune.stages", interrupted)
        assert run(typing) == 130
    said = capsys.readouterr().err.splitlines()
    kept = when in ("epoch 2 of 2", "after")
    assert state.exists() == kept
    assert not output.exists()
    if when == "without":
        wanted = "nothing was written; with --checkpoint state.safetensors the state of training is kept on the way"
    elif kept:
        wanted = f"the state of training stands in {state}: the same command goes on from there"
    else:
        wanted = f"nothing was written; {state} is written every minute of training and after each epoch"
    assert [line for line in said if line.startswith("error: ")] == [f"error: interrupted; {wanted}"]
    assert run(typing) == 0
    done = capsys.readouterr()
    assert (f"{2 if when == 'after' else 1} of 2 epochs were done" in done.err) == kept


def test_json(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed(files, tmp_path / "better.safetensors", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"]["timesteps"] == 4
    assert told["samples"] == 54
    assert told["measured_on"] == {"samples": 6, "held_out": True}
    assert len(told["history"]) == 1
    assert len(told["after"]["accuracy"]) == 4


def test_test_data_that_are_trained_on_are_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "better.safetensors"
    assert run(typed(files, output, "--test", files["train.npz"])) == 2
    assert "60 of the 60 samples to measure with are those of calibration" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--surrogate", "arctan"), "unknown surrogate gradient 'arctan'"),
        (("--synops-limit", "a:3"), "--synops-limit takes a number, or such by layer like conv1=1e6,total=2e6"),
        (("--synops-limit", "0:3"), "no core 0 hears spikes of other layers; there are none: say which chip"),
        (("--chip", "speck2f", "--dt", "1ms"), "no limit of synaptic operations of a core of speck2f is public"),
        (("--synops-limit", "conv=3"), "no layer 'conv' hears spikes"),
        (("--synops-limit", "-3"), "must be a positive number"),
        (("--dt", "1ms"), "--dt would change nothing"),
        (("--dt", "1h", "--synops-limit", "3"), "--dt takes a time above 0"),
        (("--chip", "speck3"), "unknown chip 'speck3'"),
        (("--chip", "speck2f", "--thresholds"), "train weights to its integers, not thresholds"),
        (("--labels", "0", "--distillation", "0"), "nothing to learn from"),
        (("--rate", "0"), "rate must be a number, above 0"),
        (("--budget", "0"), "--budget takes GiB above 0"),
        (("-T", "0"), "--timesteps must be 1 or more"),
        (("--checkpoint", "state.pt"), "is kept as .safetensors"),
        (("--data", "none.npz"), "none.npz"),
    ],
)
def test_refusals(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "better.safetensors"
    assert run(typed(files, output, *more)) == 2
    told = capsys.readouterr().err
    assert message in told.replace("\n", " ")
    assert told.count("error:") == 1
    assert not list(tmp_path.iterdir())


def test_windows_and_other_files_are_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", files["train.npz"], "-o", str(tmp_path / "better.safetensors")]
    assert run(["finetune", files["layered.safetensors"], *given]) == 2
    assert "add up a window and send in the next" in capsys.readouterr().err
    graph = tmp_path / "graph.safetensors"
    sw.save(sw.load(files["net.safetensors"]).folded, graph)
    assert run(["finetune", str(graph), *given]) == 2
    assert "is no conversion; train what 'spikewright convert' wrote" in capsys.readouterr().err


def test_a_state_of_another_training_is_refused_before_anything_is_measured(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is whatever else training refuses."""
    output, state = tmp_path / "better.safetensors", str(tmp_path / "state.safetensors")
    assert run(typed(files, output, "--checkpoint", state, "--test", files["test.npz"])) == 0

    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("spikewright.cli.finetune.measure", measured)
    unlabelled = tmp_path / "unlabelled.npz"
    with np.load(files["train.npz"]) as train:
        np.savez(unlabelled, x=train["x"])
    for more, said in (
        (("--checkpoint", state, "--rate", "1e-4"), "is the state of a training with rate=0.001, not 0.0001; take it"),
        (("--checkpoint", state, "--data", str(unlabelled)), "with another data set; take it away and begin anew"),
        (("--distillation", "0", "--data", str(unlabelled)), "the samples have no labels to learn from"),
    ):
        capsys.readouterr()
        assert run(typed(files, output, *more, "--test", files["test.npz"], "--force")) == 2
        assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def eight_steps(files: dict[str, str]) -> Measures:
    """A network's measures at eight timesteps."""
    with np.load(files["test.npz"]) as test:
        return sw.measure(sw.load(files["net.safetensors"]), (test["x"], test["y"]), 8, quiet=True, explain=False)


def lines_of(before: Measures, after: Measures, dt: float | None = None) -> list[str]:
    """The printed table, line by line, 80 columns wide."""
    console = Terminal()
    console.width = 80
    with console.capture() as captured:
        console.print(before_and_after(before, after, dt))
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


def scored(measures: Measures, values: list[float], task: Regression | None = None) -> Measures:
    """The same measures with other scores at each timestep."""
    head = replace(measures.head, task=task or measures.head.task)
    head = replace(
        head, scores={name: np.array(values) for name in head.task.agreed}, analog={head.task.main: values[-1]}
    )
    return replace(measures, heads={"output": head})


def test_eight_timesteps_of_whole_percents_fit_into_a_row_each(eight_steps: Measures) -> None:
    found = lines_of(scored(eight_steps, [0.5] * 8), scored(eight_steps, [1.0] * 8), 1e-3)
    assert found[0] == "accuracy, %, before and after training; the trained network 50.00 %"
    assert max(map(len, found)) <= 80
    before, after = found[-2:]
    assert before.split()[:9] == ["before", *["50.00"] * 8]
    assert after.split()[:9] == ["after", *["100"] * 8]


def test_errors_of_a_regression_are_no_percents(eight_steps: Measures) -> None:
    errors = [0.012345, 12.5, 1e-5, 1.0, 1.0, 1.0, 0.25, 0.00125]
    found = lines_of(*[scored(eight_steps, errors, Regression())] * 2)
    assert "%" not in "".join(found)
    assert max(map(len, found)) <= 80
    (row,) = (line for line in found if line.strip().startswith("after"))
    assert row.split()[-6:-2] == ["0.01235", "12.5", "1", "0.00125"]


def test_a_total_says_what_is_not_in_it() -> None:
    total = Bound("total", "synaptic operations a second", 10.0, 5.0, 5.0, ("0",))
    assert limits_told([total]) == [
        "limit: it is kept",
        "total is of the layers that hear spikes of neurons; the table counts 0 too, which hears none",
    ]
    assert limits_told([replace(total, without=("0", "1"), after=20.0)])[-1].endswith("0, 1 too, which hear none")
    assert total.summary()["without"] == ["0"]
