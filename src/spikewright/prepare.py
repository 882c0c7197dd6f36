"""The passes, in order: from the graph as a frontend made it to one whose weights can be scaled."""

from __future__ import annotations

from typing import Literal

from spikewright.errors import Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.nodes import Floor, LeakyReLU
from spikewright.passes import (
    Change,
    batch_norm_as_affine,
    drop_final_softmax,
    drop_identities,
    explicit_projections,
    fold_batch_norm_backwards,
    fold_batch_norm_forwards,
    keep_final_softmax,
    merge_rectifiers,
    norm_behind_max_pool,
    permutation_into_linear,
    pool_globally,
    quantised_activations,
    relu_before_max_pool,
    run_passes,
    softmax_problems,
    split_leaky,
)

LEAKY = "what is negative has no spikes; leaky='split' (--leaky split) makes two populations of it, one for each sign"
NO_STAIRCASE = "rounding is only known from floor(s·clip(x, 0, c) + t) with 0 ≤ t < 1 and whole s·c"


def prepare(
    graph: Graph, *, softmax: Literal["drop", "keep"] = "drop", leaky: Literal["refuse", "split"] = "refuse"
) -> tuple[Graph, tuple[Change, ...]]:
    """The folded graph, which computes what the trained one does with weights that can be scaled.

    Args:
        graph: as a frontend made it.
        softmax: what becomes of a final softmax: dropped, or applied to the readout.
        leaky: what becomes of leaky rectifiers: refused, or split into two populations, one for each sign.

    Returns:
        the folded graph, and what became of the nodes that changed.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
    """
    if softmax not in ("drop", "keep"):
        raise SettingsError(f"softmax must be 'drop' or 'keep', not {softmax!r}")
    if leaky not in ("refuse", "split"):
        raise SettingsError(f"leaky must be 'refuse' or 'split', not {leaky!r}")
    recognised, first = run_passes(graph, (drop_identities, quantised_activations, merge_rectifiers))
    problems = [
        *softmax_problems(recognised, softmax == "keep"),
        *(Problem(n.type, f"'{n.name}'", NO_STAIRCASE) for n in recognised.of_type(Floor)),
        *(Problem(n.type, f"'{n.name}'", LEAKY) for n in recognised.of_type(LeakyReLU) if leaky == "refuse"),
    ]
    if problems:
        raise UnsupportedModelError(problems)
    folded, then = run_passes(
        recognised,
        (
            keep_final_softmax if softmax == "keep" else drop_final_softmax,
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
    return folded.with_nodes(folded, softmax=softmax), (*first, *then)
