"""The Python in the documentation runs, and the commands it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors.torch import load_file

from spikewright.cli.commands import COMMANDS
from spikewright.demo import demo_data
from spikewright.demo.network import DemoNet

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def of_the_reader() -> dict[str, object]:
    """What a reader of the README has: a trained module, samples to calibrate with, and labelled ones."""
    module = DemoNet()
    module.load_state_dict(load_file(ROOT / "src/spikewright/demo/network.safetensors"))
    train, test = demo_data()
    return {"module": module.eval(), "train": train.take(200), "test": test.take(60)}


def test_the_six_lines_of_the_readme() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line]
    assert len(lines) == 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_the_docs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what a page writes
    if page.name == "figures.md":
        pytest.importorskip("matplotlib")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {"__name__": "__main__", **(of_the_reader() if page.name == "README.md" else {})}
    for block in blocks:  # those of one page build on each other
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_docs_exist(page: Path) -> None:
    known = {name for commands in COMMANDS.values() for name in commands}
    named = re.findall(r"^spikewright (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
