"""How few timesteps are enough, and up to how many a spiking network takes less energy than the trained one."""

from __future__ import annotations

import numpy as np

from spikewright.measures.scores import HeadMeasures
from spikewright.measures.value import Measures
from spikewright.tasks import SCORES


def enough_timesteps(head: HeadMeasures, points: float) -> int | None:
    """The smallest T from which on the main score stays within so many points of the analog network's.

    Args:
        head: an output; without labels its agreement is held against 100 %.
        points: percentage points.

    Returns:
        T; None where it is never so near at the end of the run, and for scores that are no shares.
    """
    main = head.task.main
    curve = head.curves.get(main)
    if curve is None or not SCORES[main].percent:
        return None
    goal = head.analog.get(main, np.nan) if head.labelled else 1.0
    near = np.asarray(curve) >= goal - points / 100 - 1e-9
    if not near[-1]:
        return None
    far = np.flatnonzero(~near)
    return int(far[-1]) + 2 if far.size else 1


def less_energy_up_to(spiking: float, analog: float, timesteps: float) -> int:
    """The largest T at which the spiking network takes less, where its energy is spread evenly over time.

    Args:
        spiking: energy of a sample over all timesteps.
        analog: energy of a sample through the analog network, in the same unit.
        timesteps: T of ``spiking``.

    Returns:
        T; 0 where a single timestep takes more.
    """
    if spiking <= 0:
        return int(timesteps)
    each = spiking / timesteps
    found = int(analog / each)
    return found - 1 if found and found * each >= analog else found


def costliest_layer(measures: Measures) -> tuple[str, str, float] | None:
    """The layer that takes most of the estimated energy, what of it does, and its share of all; None of no energy.

    What does: "spikes", "relayed values" or "the analog input".
    """
    parts = measures.energy.by_layer(measures.synops, measures.run.mean_steps)
    total = sum(sum(one.values()) for one in parts.values())
    if total <= 0:
        return None
    share, name, what = max((value / total, name, what) for name, one in parts.items() for what, value in one.items())
    return name, what, share
