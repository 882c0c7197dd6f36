"""What no network has: beyond these limits a model is damaged, or made to fill the memory."""

from __future__ import annotations

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal

MOST_CONSTANTS = 2**28
"""How many numbers may be computed while a model is read, as weights: one gigabyte."""
MOST_JOINED = 2**24
"""How many values one neuron may read."""


def check_constants(count: int) -> None:
    """Refuse to compute more numbers than the weights of a network could be.

    Raises:
        Refusal: where they are too many.
    """
    if count > MOST_CONSTANTS:
        raise Refusal(Cause.TOO_LARGE)


def check_joined(count: int) -> None:
    """Refuse a neuron that reads more values than any layer has.

    Raises:
        Refusal: where they are too many.
    """
    if count > MOST_JOINED:
        raise Refusal(f"it joins {count:,} values into one, more than any layer does")
