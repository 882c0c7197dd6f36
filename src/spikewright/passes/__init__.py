"""Rewrites of the graph, one a file: each keeps what the network computes and is proved by running before and after."""

from spikewright.passes.drop_identities import drop_identities
from spikewright.passes.explicit_projections import explicit_projections
from spikewright.passes.final_softmax import drop_final_softmax, keep_final_softmax
from spikewright.passes.fold_batch_norm import (
    batch_norm_as_affine,
    fold_batch_norm_backwards,
    fold_batch_norm_forwards,
)
from spikewright.passes.pool_globally import pool_globally
from spikewright.passes.relu_before_max_pool import relu_before_max_pool
from spikewright.passes.rewrite import Change, Pass, recorded, run_passes

__all__ = [
    "Change",
    "Pass",
    "batch_norm_as_affine",
    "drop_final_softmax",
    "drop_identities",
    "explicit_projections",
    "fold_batch_norm_backwards",
    "fold_batch_norm_forwards",
    "keep_final_softmax",
    "pool_globally",
    "recorded",
    "relu_before_max_pool",
    "run_passes",
]
