"""The public face: what users need is there, and no verb hides a module."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules, walk_packages

import pytest

import spikewright as sw

PACKAGES = [
    "spikewright",
    *(found.name for found in walk_packages(sw.__path__, "spikewright.") if found.ispkg and ".cli" not in found.name),
]


@pytest.mark.parametrize("name", PACKAGES)
def test_no_exported_name_is_that_of_a_module(name: str) -> None:
    """``sw.measure`` and ``sw.convert`` hid the modules of their names, so that ``sw.measure.Energy`` failed."""
    modules = {found.name for found in iter_modules(sw.__path__)} - {name.rpartition(".")[2]}
    assert modules.isdisjoint(getattr(import_module(name), "__all__", ()))


def test_what_users_need_is_there() -> None:
    needed = """Conversion Neurons NeuronsByPopulation Percentile Max Scale Poisson Constant Dataset Energy
        Preprocessing Comparison compare convert measure report load load_data save simulate prepare calibrate
        normalise Statistics"""
    assert set(needed.split()) <= set(sw.__all__)
    assert sorted(sw.__all__) == sw.__all__
    for name in sw.__all__:
        assert getattr(sw, name) is not None


def test_what_pages_and_examples_name_is_there_from_the_start() -> None:
    """``sw.training`` came only once something else had imported it: names are told without importing anything."""
    root = Path(__file__).parents[1]
    files = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("examples/**/*.py"), *root.glob("src/**/*.py")]
    named = {name for file in files for name in re.findall(r"\bsw\.([a-z]\w*)", file.read_text(encoding="utf-8"))}
    assert "training" in named
    assert named <= {*dir(sw), "__version__"}
    again = "import spikewright as sw; print(sw.training.module.__name__, sw.encoders.encoder.__name__)"
    assert subprocess.check_output([sys.executable, "-c", again], text=True).split() == ["module", "encoder"]


def test_methods_are_values_or_text() -> None:
    assert sw.threshold_method("99.9%") == sw.Percentile(99.9)
    assert sw.threshold_method(sw.Max(channels=True)) == sw.Max(channels=True)


def test_the_command_line_only_parses_shows_and_prints() -> None:
    """The main job is the library's: no command calibrates, converts or measures by hand."""
    for file in Path(next(iter(sw.__path__)), "cli").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "calibrate(" not in text, file
        assert "from_scales(" not in text, file
