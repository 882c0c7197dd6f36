"""``max(s·x + t) = s·max(x) + t`` where ``s`` is not negative: a norm before a max pool moves behind it.

The pool then sees the spikes of a population, and the norm can fold into the layer after the pool.
"""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.nodes import BatchNorm, ChannelAffine, MaxPool
from spikewright.passes.rewrite import rewrite
from spikewright.passes.scale_and_shift import scale_and_shift


@rewrite("replaced", after=("fold_batch_norm_backwards",))
def norm_behind_max_pool(graph: Graph) -> Graph:
    """Swap each such norm, whose only reader is the pool, with it."""
    for pool_name in [node.name for node in graph.of_type(MaxPool)]:
        norm = graph.sources(pool_name)[0]
        while isinstance(norm, BatchNorm | ChannelAffine) and graph.consumers[norm.name] == (pool_name,):
            scale, shift = scale_and_shift(norm)
            constant = scale.ndim == shift.ndim == 1
            if not constant or (scale < 0).any():
                break
            if (scale == 1).all() and (shift == 0).all():  # a projection that lets the pool's input be scaled
                break
            graph = graph.swapped(pool_name)
            norm = graph.sources(pool_name)[0]
    return graph
