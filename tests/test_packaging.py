"""What can be installed is what the docs say: extras, and what they bring."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
APART = {"dsec", "cuda", "docs", "dev", "all"}
"""What ``all`` leaves away: what is large and rarely wanted, and what is for developers."""
OURS = {"spikewright", "torch", "numpy", "safetensors"}
FOREIGN = {"samna", "sanafe", "polars", "duckdb", "neurobench", "spikingjelly", "sinabs", "tonic"}
"""What only shows how another tool takes over."""
PACKAGES = {"nir": "nir", "pil": "pillow", "dask": "distributed", "ann2snn_tutorial": ""}


def brought(extra: str) -> set[str]:
    """The packages that an extra brings, those of the extras in it too."""
    found = set()
    for wanted in EXTRAS[extra]:
        inner = re.fullmatch(r"spikewright\[(.*)\]", wanted)
        if inner is None:
            found.add(re.split(r"[^\w.-]", wanted)[0].lower())
        else:
            found |= {one for name in inner[1].split(",") for one in brought(name)}
    return found


def test_all_has_all_extras_that_the_readme_says_it_has() -> None:
    for extra in EXTRAS.keys() - APART:
        assert brought(extra) <= brought("all"), extra
    assert not {"hdf5plugin", "triton", "mkdocs-material", "pytest"} & brought("all")
    said = (ROOT / "README.md").read_text().partition("## Installing")[2].partition("\n## ")[0]
    assert "all but `dsec` and `cuda`" in " ".join(said.split())
    for extra in EXTRAS.keys() - {"dev", "docs"}:
        assert f"`{extra}`" in said, f"the README does not name the extra '{extra}'"


def test_all_brings_what_the_docs_use() -> None:
    known = {re.split(r"[^\w.-]", one)[0].lower() for one in PROJECT["dependencies"]} | brought("all") | OURS
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/tutorials/*.py")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        code = text if page.suffix == ".py" else "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
        for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
            package = PACKAGES.get(name.lower(), name.lower())
            there = name in sys.stdlib_module_names or package in known | FOREIGN
            assert there or (page.parent / f"{name}.py").exists(), f"{page.name}: {name}"
