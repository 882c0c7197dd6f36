"""The tutorial's notebook is made of the example, was run to its end, and runs with few pictures and timesteps."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "ann2snn_tutorial.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    found: list[Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def text_of(cell: Any) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def test_its_cells_are_those_of_the_example(cells: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import make_notebook

    assert [(cell["cell_type"], text_of(cell)) for cell in cells] == make_notebook.cells()


def test_it_was_run_and_shows_its_figures(cells: list[Any]) -> None:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert re.findall(r"^ *(\S+)  T=1:", printed, re.MULTILINE) == ["max", "99.9%", "1.0/2", "1.0/3", "1.0/4", "1.0/5"]
    assert "/" not in re.sub(r"1\.0/\d", "", printed)  # no path of the machine it ran on
    assert NOTEBOOK.stat().st_size < 500_000


def test_a_short_version_runs(cells: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import _training

    torch.manual_seed(0)
    few = {
        "train": (torch.rand(256, 1, 28, 28), torch.arange(256) % 10),
        "test": (torch.rand(20, 1, 28, 28), torch.arange(20) % 10),
    }
    monkeypatch.setattr(_training, "pictures", lambda _, split: few[split])
    monkeypatch.delenv("SPIKEWRIGHT_TUTORIAL_WEIGHTS", raising=False)
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells:
        if cell["cell_type"] == "code":
            code = text_of(cell).replace("T = 50", "T = 4").replace("epochs=3", "epochs=1")
            code = re.sub(r"^(sw\.plot\..*)$", r"figures.append(\1)", code, flags=re.MULTILINE)
            names.setdefault("figures", [])
            exec(compile(code, "notebook", "exec"), names)
    assert len(names["curves"]) == 6
    assert all(len(curve) == 4 for curve in names["curves"].values())
    assert [isinstance(one, figure) for one in names["figures"]] == [True] * 3
    for name in ("make_notebook", "ann2snn_tutorial", "_training"):
        sys.modules.pop(name, None)
