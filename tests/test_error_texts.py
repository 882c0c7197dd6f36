"""No decision is made by what an error says: its type, and what it carries, decide."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "spikewright"
EXCEPTIONS = {
    "hdf5/probe.py": "HDF5 says in words alone that memory is short, and raises the same for all else that is wrong",
}
"""Files that may read what an error says, and why there is no other way."""
DECIDES = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "find", "rfind", "index", "partition", "rpartition"),
    *("count", "lower", "upper", "casefold"),
}
"""Methods of texts that are only called to decide something, or to take a text apart."""


def decisions(source: str) -> Iterator[int]:
    """The lines that decide something by the text of an error."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    errors = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    errors |= {
        node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg)
        and node.annotation
        and any(word in ast.unparse(node.annotation) for word in ("Error", "Exception"))
    }

    def says(node: ast.AST) -> bool:
        """Whether a node is the text of an error."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
            return bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id in errors
        if isinstance(node, ast.Attribute) and node.attr in ("args", "message"):
            return isinstance(node.value, ast.Name) and node.value.id in errors
        return isinstance(node, ast.Name) and node.id in aliases

    aliases: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and says(node.value):
            aliases |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if not says(node):
            continue
        above = parents[node]
        called = isinstance(above, ast.Attribute) and above.attr in DECIDES
        matched = isinstance(above, ast.Call) and ast.unparse(above.func).startswith("re.")
        if isinstance(above, ast.Compare) or called or matched:
            yield getattr(node, "lineno", 0)


@pytest.mark.parametrize(
    "decision",
    [
        "'finite' in str(error)",
        "str(error) == 'no'",
        "str(error).startswith('no')",
        "'data' in str(error).lower()",
        "re.search('memory', str(error))",
        "'no' in error.args",
    ],
)
def test_decisions_are_found(decision: str) -> None:
    assert list(decisions(f"import re\ntry:\n    run()\nexcept ValueError as error:\n    found = {decision}\n")) == [5]
    assert list(decisions(f"def starved(error: Exception) -> bool:\n    return {decision}\n")) == [2]


def test_what_an_error_says_may_be_told() -> None:
    source = "try:\n    run()\nexcept ValueError as error:\n    raise OSError(f'no: {error}') from error\n"
    assert not list(decisions(source + "    print(str(error).splitlines()[0])\n"))


def test_no_decision_is_made_by_what_an_error_says() -> None:
    found = {
        f"{path.relative_to(SOURCE).as_posix()}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).as_posix() not in EXCEPTIONS
        for line in decisions(path.read_text(encoding="utf-8"))
    }
    assert not found
