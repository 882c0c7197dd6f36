"""A conversion from a trained graph and λ that were already found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from spikewright.conversion.became import what_became
from spikewright.conversion.neurons import NeuronsGiven, neurons_of
from spikewright.conversion.spiking import Readout, View, scales_in_use, spiking_of
from spikewright.conversion.value import Conversion
from spikewright.errors import GraphError, SettingsError, warn
from spikewright.graph import Graph
from spikewright.normalisation import Scales
from spikewright.preparation import prepare
from spikewright.settings import check_choices

NO_POPULATION = (
    "nothing of the network spikes: it has no rectifier before its end, and no max pool; check that it was read "
    "whole, or take readout='count' (--readout count), which makes populations of its outputs"
)


def from_scales(
    graph: Graph,
    scales: Scales,
    *,
    neurons: NeuronsGiven = None,
    view: View = "weights",
    readout: Readout = "potential",
    answer: Literal["keep", "drop"] = "keep",
    leaky: Literal["refuse", "split"] = "refuse",
) -> Conversion:
    """Make a spiking network of a trained one.

    Args:
        graph: as a frontend made it, or already prepared.
        scales: λ of every population, from ``Statistics.scales``; for ``readout="count"`` of the outputs too. λ of an
            input is what one event of the Poisson encoder stands for (``Input.event_value``).
        neurons: what the populations are like.
        view: whether weights or thresholds take the scale.
        readout: "potential": the output layer adds up its input and never fires. "count": the output is a population
            and its spikes are counted, so that no answer is below zero, nor above the ceiling of a final ReLU.
        answer: what becomes of the activation that the network ends in: "keep" applies it to the readout at every
            timestep, "drop" leaves it away; see ``prepare``.
        leaky: what becomes of leaky rectifiers.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError, SettingsError: for scales or settings outside their domain.

    Warns:
        SpikewrightWarning: where nothing spikes.
    """
    if not isinstance(scales, Mapping):
        raise SettingsError(f"scales are λ by population, from calibrate(...).scales(method), not {repr(scales)[:40]}")
    by_population = neurons_of(neurons)
    check_choices(view=(view, View), readout=(readout, Readout))
    if graph.populations:
        raise GraphError(f"{graph.populations[0]}: is spiking already; convert the trained graph")
    folded, changes = prepare(graph, answer=answer, leaky=leaky)
    used = scales_in_use(folded, scales, by_population, readout)
    spiking = spiking_of(folded, used, by_population, view=view, readout=readout)
    if not spiking.populations:
        warn([NO_POPULATION])
    return Conversion(
        folded=folded,
        spiking=spiking,
        made=spiking,
        scales=used,
        neurons=by_population,
        became=what_became(graph, changes),
        view=view,
        readout=readout,
        answer="drop" if folded.meta.get("answer") == "drop" else "keep",
    )
