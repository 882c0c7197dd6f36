"""Facts read off the nodes of an exported graph: which operator, in which module, of which shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from spikewright.errors import Problem
from spikewright.frontends.torch.names import COMPOSITES

if TYPE_CHECKING:
    from torch import fx
    from torch.export import ExportedProgram


def base_name(node: fx.Node) -> str:
    """``aten.conv2d.padding`` -> ``conv2d``; the empty string for what is no operator."""
    schema = getattr(node.target, "_schema", None)
    return "" if schema is None else str(schema.name).rpartition("::")[2].removesuffix("_")


def same_size(a: Any, b: Any) -> bool:
    """Whether two traced sizes are the same number or the same symbol (asking them would add a guard)."""
    return str(a) == str(b)


def first(example: Any) -> Any:
    """The first of several traced values, or the one there is."""
    return example[0] if isinstance(example, list | tuple) and example else example


def leaves(arguments: Sequence[Any]) -> Iterable[Any]:
    """The arguments with lists, however deep, taken apart."""
    for argument in arguments:
        if isinstance(argument, list):
            yield from leaves(argument)
        else:
            yield argument


def module_stack(node: fx.Node) -> list[tuple[str, str, str]]:
    """The modules a call stands in, outermost first: key (one for each time a module is called), path, class."""
    entries = []
    for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
        plain = re.sub(r"@\d+", "", re.sub(r"^L\['self'\]\.?", "", path))
        name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
        if not plain.startswith("_empty_nn_module"):
            entries.append((key, plain, name))
    return entries


def scope(node: fx.Node) -> tuple[str, str, str]:
    """The innermost module a call stands in."""
    return (module_stack(node) or [("", "", "")])[-1]


def scope_class(node: fx.Node) -> str:
    """The class name of the innermost module a call stands in."""
    return scope(node)[2].rpartition(".")[2]


def model_class(program: ExportedProgram) -> str:
    """The class name of the outermost module, where the program remembers it."""
    stacks = (module_stack(node) for node in program.graph.nodes)
    return next((kind.rpartition(".")[2] for stack in stacks for _, path, kind in stack[:1] if not path), "")


def composite(entry: tuple[str, str, str]) -> Problem | None:
    """The problem a whole module is, for those of torch.nn that are refused as one."""
    _, path, kind = entry
    name = kind.rpartition(".")[2]
    if kind.startswith("torch.nn.") and name in COMPOSITES:
        return Problem.of(name, path or "the top level", COMPOSITES[name])
    return None
