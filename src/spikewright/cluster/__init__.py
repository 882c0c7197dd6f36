"""Parts of a run on the workers of a Dask cluster: on this machine or on many."""

from spikewright.cluster.cluster import Cluster, ClusterChoice, cluster_of, workers_of
from spikewright.cluster.sending import each_part, for_worker, in_order_only

__all__ = ["Cluster", "ClusterChoice", "cluster_of", "each_part", "for_worker", "in_order_only", "workers_of"]
