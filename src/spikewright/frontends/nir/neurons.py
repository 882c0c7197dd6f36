"""NIR's neurons in steps of time.

NIR gives equations, ``v̇ = R·I`` for IF and ``τ·v̇ = (v_leak − v) + R·I`` for LIF; simulators that read it take one
Euler step for each step of time::

    v ← (1 − dt/τ)·v + gain·I      gain = R·dt (IF), R·dt/τ (LIF)

Our neurons have no gain. In the unit ``u = v/gain`` there is none, and threshold and reset potential are divided by it.
NIR fires where ``v > v_threshold``, we where ``u ≥ threshold``: the threshold is the next float32 above.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.common.constants import factor_and_shift, one_for_all
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.nir.call import Call
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import IF, LIF, ChannelAffine

Numbers = NDArray[np.float64]


def population(call: Call) -> tuple[Node, ...]:
    """IF and LIF."""
    r, limit, v_reset = call.spread("r"), _limit(call, "v_threshold"), call.spread("v_reset", 0.0)
    leak = 1.0
    gain = r * call.dt
    if call.kind == "LIF":
        tau = call.spread("tau")
        if call.spread("v_leak", 0.0).any():
            raise Refusal("its v_leak is not 0; potentials here decay to 0")
        leak = _leak(call, tau)
        gain = gain / tau
    gain = np.where(np.abs(gain - 1) < 1e-6, 1.0, gain)  # what rounding took off
    if not (gain > 0).all():
        raise Refusal(f"its r must be positive, not {r.min()}")
    notes = call.notes
    v_zero = _one(v_reset / gain, "v_reset, in the unit of its input,")
    limits = limit / gain
    if call.shape is None:
        return ()
    threshold = limits.astype(np.float32) if notes else _above(limits)
    settings: dict[str, Any] = {
        **call.base,
        "threshold": one_for_all(threshold, call.shape),
        "v_init": _noted(call, "v_init", call.shape, np.zeros(())),
        "reset": notes.get("reset", "zero"),
        "v_reset": v_zero,
        "max_spikes": notes.get("max_spikes", 1),
        "v_min": _noted(call, "v_min", call.shape, notes.get("v_min")),
    }
    return (IF(**settings) if call.kind == "IF" else LIF(**settings, leak=leak),)


def threshold(call: Call) -> tuple[Node, ...]:
    """``z = 1[x > threshold]``: a neuron that forgets everything from one step to the next."""
    limits = _limit(call, "threshold")
    if call.shape is None:
        return ()
    notes = call.notes
    thresholds = one_for_all(limits.astype(np.float32) if notes else _above(limits), call.shape)
    settings = {"reset": notes.get("reset", "zero"), "max_spikes": notes.get("max_spikes", 1), "leak": 0.0}
    return (LIF(**call.base, threshold=thresholds, v_init=np.zeros(()), **settings),)


def integrator(call: Call) -> tuple[Node, ...]:
    """``v̇ = R·I`` at the end of a network: an Output adds up what arrives, so only R·dt is left to say."""
    gain = call.spread("r") * call.dt
    if set(call.readers) != {"Output"}:
        raise Refusal("an integrator that never fires can only stand before an Output")
    if call.shape is None or (np.abs(gain - 1) < 1e-6).all():
        return ()
    return (ChannelAffine(**call.base, **factor_and_shift(gain, 0, call.shape)),)


def _leak(call: Call, tau: Numbers) -> float:
    """What is left of a potential after one step."""
    if not (tau > 0).all():
        raise Refusal(f"its tau must be positive, not {tau.min()}")
    leak = 1 - call.dt / _one(tau, "tau")
    if leak <= 0:
        raise Refusal(f"its tau of {tau.min():g} s is not longer than a step of dt = {call.dt:g} s; give a shorter dt")
    noted = call.notes.get("leak")
    return noted if isinstance(noted, float) and abs(noted - leak) < 1e-9 else leak


def _one(values: Numbers, label: str) -> float:
    if not (values == values.flat[0]).all():
        raise Refusal(f"its {label} differs from neuron to neuron; a population has one")
    return float(values.flat[0])


def _above(limits: Numbers) -> Array:
    """The smallest float32 numbers that are larger."""
    near = limits.astype(np.float32)
    return np.where(near > limits, near, np.nextafter(near, np.float32(np.inf)))


def _limit(call: Call, label: str) -> Numbers:
    limits = call.spread(label)
    if not (limits > 0).all():
        raise Refusal(f"its threshold must be positive, not {limits.min()}")
    return limits


def _noted(call: Call, label: str, shape: Shape, default: Any) -> Any:
    """A potential for each neuron that our writer put beside the notes."""
    if not call.notes or label not in call.fields["metadata"]:
        return default
    return one_for_all(replace(call, fields=call.fields["metadata"], shape=shape).spread(label), shape)
