"""Neurons of a population as those of a core: one threshold for all, what differs between channels in the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import map_of
from spikewright.graph import Array, Shape
from spikewright.nodes import IF

THRESHOLDS = "thresholds of channels in the weights"
ONE_A_CHANNEL = "convert with one threshold a channel or layer"


@dataclass(frozen=True, eq=False)
class CoreNeurons:
    """What the neurons of one core are like, in units of their threshold, which is 1.

    Attributes:
        factors: ``(channels,)``: what weights and biases are multiplied with.
        v_init: one for all, or for every neuron ``(channels, rows, columns)``.
        v_min: of all; None for none.
    """

    factors: NDArray[np.float64]
    v_init: NDArray[np.float64] | float
    v_min: float | None


def unlike(node: IF) -> tuple[str, ...]:
    """All that no neuron of the chip does, each with what would do instead."""
    found = (
        (node.decay != 1, "the potential leaks, and there is no leak on the chip but a bias: convert without leak="),
        (node.schedule != "free", f"{node.schedule} neurons add up a window first: convert without {node.schedule}"),
        (node.signed, "events have no sign: convert without signed"),
        (node.no_debt, "potentials go below zero before the first spike: convert without no_debt"),
        (
            node.step_bias is not None or node.fired_bias is not None,
            "a bias is the same at every tick: correct with bias or v_init instead of bias:steps",
        ),
        (node.reset == "zero" and node.v_reset != 0, "a reset is to 0: set v_reset to 0"),
    )
    return tuple(why for holds, why in found if holds)


def core_neurons(node: IF, shape: Shape) -> CoreNeurons:
    """The neurons of a population in units of one threshold.

    Raises:
        Refused: where the neurons of a channel differ in what a core has once a channel, or once.
    """
    thresholds = _by_neuron(node, node.threshold, shape)
    if (thresholds != thresholds[:, :1]).any():
        raise Refused("the neurons of a channel have different thresholds", ONE_A_CHANNEL)
    factors = 1 / thresholds[:, 0]
    v_init = _by_neuron(node, node.v_init, shape) * factors[:, None]
    lowest = None if node.v_min is None else _by_neuron(node, np.asarray(node.v_min), shape) * factors[:, None]
    if lowest is not None and np.ptp(lowest) > 1e-6 * np.abs(lowest).max():
        raise Refused("its lowest potentials differ, beside their thresholds", "give all one v_min, or none")
    return CoreNeurons(
        factors,
        float(v_init.flat[0]) if (v_init == v_init.flat[0]).all() else v_init.reshape(map_of(shape)),
        None if lowest is None else float(lowest.flat[0]),
    )


def _by_neuron(node: IF, values: Array, shape: Shape) -> NDArray[np.float64]:
    """``(channels, positions)``."""
    return np.asarray(node.spread(values, shape).reshape(shape[0], -1), np.float64)
