"""The passes, in order: from the graph as a frontend made it to one whose weights can be scaled."""

from __future__ import annotations

from typing import Literal

from spikewright.causes import Cause
from spikewright.errors import Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.nodes import Floor, LeakyReLU
from spikewright.passes import (
    Change,
    activation_problems,
    batch_norm_as_affine,
    drop_final_activations,
    drop_identities,
    explicit_projections,
    fold_batch_norm_backwards,
    fold_batch_norm_forwards,
    keep_final_activations,
    merge_rectifiers,
    norm_behind_max_pool,
    permutation_into_linear,
    pool_globally,
    quantised_activations,
    relu_before_max_pool,
    run_passes,
    scalars_as_rows,
    split_leaky,
)

NO_STAIRCASE = "rounding is only known from floor(s·clip(x, 0, c) + t) with 0 ≤ t < 1 and whole s·c"


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
    recognised, first = run_passes(graph, (scalars_as_rows, drop_identities, quantised_activations, merge_rectifiers))
    problems = [
        *activation_problems(recognised, answer == "keep"),
        *(Problem(n.type, f"'{n.name}'", NO_STAIRCASE) for n in recognised.of_type(Floor)),
        *(
            Problem.of(n.type, f"'{n.name}'", Cause.NEGATIVE_SLOPE)
            for n in recognised.of_type(LeakyReLU)
            if leaky == "refuse"
        ),
    ]
    if problems:
        raise UnsupportedModelError(problems)
    folded, then = run_passes(
        recognised,
        (
            keep_final_activations if answer == "keep" else drop_final_activations,
            split_leaky,
            pool_globally,
            relu_before_max_pool,
            permutation_into_linear,
            fold_batch_norm_backwards,
            norm_behind_max_pool,
            fold_batch_norm_backwards,  # norms that met behind a pool
            fold_batch_norm_forwards,
            batch_norm_as_affine,
            explicit_projections,
        ),
    )
    lost = "drop" in (answer, graph.meta.get("answer"))
    return folded.with_nodes(folded, answer="drop" if lost else "keep"), (*first, *then)
