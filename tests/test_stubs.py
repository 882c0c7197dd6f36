"""What type checkers know of packages whose names are found, not listed: stubs, written from what is found.

``make stubs`` writes them anew (it runs this test with SPIKEWRIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import ast
import os
from pathlib import Path
from types import ModuleType

import pytest

from spikewright import nodes, passes
from spikewright.nodes import node_types
from spikewright.passes import steps

HEAD = '"""What type checkers know of this package: `make stubs` writes it from the files of the folder."""\n\n'


def stub(package: ModuleType) -> str:
    """The imports of a package's ``__init__``, and one for each name that is found in its files."""
    assert package.__file__ is not None
    imported = [
        (statement.module, name.name)
        for statement in ast.parse(Path(package.__file__).read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for name in statement.names
    ]
    nodes_found = [(kind.__module__, name) for name, kind in node_types.own.items()]
    passes_found = [(step.made_in, name) for name, step in steps.own.items()]
    found = nodes_found if package is nodes else passes_found
    return HEAD + "".join(f"from {module} import {name} as {name}\n" for module, name in sorted(imported + found))


@pytest.mark.parametrize("package", [nodes, passes], ids=lambda package: package.__name__)
def test_a_stub_says_what_the_folder_holds(package: ModuleType) -> None:
    assert package.__file__ is not None
    path = Path(package.__file__).with_suffix(".pyi")
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        path.write_text(stub(package), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == stub(package), "run `make stubs`"
