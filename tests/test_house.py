"""Rules of the house that no linter holds: no circles of imports, short files, docstrings that name their subject."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grimp

import spikewright

SOURCE = Path(spikewright.__file__).parent
TESTS = Path(__file__).parent
NATIVE = Path(__file__).parents[1] / "native"
MOST_LINES = 400
CIRCLES_LEFT: tuple[str, ...] = ()
"""Packages that may still have circles; this shall be empty."""
PREPOSITIONS = {
    *("Above", "As", "At", "Behind", "Beside", "By", "For", "From", "In", "Into", "Of", "On", "To", "Under", "With")
}
"""A summary that begins with one of these leaves away what it speaks of."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan 1972), each in order of its names.

    >>> circles({"a": {"b"}, "b": {"a"}, "c": {"a"}})
    [['a', 'b']]
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def importing(graph: grimp.ImportGraph, circle: list[str]) -> str:
    """The imports that make a circle, one a line: where they stand and what they say."""
    lines = []
    for module in circle:
        for other in sorted(graph.find_modules_directly_imported_by(module) & set(circle)):
            details = graph.get_import_details(importer=module, imported=other)
            lines += [f"  {module}:{detail['line_number']}: {detail['line_contents']}" for detail in details]
    return "\n".join(lines)


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [["b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def test_no_module_imports_itself_by_others() -> None:
    """Imports inside functions, and those for type checkers only, count as well."""
    graph = grimp.build_graph("spikewright", cache_dir=None)
    found = circles({module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules})
    new = [circle for circle in found if not all(module.startswith(CIRCLES_LEFT) for module in circle)]
    assert not new, "circles of imports:\n" + "\n\n".join(importing(graph, circle) for circle in new)
    mended = [name for name in CIRCLES_LEFT if not any(module.startswith(name) for c in found for module in c)]
    assert not mended, f"no circles any more, take them out of CIRCLES_LEFT: {', '.join(mended)}"


def source_files() -> list[Path]:
    native = [path for path in NATIVE.rglob("*") if path.suffix in (".cpp", ".hpp")] if NATIVE.is_dir() else []
    return sorted([*SOURCE.rglob("*.py"), *native, *TESTS.rglob("*.py")])


def test_every_file_fits_in_the_head() -> None:
    long = {path.name: lines for path in source_files() if (lines := path.read_text().count("\n")) > MOST_LINES}
    assert not long, f"more than {MOST_LINES} lines; ask what each is two of: {long}"


def classes_of(trees: dict[Path, ast.Module]) -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def says_itself(owner: ast.ClassDef, method: str, classes: dict[str, list[ast.ClassDef]]) -> bool:
    """Whether a class that this one derives from has a docstring for a method of that name."""
    for base in owner.bases:
        name = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).rpartition(".")[2]
        for parent in classes.get(name, []):
            if parent is owner:
                continue
            own = [f for f in parent.body if isinstance(f, ast.FunctionDef) and f.name == method]
            if any(ast.get_docstring(f) for f in own) or says_itself(parent, method, classes):
                return True
    return False


def definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """The public ones; not what a decorator with arguments registers, a rule of a frontend, nor overloads."""
    for node in body:
        registered = isinstance(node, ast.FunctionDef) and any(
            isinstance(d, ast.Call) or ast.unparse(d) == "overload" for d in node.decorator_list
        )
        if isinstance(node, Definition) and not node.name.startswith("_") and not registered:
            yield node


def attribute_docstrings(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """What a string below an assignment says of it."""
    for before, node in pairwise(body):
        text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
        if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(text, str):
            yield ast.unparse(before).split("=")[0].split(":")[0].strip(), text


def docstrings(tree: ast.Module, classes: dict[str, list[ast.ClassDef]]) -> Iterator[tuple[str, str | None]]:
    """Names of what is public in a module with their docstrings, None where one is missing."""
    yield "the module", ast.get_docstring(tree)
    yield from attribute_docstrings(tree.body)
    for node in definitions(tree.body):
        yield node.name, ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{name}", text) for name, text in attribute_docstrings(node.body))
            for method in definitions(node.body):
                text = ast.get_docstring(method)
                if text is not None or not says_itself(node, method.name, classes):
                    yield f"{node.name}.{method.name}", text


def test_docstrings_say_what_they_speak_of() -> None:
    """Everything public has one, whose first words are no preposition: "Of one sample" is no sentence."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
    classes = classes_of(trees)
    faults = []
    for path, tree in trees.items():
        where = path.relative_to(SOURCE)
        for name, text in docstrings(tree, classes):
            if text is None:
                faults.append(f"{where}: {name} has no docstring")
            elif text.split()[0] in PREPOSITIONS:
                faults.append(f"{where}: {name}: what is it that is '{text.splitlines()[0]}'?")
    assert not faults, "\n".join(faults)


def test_no_two_files_of_tests_share_a_name() -> None:
    """Files outside packages are modules of the top level: of two with one name an import takes the wrong one."""
    places: dict[str, list[Path]] = {}
    for file in sorted(TESTS.rglob("*.py")):
        if file.name != "conftest.py" and not (file.parent / "__init__.py").exists():
            places.setdefault(file.name, []).append(file.relative_to(TESTS))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
