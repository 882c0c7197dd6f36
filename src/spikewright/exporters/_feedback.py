"""Reset by subtraction in NIR's own words: a current that never decays, from which a neuron's own spikes take off.

A CubaLIF whose synaptic current keeps all of what arrives is a sum that no reset touches; its potential is that current
and nothing else, with ``τ_mem = dt``. The spikes come back one step later, times ``−decay·threshold``::

    c ← decay·c + x − decay·threshold·n        n = 1[c > threshold − v_init]

which is the potential of the neuron before it fires, less what it began with: ``c + v_init``, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Shape
from spikewright.nodes import IF

if TYPE_CHECKING:
    from nir import NIRNode

FOREVER = 2.0**60
"""Timesteps of a time constant that is none: 1 − 1/FOREVER is 1 in double precision, and FOREVER is exact."""


def with_feedback(node: IF, shape: Shape, dt: float, widest: int) -> tuple[NIRNode, list[NIRNode]]:
    """A population, and the nodes through which its spikes come back to it, one behind the other.

    Args:
        node: resets by subtraction, with one spike a step.
        shape: of its values.
        dt: length of a timestep in seconds.
        widest: channels up to which what comes back goes through a matrix, which every reader has; beyond, or where
            neurons of a channel differ, a Scale.

    Raises:
        Refusal: for settings that this cannot say.
    """
    import nir

    if node.max_spikes != 1:
        raise Refusal("it may send several spikes a step, which no NIR neuron does; convert with max_spikes=1")
    if node.v_min is not None:
        raise Refusal("its potential has a lower bound, which no NIR neuron has; convert without v_min")
    decay = float(node.decay)

    def spread(values: Array | float) -> Array:
        return np.array(node.spread(np.asarray(values, np.float64), shape))

    if decay != 1 and np.any(node.v_init):
        raise Refusal("its potential leaks and does not start at 0, where those of NIR do; convert with v_init=0")
    limits = spread(node.threshold) - spread(node.v_init)
    if not (limits > 0).all():
        raise Refusal("its potential starts at the threshold or above it; NIR has no threshold below zero")
    steps = FOREVER if decay == 1 else 1 / (1 - decay)
    population = nir.CubaLIF(
        tau_syn=spread(steps * dt),
        tau_mem=spread(dt),
        r=spread(1.0),
        v_leak=spread(0.0),
        v_threshold=limits,
        v_reset=spread(0.0),
        w_in=spread(steps),
    )
    return population, _back(-decay * spread(node.threshold).astype(np.float64), shape, widest)


def _back(factors: Array, shape: Shape, widest: int) -> list[NIRNode]:
    """Spikes times a factor for each neuron.

    Through two matrices where there are no positions: snnTorch makes a neuron with one matrix behind it a recurrent
    layer of its own, which nirtorch 2.6 cannot then build.
    """
    import nir

    rows = factors.reshape(shape[0], -1)
    if not (rows == rows[:, :1]).all() or shape[0] > widest or len(shape) > 3:
        return [nir.Scale(factors.astype(np.float32))]
    matrix = np.diag(rows[:, 0]).astype(np.float32)
    if len(shape) == 1:
        return [nir.Linear(np.eye(len(matrix), dtype=np.float32)), nir.Linear(matrix)]
    axes = len(shape) - 1
    ones: Shape | int = (1, 1) if axes == 2 else 1
    kind, kernel = (nir.Conv2d, (1, 1)) if axes == 2 else (nir.Conv1d, (1,))
    return [
        kind(
            input_shape=shape[1:] if axes == 2 else shape[1],
            weight=matrix.reshape(*matrix.shape, *kernel),
            stride=ones,
            padding=(0, 0) if axes == 2 else 0,
            dilation=ones,
            groups=1,
            bias=np.zeros(len(matrix), np.float32),
        )
    ]
