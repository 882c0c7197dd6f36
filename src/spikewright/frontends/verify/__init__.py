"""Imports prove themselves: a graph runs beside the framework it came from before it is given out."""

from spikewright.frontends.verify.comparison import SECONDS, BatchDependence, check_seconds, verified
from spikewright.frontends.verify.fact import UNSEEN, Verified, verification
from spikewright.frontends.verify.original import ON_A_GPU, ROUNDED, SIZES, TOLERANCE, Original, Trace, groups
from spikewright.frontends.verify.samples import Batch

__all__ = [
    "ON_A_GPU",
    "ROUNDED",
    "SECONDS",
    "SIZES",
    "TOLERANCE",
    "UNSEEN",
    "Batch",
    "BatchDependence",
    "Original",
    "Trace",
    "Verified",
    "check_seconds",
    "groups",
    "verification",
    "verified",
]
