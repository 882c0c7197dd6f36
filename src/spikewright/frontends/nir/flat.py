"""A NIR graph with its nested graphs laid open: names joined by dots, edges between operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spikewright.causes import Cause
from spikewright.errors import ModelFileError, Problem

DEEPEST = 32
"""Levels of nested graphs."""
TERMINALS = ("Input", "Output")


@dataclass
class Flat:
    """All nodes of a graph and of the graphs in it.

    Attributes:
        nodes: fields by full name, ``type`` among them.
        reads: by full name, what each node reads, in the order of the edges.
        inner: the Inputs and Outputs of nested graphs, through which values only pass.
        metadata: of the outermost graph.
        problems: nested graphs that cannot be laid open.
        batch: the size of the batch that shapes state, where its axis is left out of those of inputs and outputs.
    """

    nodes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    reads: dict[str, list[str]] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    batch: int | None = None

    def kind(self, name: str) -> str:
        """The NIR type of a node."""
        return str(self.nodes[name].get("type"))

    def readers(self) -> dict[str, list[str]]:
        """What reads each node, both by their full names."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, sources in self.reads.items():
            for source in sources:
                found[source].append(name)
        return found

    def ordered(self) -> Iterator[str]:
        """Names, each after what it reads; those in cycles, and after them, are left out."""
        left = {name: len(sources) for name, sources in self.reads.items()}
        readers = self.readers()
        ready = [name for name in reversed(self.nodes) if not left[name]]
        while ready:
            name = ready.pop()
            yield name
            for reader in reversed(readers[name]):
                left[reader] -= 1
                if not left[reader]:
                    ready.append(reader)


def flatten(graph: Mapping[str, Any]) -> Flat:
    """Lay a graph open.

    Args:
        graph: a NIRGraph as a dictionary.

    Raises:
        ModelFileError: for edges from or to nothing, and for what is no graph at all.
    """
    flat = Flat()
    _add(flat, graph, "", 0)
    metadata = graph.get("metadata")
    flat.metadata = metadata if isinstance(metadata, Mapping) else {}
    return flat


def _add(flat: Flat, graph: Mapping[str, Any], prefix: str, depth: int) -> None:
    nodes, edges = graph.get("nodes"), graph.get("edges")
    where = f"the graph '{prefix[:-1]}'" if prefix else "the graph"
    if not isinstance(nodes, Mapping) or edges is None:
        raise ModelFileError(f"{where} has no nodes or no edges; export it again")
    if depth > DEEPEST:
        raise ModelFileError(f"{where} lies {DEEPEST} graphs deep; no writer nests that far")
    for name, node in nodes.items():
        full = prefix + name
        if not isinstance(node, Mapping) or not isinstance(node.get("type"), str):
            raise ModelFileError(f"'{full}' has no type, so it is no node; export it again")
        if full in flat.nodes:
            raise ModelFileError(f"two nodes are called '{full}' once nested graphs are laid open; rename one")
        if node["type"] == "NIRGraph":
            _add(flat, node, f"{full}.", depth + 1)
        else:
            flat.nodes[full] = node
            flat.reads[full] = []
            if depth and node["type"] in TERMINALS:
                flat.inner.add(full)
    for source, target in _pairs(edges, where):
        missing = [name for name in (source, target) if name not in nodes]
        if missing:
            raise ModelFileError(f"{where} has an edge from '{source}' to '{target}', but no node '{missing[0]}'")
        start = _end(flat, nodes[source], prefix + source, "Output")
        end = _end(flat, nodes[target], prefix + target, "Input")
        if start is None or end is None:
            continue
        if start in flat.reads[end]:
            raise ModelFileError(f"{where} has the edge from '{source}' to '{target}' twice; export it again")
        flat.reads[end].append(start)


def _pairs(edges: Any, where: str) -> list[tuple[str, str]]:
    try:
        pairs = [(a, b) for a, b in edges]
    except (TypeError, ValueError):
        pairs = [(None, None)]
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        raise ModelFileError(f"{where} has edges that are not pairs of names; export it again")
    return pairs


def _end(flat: Flat, node: Mapping[str, Any], full: str, kind: str) -> str | None:
    """Where an edge at a node really ends: inside, if the node is a graph."""
    if node["type"] != "NIRGraph":
        return full
    inside = [name for name, inner in node["nodes"].items() if inner["type"] == kind]
    if len(inside) != 1:
        problem = Problem("NIRGraph", f"'{full}'", f"it has {len(inside)} nodes {kind}; edges need exactly one")
        if problem not in flat.problems:
            flat.problems.append(problem)
        return None
    return f"{full}.{inside[0]}"


def cycles(flat: Flat) -> list[Problem]:
    """Recurrence: one problem for each set of nodes that reach each other."""
    outside = set(flat.ordered())
    left = [name for name in flat.nodes if name not in outside]
    readers = flat.readers()
    while True:  # what only follows a cycle is not in it
        followers = [name for name in left if not set(readers[name]) & set(left)]
        if not followers:
            break
        left = [name for name in left if name not in followers]
    groups = _groups(left, readers)
    return [Problem.of("recurrence", ", ".join(f"'{n}'" for n in group), Cause.RECURRENT) for group in groups]


def _groups(names: list[str], readers: Mapping[str, list[str]]) -> list[list[str]]:
    """Nodes that reach each other, in order; those between two cycles are in none."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        stack = [start]
        while stack:
            new = set(readers[stack.pop()]) - found
            found |= new
            stack.extend(new)
        return found

    reach = {name: reached(name) for name in names}
    groups: list[list[str]] = []
    done: set[str] = set()
    for name in names:
        if name not in done and name in reach[name]:
            groups.append([other for other in names if other in reach[name] and name in reach[other]])
            done |= set(groups[-1])
    return groups
