"""Neurons whose own spikes come back to them: reset by subtraction, said with NIR's own primitives.

Two forms are one population that resets by subtraction: a CubaLIF whose current keeps what arrives, and an integrator
(I) in front of a Threshold, each with a connection from every neuron to itself alone. Any other recurrence stays what
it is, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.nir.call import numbers
from spikewright.frontends.nir.flat import Flat

FEEDBACK = "feedback"
"""The field of a population that says what comes back of a spike: one number, one a channel, or one a neuron."""
LINEAR = ("Affine", "Conv1d", "Conv2d", "Linear", "Scale")


def take_in_feedback(flat: Flat) -> None:
    """Write what comes back to a population into a field of it, and take the nodes on the way out."""
    readers = flat.readers()
    for name in list(flat.nodes):
        if name in flat.nodes and flat.kind(name) in ("CubaLIF", "Threshold"):
            _take_in(flat, readers, name)


def _take_in(flat: Flat, readers: dict[str, list[str]], name: str) -> None:
    start, fields = name, dict(flat.nodes[name])
    if flat.kind(name) == "Threshold":
        sources = flat.reads[name]
        if len(sources) != 1 or flat.kind(sources[0]) != "I" or readers[sources[0]] != [name]:
            return
        start = sources[0]
        fields["r"] = flat.nodes[start].get("r")
    for source in flat.reads[start]:
        way = _way(flat, readers, source, name, start)
        if not way:
            continue
        factors = _product([flat.nodes[part] for part in way])
        if factors is None:
            continue
        left = [other for other in flat.reads[start] if other != source]
        for part in {*way, start, name}:
            for other in flat.reads.pop(part):
                readers[other].remove(part)
        for part in {*way, start} - {name}:
            del flat.nodes[part]
        flat.reads[name] = left
        for other in left:
            readers[other].append(name)
        flat.nodes[name] = {**fields, FEEDBACK: factors}
        return


def _way(flat: Flat, readers: Mapping[str, list[str]], last: str, first: str, into: str) -> list[str]:
    """The linear nodes from a population back to it, if nobody else reads or feeds them; none otherwise."""
    found: list[str] = []
    while last != first:
        if flat.kind(last) not in LINEAR or readers[last] != [into] or len(flat.reads[last]) != 1 or last in found:
            return []
        found.append(last)
        into, (last,) = last, flat.reads[last]
    return found


def _product(parts: list[Mapping[str, Any]]) -> NDArray[np.float64] | None:
    """What they all do with a spike: a factor for it alone, or None where it reaches other neurons too."""
    factors = np.ones(())
    for part in parts:
        try:
            found = _diagonal(part)
            if found is None:
                return None
            if found.ndim == 1 < factors.ndim:
                found = found.reshape(-1, *(1,) * (factors.ndim - 1))
            elif factors.ndim == 1 < found.ndim:
                factors = factors.reshape(-1, *(1,) * (found.ndim - 1))
            factors = factors * found
        except (Refusal, ValueError):
            return None  # what is wrong with it is said where it is read as the node that it is
    return factors


def _diagonal(part: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """What a linear node multiplies each channel, or value, by; None where it does anything else."""
    if part["type"] == "Scale":
        return numbers(part.get("scale"), "scale").astype(np.float64)
    weight = numbers(part.get("weight"), "weight").astype(np.float64)
    if part.get("bias") is not None and numbers(part["bias"], "bias").any():
        return None
    if part["type"] in ("Conv1d", "Conv2d"):
        padded = part.get("padding")
        same = isinstance(padded, str) and padded in ("same", "valid")
        if (
            any(n != 1 for n in weight.shape[2:])
            or np.any(numbers(part.get("stride", 1), "stride") != 1)
            or not (same or not np.any(numbers(0 if padded is None else padded, "padding")))
        ):
            return None
        groups = int(numbers(part.get("groups", 1), "groups").item())
        weight = weight.reshape(len(weight), -1)
        if groups == len(weight) and weight.size == groups:
            return weight[:, 0]
        if groups != 1:
            return None
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1] or np.count_nonzero(weight - np.diag(np.diag(weight))):
        return None
    return np.diag(weight)
