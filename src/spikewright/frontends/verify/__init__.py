"""Imports prove themselves: a graph runs beside the framework it came from before it is given out."""

from spikewright.frontends.verify.comparison import SECONDS, check_seconds, verified
from spikewright.frontends.verify.fact import UNSEEN, Verified, verification
from spikewright.frontends.verify.original import Original, Trace
from spikewright.frontends.verify.samples import Batch

__all__ = ["SECONDS", "UNSEEN", "Batch", "Original", "Trace", "Verified", "check_seconds", "verification", "verified"]
