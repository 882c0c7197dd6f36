"""Rewrites of the graph, one a file: each keeps what the network computes and is proved by running before and after."""

from spikewright.passes.drop_identities import drop_identities
from spikewright.passes.explicit_projections import explicit_projections
from spikewright.passes.final_activation import activation_problems, drop_final_activations, keep_final_activations
from spikewright.passes.fold_batch_norm import (
    batch_norm_as_affine,
    fold_batch_norm_backwards,
    fold_batch_norm_forwards,
)
from spikewright.passes.merge_rectifiers import merge_rectifiers
from spikewright.passes.norm_behind_max_pool import norm_behind_max_pool
from spikewright.passes.permutation_into_linear import permutation_into_linear
from spikewright.passes.pool_globally import pool_globally
from spikewright.passes.quantised_activations import quantised_activations
from spikewright.passes.relu_before_max_pool import relu_before_max_pool
from spikewright.passes.rewrite import Change, Pass, recorded, run_passes
from spikewright.passes.scalars_as_rows import scalars_as_rows
from spikewright.passes.split_leaky import split_leaky

__all__ = [
    "Change",
    "Pass",
    "activation_problems",
    "batch_norm_as_affine",
    "drop_final_activations",
    "drop_identities",
    "explicit_projections",
    "fold_batch_norm_backwards",
    "fold_batch_norm_forwards",
    "keep_final_activations",
    "merge_rectifiers",
    "norm_behind_max_pool",
    "permutation_into_linear",
    "pool_globally",
    "quantised_activations",
    "recorded",
    "relu_before_max_pool",
    "run_passes",
    "scalars_as_rows",
    "split_leaky",
]
