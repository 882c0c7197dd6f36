"""Requests: what a threshold method or a correction asks of the data, and the accumulators that find it."""

from spikewright.calibration.requests.histogram import Distribution, Histogram
from spikewright.calibration.requests.local_threshold_balancing import LocalThresholdBalancing
from spikewright.calibration.requests.moments import Moments, MomentSums
from spikewright.calibration.requests.quantile import Quantile
from spikewright.calibration.requests.request import Accumulator, Counted, InOrder, Request, Totals, Values
from spikewright.registry import Registry, classes

kinds: Registry[type[Request[object]]] = Registry(
    "spikewright.requests", "a request", classes(Request), folder=__name__
)
"""Every kind of request by its class's name."""


def parse(key: str) -> Request[object] | None:
    """The request of a key, as ``Request.key`` writes it; None for text that is none."""
    found = next((made for made in (kind.parse(key) for kind in kinds().values()) if made is not None), None)
    return found if found is not None and found.key == key else None


__all__ = [
    "Accumulator",
    "Counted",
    "Distribution",
    "Histogram",
    "InOrder",
    "LocalThresholdBalancing",
    "MomentSums",
    "Moments",
    "Quantile",
    "Request",
    "Totals",
    "Values",
    "kinds",
    "parse",
]
