"""The softmax at the end of a network has no spikes: it leaves the network, or moves into the readout."""

from __future__ import annotations

from math import prod

from spikewright.errors import Problem, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.nodes import Flatten, Output, Reshape, Softmax
from spikewright.passes.rewrite import rewrite


def softmax_problems(graph: Graph, keep: bool) -> list[Problem]:
    """Every softmax that can neither be dropped nor, if ``keep``, moved into the readout."""
    problems = []
    for node in graph.of_type(Softmax):
        tail = _tail(graph, node)
        axes = [axis for axis, n in enumerate(graph.shapes[node.name]) if n > 1]
        if tail is None:
            problems.append(Problem("Softmax", f"'{node.name}'", "only the end of a network may have one"))
        elif axes and axes != [node.axis]:
            problems.append(
                Problem("Softmax", f"'{node.name}'", f"along axis {node.axis}, not over one row of classes")
            )
        elif keep and (node.log or graph.shapes[tail.name][0] != prod(graph.shapes[tail.name])):
            problems.append(Problem("Softmax", f"'{node.name}'", "cannot move into the readout; drop it instead"))
    return problems


def final_softmax(graph: Graph, keep: bool) -> Graph:
    """Drop a final softmax, or apply it to the readout.

    Args:
        graph: an analog graph.
        keep: move it into the output node; else it is dropped, which leaves the order of the classes as it is.

    Raises:
        UnsupportedModelError: for a softmax anywhere else, or along another axis than the classes.
    """
    problems = softmax_problems(graph, keep)
    if problems:
        raise UnsupportedModelError(problems)
    for node in graph.of_type(Softmax):
        tail = _tail(graph, node)
        if keep and tail is not None:
            graph = graph.replaced(tail.replace(activation="softmax"))
        graph = graph.without(node.name)
    return graph


def _tail(graph: Graph, node: Softmax) -> Output | None:
    """The output that a softmax feeds, through nothing but reshaping."""
    name = node.name
    while len(graph.consumers[name]) == 1:
        reader = graph[graph.consumers[name][0]]
        if isinstance(reader, Output):
            return reader
        if not isinstance(reader, Flatten | Reshape):
            return None
        name = reader.name
    return None


@rewrite("absorbed", into="before")
def drop_final_softmax(graph: Graph) -> Graph:
    return final_softmax(graph, keep=False)


@rewrite("absorbed", into="before")
def keep_final_softmax(graph: Graph) -> Graph:
    return final_softmax(graph, keep=True)
