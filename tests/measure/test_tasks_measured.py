"""Networks that are no plain classifiers, measured: in Python, on the command line, on the page."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from brute_force import brute_force
from networks import Builder
from spikewright.cli.app import run as command
from spikewright.data import Dataset
from spikewright.data.dataset import Batch
from spikewright.errors import DataError, SettingsError
from spikewright.forward import run
from spikewright.graph import Array, Graph, Shape
from spikewright.nodes import Linear, Output

N, T = 24, 8
RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(N, 6)).astype(np.float32)
Y = {"age": RANDOM.normal(size=N).astype(np.float32), "sex": RANDOM.integers(0, 2, N)}


def rows(outputs: int) -> Graph:
    b = Builder(4, (6,))
    b.linear(8)
    b.relu()
    b.linear(outputs)
    return b.graph()


def two_heads() -> Graph:
    b = Builder(4, (6,))
    b.linear(8)
    hidden = b.relu()
    for name, activation in (("age", None), ("sex", "sigmoid")):
        weight = b.random.normal(size=(1, 8))
        b.add(Linear(name=f"{name}_layer", inputs=(hidden,), weight=weight, bias=np.zeros(1)))
        b.add(Output(name=name, inputs=(f"{name}_layer",), activation=activation))
    return Graph(b.nodes)


def maps(channels: int, side: int = 4) -> Graph:
    b = Builder(4, (2, side, side))
    b.conv(6)
    b.relu()
    b.conv(channels)
    return b.graph()


def converted(graph: Graph, x: Array) -> sw.Conversion:
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("max")
    return sw.convert(graph, sw.calibrate(folded, x, [method]).scales(method))


def measured(graph: Graph, data: Any, timesteps: int = T, **options: Any) -> sw.Measures:
    x = data[0] if isinstance(data, tuple) else data
    spiking = converted(graph, x)
    return sw.measure(spiking, data, timesteps, **options)


def test_random_numbers_are_no_classes() -> None:
    """They were argmaxed as if one-hot: accuracy 0.75."""
    y = RANDOM.normal(size=(N, 3))
    found = measured(rows(3), (X, y))
    assert found.accuracy is found.top5 is found.analog_accuracy is found.agreement is None
    answers = run(rows(3), X)["output"]
    assert found.head.analog["mse"] == pytest.approx(((answers - y) ** 2).mean(), rel=1e-4)
    np.testing.assert_array_equal(found.curve, found.head.scores["mse"])
    assert "accuracy" not in found.summary()


def test_one_output_is_right_by_its_sign() -> None:
    """Labels that were all 0 gave 1.0 whatever the network answered, and 0 and 1 were refused."""
    answers = run(rows(1), X)["output"][:, 0]
    assert 0 < (answers > 0).sum() < N
    for y in (np.zeros(N, int), Y["sex"], np.ones((N, 1), int)):
        found = measured(rows(1), (X, y), 64)
        assert found.analog_accuracy == ((answers > 0) == y.ravel()).mean()
        spikes = sw.simulate(converted(rows(1), X), X, 64).output[..., 0]
        np.testing.assert_array_equal(found.accuracy, ((spikes > 0) == y.reshape(-1, 1)).mean(0))
        np.testing.assert_array_equal(found.agreement, ((spikes > 0) == (answers > 0)[:, None]).mean(0))


def test_every_output_is_measured() -> None:
    found = measured(two_heads(), (X, Y), batch_size=7)
    outputs = sw.simulate(converted(two_heads(), X), X, T).outputs
    for name, task, end in (("age", "regression", None), ("sex", "binary", "sigmoid")):
        expected = brute_force(task, outputs[name], Y[name], end)
        assert found.heads[name].scores == {k: pytest.approx(v) for k, v in expected.items()}
    assert list(found.heads) == ["age", "sex"]


def test_all_nan_labels_are_no_class() -> None:
    with pytest.raises(DataError, match="the label of sample 0 holds NaN or infinity"):
        measured(rows(3), (X, np.full((N, 3), np.nan)))


def test_labels_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    spiking = converted(rows(1), X)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("simulated")

    monkeypatch.setattr(sys.modules["spikewright.measures.measurement"], "run_over", never)
    with pytest.raises(DataError, match="no task is seen in that"):
        sw.measure(spiking, (X, np.arange(N)), T)
    with pytest.raises(DataError, match="that is no classification"):
        sw.measure(spiking, (X, Y["sex"]), T, task="classification")
    with pytest.raises(SettingsError, match="unknown task 'guess'"):
        sw.measure(spiking, (X, Y["sex"]), T, task="guess")


def test_timesteps_that_are_none_are_refused_as_ever() -> None:
    for timesteps in (0, -1):
        with pytest.raises(SettingsError, match="timesteps must be 1 or more"):
            measured(rows(3), (X, Y["sex"]), timesteps)


class Streamed(Dataset):
    """A data set of somebody else's making: it has batches and nothing else."""

    shape: Shape = (6,)
    has_labels, fingerprint = True, "streamed"

    def __len__(self) -> int:
        return N

    def batches(self, size: int) -> Iterator[Batch]:
        for start in range(0, N, size):
            yield X[start : start + size], {name: y[start : start + size] for name, y in Y.items()}

    def subset(self, _rows: Any) -> Dataset:
        return self


