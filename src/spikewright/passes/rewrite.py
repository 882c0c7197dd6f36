"""What a pass is, and the runner that checks every one and remembers what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from spikewright.errors import GraphError, Problem
from spikewright.graph import Graph

Side = Literal["before", "after", "output"]
Stage = Literal["recognise", "rewrite", "scale"]
"""The stages in order: "recognise" brings what frontends wrote into one form, behind it stands what is refused;
"rewrite" is everything else; "scale" gives what must meet a scale weights that can take it."""


@dataclass(frozen=True)
class Pass:
    """A rewrite of a graph that keeps what the graph computes.

    Attributes:
        name: the function's name.
        verb: what becomes of the nodes it takes out: "folded", "absorbed", "replaced", "applied", "dropped".
        function: Graph -> Graph.
        into: on which side of a node it takes out stands what took the node in: the node "before" it that is left,
            the weighted nodes "after" it, or the "output" behind it; None for a pass that takes out nothing.
        stage: which part of ``prepare`` it belongs to.
        after, before: the names of passes of its stage that it runs behind, or in front of. Of those that may run next,
            the first by name does.
        again_after: the names of passes behind each of which it runs once more.
        when: settings of ``prepare`` with which it runs; with all where none are named.
    """

    name: str
    verb: str
    function: Callable[[Graph], Graph]
    into: Side | None = None
    stage: Stage = "rewrite"
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    again_after: tuple[str, ...] = ()
    when: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, graph: Graph) -> Graph:
        return self.function(graph)

    @property
    def made_in(self) -> str:
        """The file that it stands in."""
        return self.function.__module__


def rewrite(
    verb: str,
    into: Side | None = None,
    *,
    stage: Stage = "rewrite",
    after: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    again_after: tuple[str, ...] = (),
    when: Mapping[str, str] | None = None,
) -> Callable[[Callable[[Graph], Graph]], Pass]:
    """Make a pass of a function, which gives it its name; all else is as ``Pass`` says."""
    return lambda function: Pass(
        function.__name__, verb, function, into, stage, after, before, again_after, dict(when or {})
    )


@dataclass(frozen=True)
class RefusalCheck:
    """What no network may have once it is recognised, since it could not become spikes.

    Attributes:
        function: Graph -> a problem for each node that is refused.
        when: settings of ``prepare`` with which it is asked; with all where none are named.
    """

    function: Callable[[Graph], list[Problem]]
    when: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, graph: Graph) -> list[Problem]:
        return self.function(graph)

    @property
    def made_in(self) -> str:
        """The file that it stands in."""
        return self.function.__module__


def refusal(when: Mapping[str, str] | None = None) -> Callable[[Callable[[Graph], list[Problem]]], RefusalCheck]:
    """Make a refusal of a function; ``when`` as ``RefusalCheck`` says."""
    return lambda function: RefusalCheck(function, dict(when or {}))


def applies(step: Pass | RefusalCheck, settings: Mapping[str, str]) -> bool:
    """Whether a pass runs, or a refusal is asked, with some settings."""
    return all(settings.get(name) == value for name, value in step.when.items())


@dataclass(frozen=True)
class Change:
    """What a pass did to one node.

    Attributes:
        node: its name.
        verb: "folded", "absorbed", "replaced", "applied" (to the readout), "dropped" or "added".
        by: the name of the pass.
        into: the nodes that took it in, as they are called after that pass; none where it was not taken out.
        was: its type; of what did nothing, what it was in the trained network ("dropout").
    """

    node: str
    verb: str
    by: str
    into: tuple[str, ...] = ()
    was: str = ""


def run_passes(graph: Graph, passes: Iterable[Pass]) -> tuple[Graph, tuple[Change, ...]]:
    """Run passes in order.

    Returns:
        the graph after them, which remembers what ``recorded`` reads, and every node they removed, replaced by another
        type, or added.

    Raises:
        GraphError: when a pass changes what goes in or out of the network, naming the pass and those before it.
    """
    changes: list[Change] = []
    done: list[str] = []
    for step in passes:
        try:
            after = step(graph)
            _check_terminals(graph, after)
        except GraphError as error:
            before = f" (after {', '.join(done)})" if done else ""
            raise GraphError(f"pass {step.name}{before}: {error}") from error
        changes += _changes(graph, after, step)
        done.append(step.name)
        graph = after
    history = [{**asdict(change), "into": list(change.into)} for change in (*recorded(graph), *changes)]  # as JSON is
    return graph.with_nodes(graph, changes=history), tuple(changes)


def recorded(graph: Graph) -> tuple[Change, ...]:
    """All that passes ever did to a graph, from its meta; it is kept in files too.

    Raises:
        GraphError: where a file holds something else there.
    """
    try:
        found = tuple(Change(**{**entry, "into": tuple(entry["into"])}) for entry in graph.meta.get("changes", ()))
    except (TypeError, KeyError):
        found = None
    if found is None or not all(isinstance(word, str) for c in found for word in (c.node, c.verb, c.was, *c.into)):
        raise GraphError("the record of what was folded is damaged; convert the network again")
    return found


def _check_terminals(before: Graph, after: Graph) -> None:
    for kind in ("Input", "Output"):
        old = {node.name: before.shapes[node.name] for node in before if node.type == kind}
        new = {node.name: after.shapes[node.name] for node in after if node.type == kind}
        if old != new:
            raise GraphError(f"the {kind.lower()}s changed from {old} to {new}; this is a bug in the pass")


def _changes(before: Graph, after: Graph, step: Pass) -> list[Change]:
    found = []
    for node in before:
        if node.name not in after:
            was = str(node.settings.get("source", node.type))
            found.append(Change(node.name, step.verb, step.name, _into(before, after, step, node.name), was))
        elif after[node.name].type != node.type:
            found.append(Change(node.name, "replaced", step.name, was=node.type))
    return found + [Change(n.name, "added", step.name, was=n.type) for n in after if n.name not in before]


def _into(before: Graph, after: Graph, step: Pass, gone: str) -> tuple[str, ...]:
    """What took in a node that a pass took out."""
    if step.into is None:
        return ()
    if step.into == "before":
        while gone not in after:
            gone = before[gone].inputs[0]
        return (gone,)
    found: list[str] = []
    waiting = list(before.consumers[gone])
    while waiting:
        name = waiting.pop(0)
        takes_in = before[name].type == "Output" if step.into == "output" else before[name].weighted
        if name not in after or not takes_in:
            waiting += before.consumers[name]
        elif name not in found:
            found.append(name)
    return tuple(found)
