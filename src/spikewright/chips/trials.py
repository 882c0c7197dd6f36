"""Remedies that need no training, tried: what they save, and what they cost in accuracy, both by simulation.

A decimator of N passes every N-th spike of a neuron, and the weights behind it are taken N times, so that means stay.
(A chip may count the spikes of a whole core instead: not public.) A gain below 1 is the lower gain, and the higher
thresholds, of the vendor's guide: see ``corrections/gain.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikewright.chips.bandwidth import measured_bandwidth
from spikewright.chips.chip import Speck
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.conversion import Conversion
from spikewright.corrections.correcting import correct
from spikewright.encoders import Encoder
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.measures import measure
from spikewright.nodes import IF, ChannelAffine

GAIN = "gain:0.5"


@dataclass(frozen=True)
class Trial:
    """One remedy that was tried on the whole network.

    Attributes:
        remedy: what was done; empty for the network as it is.
        busiest: by layer its busiest, synaptic operations per second.
        score: of the answers, by labels where there are any, else the share that agrees with the trained network's.
    """

    remedy: str
    busiest: dict[str, float]
    score: float

    def summary(self) -> dict[str, Any]:
        """The same as plain JSON-like values."""
        return {"remedy": self.remedy, "busiest": dict(self.busiest), "score": self.score}


def told(trials: Sequence[Trial]) -> tuple[str, ...]:
    """A line for each trial beside the first, which is the network as it is."""
    if not trials:
        return ()
    before, *others = trials
    found = []
    for trial in others:
        shares = {name: 1 - trial.busiest[name] / most for name, most in before.busiest.items() if most > 0}
        if not shares:
            continue
        points = 100 * (trial.score - before.score)
        layer = max(shares, key=lambda name: shares[name])
        found.append(
            f"tried: {trial.remedy} saves {100 * shares[layer]:.0f} % at {layer}, most of all, and "
            f"{'costs' if points <= 0 else 'gains'} {abs(points):.1f} points ({100 * before.score:.1f} to "
            f"{100 * trial.score:.1f})"
        )
    return tuple(found)


def decimated(graph: Graph, population: str, number: int) -> tuple[Graph, str]:
    """A spiking graph in which every neuron of a population passes one of so many spikes, worth as many.

    Args:
        graph: it.
        population: whose spikes are passed on.
        number: one of so many.

    Returns:
        the graph, and the name of the population that passes them on.
    """
    name, wide = graph.fresh_name(f"{population}_decimator"), graph.fresh_name(f"{population}_times_{number}")
    channels = graph.shapes[population][:1]
    threshold = np.full((), float(number))
    passing = IF(name=name, inputs=(population,), threshold=threshold, v_init=np.zeros(()), max_spikes=None)
    back = ChannelAffine(name=wide, inputs=(name,), scale=np.full(channels, number), bias=np.zeros(channels))
    nodes = [
        node.replace(inputs=tuple(wide if source == population else source for source in node.inputs)) for node in graph
    ]
    return graph.with_nodes([*nodes, passing, back]), name


def trials(
    conversion: Conversion,
    chip: Speck,
    data: Any,
    timesteps: int,
    dt: float,
    *,
    window: float,
    encoder: Encoder | None = None,
) -> tuple[Trial, ...]:
    """The network as it is, then with half the gain, and with a decimator of 2 before a busy layer.

    Args:
        conversion: which the chip can compute.
        chip: for it.
        data: samples, with labels if there are any.
        timesteps: T.
        dt: how long a step is, in seconds.
        window: over which peaks are taken, in seconds.
        encoder: of the samples.
    """
    settings: dict[str, Any] = {} if encoder is None else {"encoder": encoder}

    def tried(remedy: str, changed: Conversion, network: ChipNetwork, passing: dict[str, str]) -> Trial:
        busy = measured_bandwidth(
            changed, network, data, timesteps, dt, window=window, encoder=encoder, decimators=passing
        )
        found = measure(changed, data, timesteps, explain=False, allow_overlap=True, **settings)
        curve = found.agreement if found.accuracy is None else found.accuracy
        score = float("nan") if curve is None else float(curve[-1])
        return Trial(remedy, {layer.layer: layer.busiest for layer in busy.layers}, score)

    network = lower(conversion, chip).checked(chip)
    found = [tried("", conversion, network, {})]
    try:
        gained = correct(conversion, data, GAIN)
        found.append(tried("half the gain, thresholds twice as high,", gained, lower(gained, chip).network, {}))
    except SettingsError:
        pass  # λ that were trained, or corrected for their rates, stay what they are
    sources = {
        layer.name: [name for name in layer.sources if isinstance(network.sender(name), ChipLayer)]
        for layer in network.layers
    }
    behind = [name for name, heard in sources.items() if heard and 2 in chip.decimators]
    for source in sources[max(behind, key=lambda name: found[0].busiest[name])] if behind else []:
        spiking, passing = decimated(conversion.spiking, source, 2)
        remedy = f"a decimator of 1/2 at {source}, weights behind it doubled,"
        found.append(tried(remedy, conversion.with_spiking(spiking), network, {source: passing}))
    return tuple(found)
