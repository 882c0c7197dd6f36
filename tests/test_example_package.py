"""One small thing of every kind, added as a package and as files: no list is edited either way.

The tests of ``examples/spikewright_flip`` run in a process of their own: once with the package announced as an
installed one is, once with its files laid into the folders of a copy of Spikewright.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import spikewright

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "examples" / "spikewright_flip"
FOLDERS = {
    "nodes": "nodes",
    "torch_rules": "frontends/torch",
    "passes": "passes",
    "methods": "calibration/thresholds",
    "measures": "measures",
    "exporters": "exporters",
    "synapse_writers": "synapse_graph/writers",
    "chips": "chips/known",
    "chip_formats": "chips/formats",
}
"""Where a file of each kind lies in Spikewright itself."""
OTHERS = {
    "encoders": "encoders",
    "tasks": "tasks",
    "requests": "calibration/requests",
    "corrections": "corrections",
    "recordings": "recordings/formats",
    "surrogates": "training/surrogates",
    "inline": "reports/inline",
}
"""The same of kinds that the package has no example of."""
AS_ON_THE_PATH = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
"""Runs tests with what is on the path: the finder of an editable installation would know Spikewright first."""


def project() -> dict[str, dict[str, str]]:
    """The entry points of the package, by group."""
    facts = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups: dict[str, dict[str, str]] = facts["entry-points"]
    return groups


def announced(folder: Path) -> Path:
    """What an installer writes of the package: it lies beside its files, wherever these are found."""
    shutil.copytree(PACKAGE / "src" / "spikewright_flip", folder / "spikewright_flip")
    facts = folder / "spikewright_flip-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: spikewright-flip\nVersion: 1.0\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())
        for group, names in project().items()
    )
    (facts / "entry_points.txt").write_text(points)
    return folder


def laid_in(folder: Path) -> Path:
    """A copy of Spikewright with the files of the package in its folders."""
    own = Path(spikewright.__file__).parent
    shutil.copytree(own, folder / "spikewright", ignore=shutil.ignore_patterns("__pycache__", "fashion.npz"))
    if (native := find_spec("spikewright.engines.event._native")) is not None and native.origin is not None:
        shutil.copy(native.origin, folder / "spikewright" / "engines" / "event")
    homes = {
        value: folder / "spikewright" / FOLDERS[group.removeprefix("spikewright.")]
        for group, names in project().items()
        for value in names.values()
    }
    for module, home in homes.items():
        text = (PACKAGE / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
        for other, place in homes.items():
            dotted = ".".join(place.relative_to(folder).parts)
            text = text.replace(other, f"{dotted}.{other.rpartition('.')[2]}")
        (home / f"{module.rpartition('.')[2]}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("added", [announced, laid_in])
def test_the_package_works_without_any_list(added: object, tmp_path: Path) -> None:
    assert callable(added)
    paths = [str(added(tmp_path)), str(Path(spikewright.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    words = [
        "-q",
        "--show-capture=no",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [
            sys.executable,
            *(["-c", AS_ON_THE_PATH] if added is laid_in else ["-m", "pytest"]),
            *words,
            str(PACKAGE / "tests"),
        ],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_every_kind_has_an_example_but_those() -> None:
    sources = "\n".join(p.read_text(encoding="utf-8") for p in Path(spikewright.__file__).parent.rglob("*.py"))
    groups = set(re.findall(r'Registry(?:\[.*\])?\(\s*"(spikewright\.\w+)"', sources))
    assert groups - {f"spikewright.{kind}" for kind in OTHERS} == set(project())
    assert set(project()) == {f"spikewright.{kind}" for kind in FOLDERS}


def test_the_page_knows_every_kind() -> None:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| `spikewright\.(\w+)` \| `([\w/]+)/` \|$", page, re.MULTILINE))
    assert said == {**FOLDERS, **OTHERS}
    assert all((Path(spikewright.__file__).parent / folder).is_dir() for folder in said.values())
