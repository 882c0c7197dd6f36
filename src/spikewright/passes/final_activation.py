"""The activation at the end of a network has no spikes: it moves into the readout, or leaves the network.

``f(move(x)) = move(f(x))`` for all that only moves values, so that what stands last can be applied to what the output
adds up, whose mean is the value before it.
"""

from __future__ import annotations

from collections.abc import Mapping

from spikewright.answer import Ending, endings, misplaced, own_ending
from spikewright.causes import Cause
from spikewright.errors import Problem, UnsupportedModelError
from spikewright.graph import Graph, Node
from spikewright.nodes import Output
from spikewright.passes.rewrite import refusal, rewrite

ACROSS = (
    "the readout applies one activation to a whole answer, a softmax along one of its axes, and this is another; "
    "answer='drop' (--answer drop) leaves it away"
)


def activation_problems(graph: Graph, keep: bool) -> list[Problem]:
    """Every softmax, sigmoid and tanh that can neither be dropped nor, if ``keep``, moved into the readout."""
    alone = {node.name for node in misplaced(graph.nodes, drop=True)}
    return [
        Problem.of(node.type, f"'{node.name}'", Cause.NOT_AT_THE_END)
        if node.name in alone
        else Problem(node.type, f"'{node.name}'", ACROSS)
        for node in misplaced(graph.nodes, drop=not keep)
    ]


@refusal(when={"answer": "keep"})
def not_for_the_readout(graph: Graph) -> list[Problem]:
    """Every softmax, sigmoid and tanh that cannot move into the readout."""
    return activation_problems(graph, keep=True)


@refusal(when={"answer": "drop"})
def not_to_be_dropped(graph: Graph) -> list[Problem]:
    """Every softmax, sigmoid and tanh that does not stand at the end."""
    return activation_problems(graph, keep=False)


@rewrite("applied", into="output", when={"answer": "keep"})
def keep_final_activations(graph: Graph) -> Graph:
    """Move the last activation before each output into it; whatever else reads the activation keeps it.

    Raises:
        UnsupportedModelError: for a softmax, sigmoid or tanh that cannot move there.
    """
    return _moved(graph, keep=True)


@rewrite("dropped", into="before", when={"answer": "drop"})
def drop_final_activations(graph: Graph) -> Graph:
    """Take out every activation that stands last before an output, and forget those that outputs apply.

    Raises:
        UnsupportedModelError: for a softmax, sigmoid or tanh anywhere else.
    """
    bare = (output.replace(activation=None, ceiling=None, axis=0) for output in graph.of_type(Output))
    return _moved(graph.replaced(*bare), keep=False)


def _moved(graph: Graph, keep: bool) -> Graph:
    problems = activation_problems(graph, keep)
    if problems:
        raise UnsupportedModelError(problems)
    found = endings(graph, drop=not keep)
    ends = [o for o in graph.of_type(Output) if o.activation is None and o.inputs[0] in found]
    for source in dict.fromkeys(output.inputs[0] for output in ends):
        readers = [output for output in ends if output.inputs[0] == source]
        graph, bare = _without_activation(graph, source, {o.name for o in readers}, found, keep)
        for output in readers:
            kept = vars(found[source]) if keep else {}
            graph = graph.replaced(output.replace(inputs=(bare,), **kept))
    dead: set[str] = set()
    for node in reversed(graph.nodes):
        if own_ending(node) and dead.issuperset(graph.consumers[node.name]):
            dead.add(node.name)
    return graph.with_nodes(node for node in graph if node.name not in dead)


def _without_activation(
    graph: Graph, source: str, readers: set[str], found: Mapping[str, Ending], keep: bool
) -> tuple[Graph, str]:
    """The graph with a value as it is before its last activation, for some readers, and that value's name.

    What moves the value is copied where others read it too.
    """
    path = _path(graph, source, found, keep)
    alone = set(readers)
    for node in reversed(path):
        if not own_ending(node) and alone.issuperset(graph.consumers[node.name]):
            alone.add(node.name)
    names: dict[str, str] = {}
    nodes = list(graph)
    for node in path:
        if own_ending(node):
            names[node.name] = names.get(node.inputs[0], node.inputs[0])
            continue
        name = node.name if node.name in alone else graph.fresh_name(f"{node.name}_bare")
        made = node.replace(name=name, inputs=tuple(names.get(i, i) for i in node.inputs))
        nodes = [made if n.name == name else n for n in nodes] if node.name in alone else [*nodes, made]
        names[node.name] = name
    return graph.with_nodes(nodes), names[source]


def _path(graph: Graph, source: str, found: Mapping[str, Ending], keep: bool) -> list[Node]:
    """The nodes from the activations up to a value, in order; where all are dropped, those before them too."""
    wanted = {source}
    for node in reversed(graph.nodes):
        if node.name in wanted and not (keep and own_ending(node)):
            wanted |= {name for name in node.inputs if name in found}
    return [node for node in graph if node.name in wanted]
