"""Preparing a graph, as a frontend made it, so that its weights can be scaled: all passes there are, in their order."""

from __future__ import annotations

from typing import Literal

from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.passes import Change, ordered, passes, refusals, run_passes


def prepare(
    graph: Graph, *, answer: Literal["keep", "drop"] = "keep", leaky: Literal["refuse", "split"] = "refuse"
) -> tuple[Graph, tuple[Change, ...]]:
    """The folded graph, which computes what the trained one does with weights that can be scaled.

    Args:
        graph: as a frontend made it.
        answer: what becomes of the activation that the network ends in (a ReLU, with a ceiling or not, softmax,
            log-softmax, sigmoid, tanh): "keep" applies it to the readout, so that answers are the network's own;
            "drop" leaves it away: answers are then the values that it would be applied to.
        leaky: what becomes of leaky rectifiers: refused, or split into two populations, one for each sign.

    Returns:
        the folded graph, and what became of the nodes that changed.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
    """
    if answer not in ("keep", "drop"):
        raise SettingsError(f"answer must be 'keep' or 'drop', not {answer!r}")
    if leaky not in ("refuse", "split"):
        raise SettingsError(f"leaky must be 'refuse' or 'split', not {leaky!r}")
    settings = {"answer": answer, "leaky": leaky}
    stages = ordered(passes().values(), settings)
    recognised, first = run_passes(graph, stages["recognise"])
    problems = [problem for refusal in refusals(settings) for problem in refusal(recognised)]
    if problems:
        raise UnsupportedModelError(problems)
    folded, then = run_passes(recognised, (*stages["rewrite"], *stages["scale"]))
    lost = "drop" in (answer, graph.meta.get("answer"))
    return folded.with_nodes(folded, answer="drop" if lost else "keep"), (*first, *then)
