"""The page on architecture is true: its layers are the contract's, its folders and passes those that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import spikewright
from spikewright.passes import ordered, passes

ROOT = Path(__file__).parents[1]
SOURCE = Path(spikewright.__file__).parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> list[str]:
    """The page's fenced blocks that are no Python."""
    return re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)


def test_layers_are_those_of_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = next(block for block in blocks() if block.startswith("compat\n")).splitlines()
    assert layers == [layer.replace("spikewright.", "") for layer in contract]


def test_every_module_stands_in_one_layer() -> None:
    layers = next(block for block in blocks() if block.startswith("compat\n"))
    assert sorted(re.findall(r"\w+", layers)) == modules()


def modules() -> list[str]:
    """What lies in the package, without the endings of files."""
    found = (path for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return sorted(path.stem for path in found if path.stem not in ("__init__", "__main__"))


def test_folders_are_those_of_the_tree() -> None:
    listing = next(block for block in blocks() if block.startswith("src/spikewright/\n"))
    named = re.findall(r"^  (\w+)(/|\.py)? ", listing, re.MULTILINE)
    assert sorted(name for name, _ in named) == modules()
    for name, ending in named:
        assert (SOURCE / f"{name}{ending}").exists(), name


@pytest.mark.parametrize("answer", ["keep", "drop"])
@pytest.mark.parametrize("leaky", ["refuse", "split"])
def test_passes_are_those_that_run_in_their_order(answer: str, leaky: str) -> None:
    table = PAGE[PAGE.index("| pass | why it is exact |") :].split("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(passes())
    stages = ordered(passes().values(), {"answer": answer, "leaky": leaky})
    running = dict.fromkeys(step.name for stage in stages.values() for step in stage)  # one that runs again stands once
    assert [name for name in named if name in running] == list(running)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    """`view.py` lies somewhere in the package, `engines/event/view.py` just there."""
    for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", page.read_text(encoding="utf-8")):
        path = name.rstrip("/")
        inside = path.removeprefix("src/spikewright/")  # where the wheel is tested there is no src
        places = [*ROOT.glob(path), *(ROOT / "native").glob(path), *SOURCE.glob(inside), *SOURCE.rglob(path)]
        assert places or path in ("test", "train", "val", "half.py", "dot.py", "level.py"), name


def test_every_page_is_found_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/\w[\w-]*\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert linked == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
