"""NIR's neurons in steps of time.

NIR gives equations, ``v̇ = R·I`` for IF and ``τ·v̇ = (v_leak − v) + R·I`` for LIF; simulators that read it take one
Euler step for each step of time::

    v ← (1 − dt/τ)·v + gain·I      gain = R·dt (IF), R·dt/τ (LIF)

Our neurons have no gain. In the unit ``u = v/gain`` there is none, and threshold and reset potential are divided by it.
NIR fires where ``v > v_threshold``, we where ``u ≥ threshold``: the threshold is the next float32 above. A ``v_leak``
that is not 0 is where a potential rests: it is measured from there, and begins there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.common.constants import factor_and_shift, one_for_all
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.nir.call import Call
from spikewright.frontends.nir.loops import FEEDBACK
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import IF, LIF, ChannelAffine

Numbers = NDArray[np.float64]
CURRENT_IS_A_STATE = "its synaptic current is a second state, which no neuron here has"


def population(call: Call) -> tuple[Node, ...]:
    """IF and LIF."""
    r, limit, v_reset = call.spread("r"), _limit(call, "v_threshold"), call.spread("v_reset", 0.0)
    leak = 1.0
    gain = r * call.dt
    if call.kind == "LIF":
        tau, rest = call.spread("tau"), call.spread("v_leak", 0.0)
        limit, v_reset = limit - rest, v_reset - rest
        if not (limit > 0).all():
            raise Refusal(f"its v_leak of {rest.max():g} is not below its threshold, so it fires without input")
        leak = _leak(call, tau)
        gain = gain / tau
    gain = _gain(gain, r)
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
    if FEEDBACK in call.fields:
        r = call.spread("r")
        return _subtracting(call, limits / _gain(r * call.dt, r), 1.0)
    if call.shape is None:
        return ()
    notes = call.notes
    thresholds = one_for_all(limits.astype(np.float32) if notes else _above(limits), call.shape)
    settings = {"reset": notes.get("reset", "zero"), "max_spikes": notes.get("max_spikes", 1), "leak": 0.0}
    return (LIF(**call.base, threshold=thresholds, v_init=np.zeros(()), **settings),)


def current_based(call: Call) -> tuple[Node, ...]:
    """A CubaLIF that is one state in truth: its potential is its current, from which its own spikes take off."""
    if FEEDBACK not in call.fields:
        raise Refusal(CURRENT_IS_A_STATE)
    dt = call.dt
    tau_syn, tau_mem, r, w_in = (call.spread(label) for label in ("tau_syn", "tau_mem", "r", "w_in"))
    if not (np.abs(dt / tau_mem - 1) < 1e-6).all() or call.spread("v_leak", 0.0).any():
        raise Refusal(f"{CURRENT_IS_A_STATE}, unless its tau_mem is the timestep of {dt:g} s and its v_leak 0")
    gain = _gain(w_in * dt / tau_syn, w_in, "w_in") * _gain(r * dt / tau_mem, r)
    return _subtracting(call, _limit(call, "v_threshold") / gain, _leak(call, tau_syn))


def _subtracting(call: Call, limits: Numbers, leak: float) -> tuple[Node, ...]:
    """``c ← leak·c + x − back·n``, ``n = 1[c > limit]``: reset by subtraction of ``back/leak``.

    Without leak ``c + (back − limit)`` is our potential; with it a beginning other than 0 would leak away here alone.
    """
    back = -np.asarray(call.fields[FEEDBACK], np.float64)
    if call.shape is None:
        return ()
    channels = (*call.shape[:1], *(1,) * (len(call.shape) - 1))
    if back.shape == call.shape[:1]:
        back = back.reshape(channels)
    if back.shape not in ((), channels, call.shape):
        raise Refusal(f"what comes back to it has the shape {back.shape}, its input {call.shape}")
    back = np.broadcast_to(back, call.shape)
    if not (back > 0).all():
        raise Refusal("what its spikes bring back to it adds to its potential; a reset takes off")
    threshold, first = _begun(call, call.shape, back / leak, limits, leak)
    limited: dict[str, Any] = {"threshold": one_for_all(threshold, call.shape)}
    limited["v_init"] = one_for_all(first, call.shape)
    return (IF(**call.base, **limited) if leak == 1 else LIF(**call.base, **limited, leak=leak),)


def _begun(call: Call, shape: Shape, taken: Numbers, limits: Numbers, leak: float) -> tuple[Numbers, Numbers]:
    """Threshold and first potential: as our writer noted them, if the fields still say that, else from the fields."""
    if call.notes and {"threshold", "v_init"} <= call.fields["metadata"].keys():
        exact = replace(call, fields=call.fields["metadata"], shape=shape)
        threshold, first = (np.broadcast_to(exact.spread(label), shape) for label in ("threshold", "v_init"))
        same = np.allclose(threshold, taken, rtol=1e-6, atol=0)
        if same and np.allclose(threshold - first, limits, rtol=1e-5, atol=1e-6):
            return threshold, first
    if leak != 1 and not np.allclose(taken, limits, rtol=1e-6, atol=0):
        raise Refusal("its threshold is not what a spike takes off, and its potential leaks")
    first = taken - limits if leak == 1 else np.zeros(shape)
    return np.asarray(_above(taken), np.float64), np.broadcast_to(first, shape)


def _gain(gain: Numbers, factor: Numbers, label: str = "r") -> Numbers:
    """What an input counts in one step, as much as a field says."""
    if not (gain > 0).all():
        raise Refusal(f"its {label} must be positive, not {factor.min()}")
    return np.where(np.abs(gain - 1) < 1e-6, 1.0, gain)  # what rounding took off


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
