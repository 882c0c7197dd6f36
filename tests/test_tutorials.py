"""The tutorials run, cell by cell; their notebooks are their sources, and were run without errors."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spikewright as sw

EXAMPLES = Path(__file__).parents[1] / "examples"
TUTORIALS = EXAMPLES / "tutorials"
sys.path.insert(0, str(EXAMPLES))
import make_tutorials  # noqa: E402

sys.path.remove(str(EXAMPLES))

NAMES = sorted(path.stem for path in TUTORIALS.glob("*.py"))
FEWER = (
    (r"\b(EPOCHS|FINETUNING)(, BATCH)? = \d+", r"\1\2 = 1"),
    (r"\bTRAIN, TEST = 1000, 200", "TRAIN, TEST = 60, 20"),
    (r"\btest(_pictures)?\.take\((\d\d+)\)", r"test\1.take(20)"),
    (r"^(train, test = demo_data\(.*\))$", r"\1\ntrain = train.take(100)"),
    (r"gain=1\.\.9:2", "gain=1..5:4"),
    (r"timesteps=64", "timesteps=32"),
)
"""What the tests do less of: so many samples and epochs that a tutorial takes seconds."""
LARGEST = 500_000


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def book(name: str) -> list[Any]:
    found: list[Any] = json.loads((TUTORIALS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text in what a cell showed, pictures left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            if key != "image/png":
                yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_the_seven_are_there() -> None:
    assert sorted(make_tutorials.ORDER) == NAMES
    assert {path.stem for path in TUTORIALS.glob("*.ipynb")} == set(NAMES)


def test_the_notebook_is_its_source(name: str, book: list[Any]) -> None:
    """Made anew by ``make notebooks`` after a change."""
    source = make_tutorials.cells(TUTORIALS / f"{name}.py")
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in book] == source
    kinds = [kind for kind, _ in source]
    assert (kinds[0], kinds[-1]) == ("markdown", "markdown")
    assert source[0][1].startswith("# ")
    assert source[-1][1].startswith("## Now you\n")


def test_the_notebook_was_run(name: str, book: list[Any]) -> None:
    assert (TUTORIALS / f"{name}.ipynb").stat().st_size < LARGEST
    code = [cell for cell in book if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) or "<img" in "".join(texts(output)) for output in outputs)
    for shown in texts(outputs):
        text = re.sub(r"base64,[^'\"]+", "", shown)
        assert not re.search(r"(?<![\w.<])/(tmp|home|root|work|usr|var)/|ipykernel", text), text[:300]
        assert not re.search(r"\bat 0x", text), text[:300]  # an object that says nothing but its place in memory


def test_links_of_the_notebook_lead_somewhere(book: list[Any]) -> None:
    for cell in book:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)\s#]+)", "".join(cell["source"])):
                assert (TUTORIALS / target).exists(), target


def test_its_cells_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer samples and epochs; what ends a cell shows itself."""
    matplotlib = pytest.importorskip("matplotlib")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    if name in ("keras_model", "snntoolbox_project"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        pytest.importorskip("keras")
    if "to_pandas" in (TUTORIALS / f"{name}.py").read_text(encoding="utf-8"):
        pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matplotlib.rcParams, "backend", "agg", raising=False)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = 0
    for kind, text in make_tutorials.cells(TUTORIALS / f"{name}.py"):
        if kind == "code":
            shown += run_cell(text, names)
    pyplot.close("all")
    assert shown
    if name in CHECKS:
        CHECKS[name](names)


def run_cell(text: str, names: dict[str, Any]) -> int:
    """Run a cell with less of everything; how many values it shows."""
    for pattern, fewer in FEWER:
        text = re.sub(pattern, fewer, text, flags=re.MULTILINE)
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return 0
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if hasattr(value, "_repr_html_"):
        value._repr_html_()
    return value is not None


def check_first_conversion(names: dict[str, Any]) -> None:
    assert names["again"] == names["better"]
    assert names["better_measures"].accuracy[7] > 0.7
    assert Path("report.html").stat().st_size > 100_000


def check_snntoolbox_project(names: dict[str, Any]) -> None:
    """The three ways are one: the INI run's accuracy, and scale factors."""
    (score,) = names["scores"]
    first = sw.measure(names["same"], (names["x_test"], names["labels"]), timesteps=50)
    assert score == pytest.approx(first.accuracy[-1])
    factors = json.loads((names["log"] / "normalization" / "99.9.json").read_text(encoding="utf-8"))
    assert names["factor"] == pytest.approx(factors["conv2"], rel=1e-5)
    assert float(names["same"].scales["conv2.relu"]) == pytest.approx(factors["conv2"], rel=1e-5)
    assert len(names["changed"].read_text(encoding="utf-8").splitlines()) > 10


def check_chip(names: dict[str, Any]) -> None:
    assert names["fit"].fits
    assert all(Path(name).exists() for name in ("speck.json", "chip.npz", "chip.h", "chip.zip", "chip.html"))


def check_fine_tuning(names: dict[str, Any]) -> None:
    assert names["found"].conversion.changed


CHECKS = {
    "first_conversion": check_first_conversion,
    "snntoolbox_project": check_snntoolbox_project,
    "chip": check_chip,
    "fine_tuning": check_fine_tuning,
}