def test_labels_of_any_data_set_are_gathered() -> None:
    data = Streamed()
    spiking = converted(two_heads(), X)
    found = sw.measure(spiking, data, T, batch_size=5)
    expected = sw.measure(spiking, (X, Y), T)
    for name, head in expected.heads.items():
        assert found.heads[name].scores == {score: pytest.approx(curve) for score, curve in head.scores.items()}
    labels = sw.simulate(spiking, data, 2, batch_size=5).labels
    for name, y in Y.items():
        np.testing.assert_array_equal(labels[name], y)


def test_a_run_may_forget_its_outputs() -> None:
    spiking = converted(rows(3), X)
    found = sw.simulate(spiking, X, T, keep_outputs=False)
    assert found.outputs == {}
    assert found.counts.keys() == sw.simulate(spiking, X, T).counts.keys()
    with pytest.raises(SettingsError, match="this run kept no outputs; simulate with keep_outputs=True"):
        _ = found.output


def test_answers_of_all_samples_and_timesteps_never_lie_side_by_side() -> None:
    x = RANDOM.random((64, 2, 16, 16)).astype(np.float32)
    spiking, labels = converted(maps(8, 16), x[:4]), RANDOM.integers(0, 8, (64, 16, 16))
    all_answers = 64 * 32 * 8 * 16 * 16 * 4
    tracemalloc.start()
    sw.measure(spiking, (x, labels), 32, batch_size=4, engine="reference")
    _, peak = tracemalloc.get_traced_memory()  # of numpy, where scores are made
    tracemalloc.stop()
    assert peak < all_answers / 4


