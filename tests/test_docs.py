"""The Python in the documentation and in docstrings runs, its commands and options exist, its links lead somewhere."""

from __future__ import annotations

import doctest
import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import spikewright
import spikewright as sw
from spikewright.cli.commands import COMMANDS, loaded
from spikewright.demo import demo_data
from spikewright.demo.network import DemoNet

ROOT = Path(__file__).parents[1]
SOURCE = Path(spikewright.__file__).parent
OTHERS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "native/README.md", "examples/README.md"]
PAGES = [*(ROOT / name for name in OTHERS), *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
KNOWN = {name for commands in COMMANDS.values() for name in commands}
HAVING_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def of_the_reader() -> dict[str, object]:
    """What a reader of the README has: a trained module, samples to calibrate with, and labelled ones."""
    module = DemoNet()
    module.load_state_dict(load_file(SOURCE / "demo/network.safetensors"))
    train, test = demo_data()
    return {"module": module.eval(), "train": train.take(200), "test": test.take(60)}


def of_the_docstrings() -> dict[str, object]:
    """What the docstrings of the sources take to be there, in their own words; ``config.ini`` lies in the folder."""
    found = of_the_reader()
    module, few = found["module"], demo_data()[0].take(10)
    ((x, _),) = few.batches(10)
    images, labels = torch.from_numpy(np.array(x)), torch.arange(10)
    Path("config.ini").write_text("[normalization]\npercentile = 99.9\n", encoding="utf-8")
    conversion = sw.convert(sw.load(module, shape=(1, 28, 28)), few, "max")
    loader = [(images, labels)]
    return {
        **found,
        **{"sw": sw, "torch": torch, "np": np, "ann": module, "model": sw.load(module, shape=(1, 28, 28))},
        **{"images": images, "x": images, "labels": labels, "samples": images.numpy(), "dataloader": loader},
        **{"raster": (images.repeat_interleave(4, 0) > 0.5).float(), "conversion": conversion},
    }


def commands_of(text: str) -> list[list[str]]:
    """The words of every command line of Spikewright in the shell blocks of a page."""
    found = []
    for block in re.findall(r"```(?:shell|bash|console)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            typed = line.strip().removeprefix("$ ")
            if typed.startswith("spikewright "):
                words = shlex.split(typed, comments=True)
                ends = [k for k, word in enumerate(words) if word in (">", "|", "&&", ";")]
                found.append(words[1 : ends[0]] if ends else words[1:])
    return found


def slug(heading: str, taken: dict[str, int]) -> str:
    """The name of a heading on the code host, and on the site."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    made = re.sub(r"[^\w\- ]", "", words.replace("`", "").strip().lower()).replace(" ", "-")
    taken[made] = taken.get(made, -1) + 1
    return f"{made}-{taken[made]}" if taken[made] else made


def places_of(page: Path) -> set[str]:
    """What can be linked to in a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    taken: dict[str, int] = {}
    return {slug(heading, taken) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def test_the_six_lines_of_the_readme() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line]
    assert len(lines) == 6


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_the_docs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what a page writes
    if page.name == "figures.md":
        pytest.importorskip("matplotlib")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {"__name__": "__main__", **(of_the_reader() if page == PAGES[0] else {})}
    for block in blocks:  # those of one page build on each other
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("file", HAVING_EXAMPLES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_examples_of_docstrings_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    module = import_module(".".join(part for part in parts if part != "__init__"))
    examples = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert examples
    names = of_the_docstrings()
    for test in examples:
        test.globs |= names
        kept = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        told: list[str] = []
        assert kept.run(test, out=told.append).failed == 0, "".join(told)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_the_docs_exist(page: Path) -> None:
    """Their options too, and where choices are named, the choice."""
    for name, *words in commands_of(page.read_text(encoding="utf-8")):
        if name.startswith("-"):
            continue
        assert name in KNOWN
        having = {opt: one for one in loaded(name).params for opt in (*one.opts, *getattr(one, "secondary_opts", ()))}
        everywhere = {"--help", "-h", "--quiet", "--verbose", "--debug"}
        for word in words:
            opt = word.partition("=")[0]
            if re.match(r"-{1,2}[A-Za-z]", opt):
                assert opt in having or opt in everywhere, f"spikewright {name} has no {opt}"


@pytest.mark.parametrize("page", [*PAGES, *RESULTS], ids=name_of)
def test_links_of_the_docs_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<img src=\"([^\"]+)\"", text)
    for target in targets:
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, place = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not place or place in places_of(file), target


def test_every_name_of_the_interface_has_its_place() -> None:
    """Each once among the pages, and in the list of the first of them."""
    folder = ROOT / "docs" / "api"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md")))
    named = re.findall(r"^::: spikewright\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(spikewright.__all__)
    listed = (folder / "index.md").read_text(encoding="utf-8")
    assert [name for name in spikewright.__all__ if f"`{name}`" not in listed] == []


@pytest.mark.parametrize("page", ["choosing.md", "low-accuracy.md"])
def test_measured_numbers_are_those_of_the_results(page: str) -> None:
    """Points with their intervals, and what stands in tables, are in results, or where they were first told."""
    told = (ROOT / "docs" / page).read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d+ ± \d+\.\d+", told)
    numbers += [
        number for row in re.findall(r"^\|.*\|$", told, re.MULTILINE) for number in re.findall(r"\d+\.\d\d+", row)
    ]
    places = [*RESULTS, ROOT / "docs" / "tuning.md", ROOT / "docs" / "measuring.md", ROOT / "docs" / "concepts.md"]
    known = "".join(path.read_text(encoding="utf-8") for path in places)
    assert [number for number in numbers if number not in known] == []
    assert numbers or page != "choosing.md"
