"""What is said of limits that a network was trained to keep, and of the chip that it was trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikewright.chips.value import Fit
from spikewright.text import listed
from spikewright.training.bounds import Bound

MOST = 5
"""So many limits that are not kept, or reasons why a chip does not hold the network, are told."""


def limits_told(limits: Sequence[Bound]) -> list[str]:
    """A line for each limit that is not kept, the worst first; one line where all are kept."""
    exceeded = sorted((one for one in limits if not one.kept), key=lambda one: -one.after / one.limit)
    found = [f"limit not kept: {one}" for one in exceeded[:MOST]]
    if limits and not exceeded:
        found = ["limits: all are kept" if len(limits) > 1 else "limit: it is kept"]
    left = len(exceeded) - MOST
    more = [f"{left} more limits are not kept: --report lists all"] if left > 0 else []
    return [*found, *more, *left_out(limits)]


def left_out(limits: Sequence[Bound]) -> list[str]:
    """A line for each limit that leaves layers out which measures count."""
    return [
        f"{one.of} is of the layers that hear spikes of neurons; the table counts {listed(one.without)} too, which "
        f"hear{'s' * (len(one.without) == 1)} none"
        for one in limits
        if one.without
    ]


def fits_told(fits: Mapping[str, Fit]) -> list[str]:
    """Whether the network fits the chip, before and after training, and why not."""
    found = [f"{fit.chip}, {when}: {'fits' if fit.fits else 'does not fit'}" for when, fit in fits.items()]
    reasons = [reason for fit in list(fits.values())[-1:] if not fit.fits for reason in fit.lines()]
    left = len(reasons) - MOST
    more = [f"  and {left} more reasons: spikewright check tells all"] if left > 0 else []
    return [*found, *(f"  {reason}" for reason in reasons[:MOST]), *more]