KINDS: dict[str, tuple[Callable[[], Graph], Array, Any, str]] = {
    "regression": (lambda: rows(2), X, RANDOM.normal(size=(N, 2)), "mean squared error"),
    "binary": (lambda: rows(1), X, Y["sex"], "accuracy"),
    "dense": (
        lambda: maps(3),
        RANDOM.random((N, 2, 4, 4)).astype(np.float32),
        RANDOM.integers(0, 3, (N, 4, 4)),
        "mean IoU",
    ),
    "two heads": (two_heads, X, Y, "age: mean squared error"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A network and data of one kind, as files; and what its tables must speak of."""
    monkeypatch.chdir(tmp_path)
    build, x, y, words = KINDS[request.param]
    sw.save(build(), "net.safetensors")
    labels = {f"y_{name}": part for name, part in y.items()} if isinstance(y, dict) else {"y": y}
    np.savez("data.npz", x=x, **labels)
    np.savez("bare.npz", x=x)
    return str(request.param), words


Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def say(*arguments: str) -> str:
        assert command(arguments) == 0
        return capsys.readouterr().out

    return say


CONVERT = ("convert", "net.safetensors", "--data", "bare.npz")
SIMULATE = ("simulate", "spiking.safetensors", "-T", str(T), "--allow-overlap", "--data")


def test_the_commands_speak_of_the_task(kind: tuple[str, str], said: Said) -> None:
    name, words = kind
    converting = said(*CONVERT, "--test", "data.npz", "--allow-overlap", "--report", "r.html", "-T", str(T))
    simulating = said(*SIMULATE, "data.npz", "-o", "run.npz")
    for text in (converting, simulating):
        assert words in text
        assert ("accuracy" in text) == (name != "regression")
    assert {"regression": "task: regression", "two heads": "task: age regression, sex binary"}.get(name, "task: ") in (
        simulating
    )
    unlabelled = " ".join(said(*SIMULATE, "bare.npz").split())
    assert "against the analog network" in unlabelled or "agreement with the analog network" in unlabelled
    found = json.loads(said(*SIMULATE, "data.npz", "--json"))
    with np.load("run.npz") as stored:
        for head, summary in found["heads"].items():
            before = f"head/{head}/" if len(found["heads"]) > 1 else ""
            assert str(stored[f"{before}task"]) == summary["task"]
            for score, curve in summary["scores"].items():
                np.testing.assert_allclose(stored[f"{before}{score}"], curve)
            for score, curve in summary["agreement"].items():
                label = "agreement" if score == "accuracy" else f"agreement_{score}"
                np.testing.assert_allclose(stored[f"{before}{label}"], curve)
    assert ("accuracy" in found) == (name not in ("regression", "two heads"))


def test_the_page_speaks_of_the_task(kind: tuple[str, str], said: Said) -> None:
    name, _ = kind
    said(
        *CONVERT,
        "--test",
        "data.npz",
        "--allow-overlap",
        "--report",
        "r.html",
        "-T",
        str(T),
        "--method",
        "max",
        "--method",
        "scale:0.5",
    )
    page = Path("r.html").read_text(encoding="utf-8")
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page)
    assert found is not None
    charts = json.loads(found[1])
    axes = [chart["layout"]["yaxis"]["title"]["text"] for chart in charts]
    wanted = {
        "regression": {"mean squared error", "mean absolute error", "R²", "R² against the analog network"},
        "binary": {"accuracy, %", "agreement with the analog network, %"},
        "dense": {"accuracy, %", "mean IoU, %", "mean IoU with the analog network's classes, %"},
        "two heads": {"mean squared error", "accuracy, %", "agreement with the analog network, %"},
    }[name]
    assert wanted <= set(axes)
    assert f"at T = {T}" in text
    if name == "regression":
        assert "accuracy" not in text + json.dumps(charts)
        assert "Task: regression, 2 values a sample, against the labels." in text
    if name == "two heads":
        assert "<h3>age</h3>" in text
        assert "sex: accuracy at T = 8" in text
    for chart, axis in zip(charts, axes, strict=True):
        if axis in wanted:
            curves = [trace for trace in chart["data"] if trace["name"] in ("max", "scale:0.5")]
            assert [len(trace["y"]) for trace in curves] == [T, T]


def test_a_page_without_labels(kind: tuple[str, str], said: Said) -> None:
    said(*CONVERT, "--test", "bare.npz", "--allow-overlap", "--report", "r.html", "-T", "2")
    text = Path("r.html").read_text(encoding="utf-8")
    assert "of the analog network</span>" not in text
    assert "against the analog network, since there are no labels" in text or "agreement with the analog" in text


def test_labels_that_do_not_fit_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sw.save(rows(1), "net.safetensors")
    np.savez("bare.npz", x=X)
    np.savez("ages.npz", x=X, y=np.arange(N))
    before = sorted(tmp_path.iterdir())
    assert command([*CONVERT, "--test", "ages.npz", "--report", "r.html"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "labels are whole numbers from 0 to 23 of shape (N,), the answer has 1 value" in said.err.replace("\n", " ")
    assert sorted(tmp_path.iterdir()) == before
    assert (
        command(
            [*CONVERT, "--test", "ages.npz", "--report", "r.html", "--task", "regression", "-T", "2", "--allow-overlap"]
        )
        == 0
    )
    assert "R²" in capsys.readouterr().out
    assert command([*SIMULATE, "ages.npz", "--task", "height=regression"]) == 2
    assert "a task is of an output 'height', the network has output" in capsys.readouterr().err
    np.savez("zeros.npz", x=X, y=np.zeros(N, int))
    assert command([*SIMULATE, "zeros.npz"]) == 0
    assert "warning: every label is 0: a network that always answers so looks perfect" in capsys.readouterr().err
