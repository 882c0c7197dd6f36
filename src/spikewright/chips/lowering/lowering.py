"""A spiking network as layers of a chip, by rewrites that keep the function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.lowering.inputs import View, views_of
from spikewright.chips.lowering.merging import Merged, merged
from spikewright.chips.lowering.neurons import THRESHOLDS, core_neurons, unlike
from spikewright.chips.lowering.pool import MAXIMUM
from spikewright.chips.lowering.readout import read_neurons
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.walk import branches_of
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, Readout
from spikewright.conversion import Conversion, spiking_graph
from spikewright.errors import GraphError, Problem, UnsupportedModelError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Input, Output, ReLU, SpikeMaxPool
from spikewright.rates import Rates, mean_values

BY_POTENTIAL = (
    "it is read by potentials, and a chip only sends spikes: convert with readout='count' (--readout count); "
    "below it stands as a layer of neurons"
)
NEGATIVE = "its values go down to {:.3g}, and events have no sign: feed values of 0 and above"


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network as layers of a chip, with what was rewritten and what stands in the way.

    Attributes:
        network: all layers that cores compute; where there are problems, those that are left.
        rewrites: by layer, the names of what was rewritten, in order.
        problems: all that no core computes, with what would do instead; none where the network is the same.
        missing: populations and outputs of which no layer could be made.
    """

    network: ChipNetwork
    rewrites: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()

    def checked(self, chip: Speck) -> ChipNetwork:
        """The network, once it is clear that it is the same as the one it was made of.

        Args:
            chip: named in the error.

        Raises:
            UnsupportedModelError: with every problem.
        """
        if self.problems:
            raise UnsupportedModelError(self.problems, f"computed by {chip}")
        return self.network


def lower(network: Graph | Conversion, chip: Speck) -> Lowered:
    """A spiking network as layers of a chip: a population with all that leads to it is one layer.

    What it computes step by step is the same, spike for spike. An input's ``event_value`` stands in the weights.

    Args:
        network: a conversion, or a spiking graph.
        chip: whose kernels, strides and pools are used; its limits on sizes are not looked at.

    Raises:
        GraphError: for a graph that is no spiking network.
    """
    graph = spiking_graph(network)
    for node in graph.of_type(ReLU):
        raise GraphError(f"{node}: has no spikes; convert the network first")
    ranges = network.calibration.inputs if isinstance(network, Conversion) else {}
    return _Lowering(graph, chip, ranges).lowered()


class _Lowering:
    def __init__(self, graph: Graph, chip: Speck, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.graph, self.chip = graph, chip
        self.problems: list[Problem] = []
        self.rewrites: dict[str, tuple[str, ...]] = {}
        self.layers: dict[str, ChipLayer] = {}
        self.made: dict[str, Merged] = {}
        self.views: dict[str, View] = {}
        self.missing: list[str] = []
        for node in graph.of_type(Input):
            try:
                self.views |= views_of(graph, node, chip)
            except Refused as refused:
                self.refuse("Input", node.name, str(refused))
        for name, (lowest, _) in ranges.items():
            if lowest < 0 and name in graph:
                self.refuse("Input", name, NEGATIVE.format(lowest))
        silent = {node.name: np.zeros(graph.shapes[node.name]) for node in graph if node.population or not node.inputs}
        read = {node.inputs[0] for node in graph if node.population or isinstance(node, Output)}
        self.biases = mean_values(graph, Rates(silent, graph.fingerprint), read)

    def refuse(self, kind: str, name: str, why: str) -> None:
        self.problems.append(Problem(kind, f"'{name}'", why))

    def lowered(self) -> Lowered:
        readout = []
        for node in self.graph:
            if isinstance(node, SpikeMaxPool):
                self.refuse("max pooling", node.name, f"a chip adds up events and cannot compare them: {MAXIMUM}")
            elif isinstance(node, IF):
                self._layer(node, node)
        for output in self.graph.of_type(Output):
            read = read_neurons(self.graph, output)
            if read is None:
                self.refuse("Output", output.name, BY_POTENTIAL)
                one = IF(name=output.name, inputs=output.inputs, threshold=np.ones(()), v_init=np.full((), 0.5))
                self._layer(output, one)
                neurons = tuple(range(self.biases[output.inputs[0]].size))
                read = Readout(output.name, output.name, neurons, shape=self.graph.shapes[output.name])
            if read.layer in self.layers:
                readout.append(read)
        return Lowered(self._joined(tuple(readout)), self.rewrites, tuple(self.problems), tuple(self.missing))

    def _layer(self, node: Node, neurons: IF) -> None:
        """The layer of a population, or what stands in its way."""
        for why in unlike(neurons):
            self.refuse("neurons", node.name, why)
        shape = self.graph.shapes[node.inputs[0]]
        try:
            parts = merged(branches_of(self.graph, node, self.views, self.chip.pools), self.chip)
            own = core_neurons(neurons, shape)
            bias = self._bias(node)
        except Refused as refused:
            self.refuse(node.type, node.name, str(refused))
            self.missing.append(node.name)
            return
        weights = parts.weights * own.factors[:, None, None, None]
        for source, _, shift in parts.arrivals:
            if source in self.views:
                value = self.views[source].input.event_value
                last = shift + self.views[source].shape[0]
                weights[:, shift:last] *= 1.0 if value is None else value
        self.made[node.name] = parts
        self.rewrites[node.name] = parts.rewrites + ((THRESHOLDS,) if np.ptp(own.factors) else ())
        self.layers[node.name] = ChipLayer(
            name=node.name,
            sources=(),
            input_shape=parts.input_shape,
            weights=weights,
            bias=bias * own.factors if bias.any() else None,
            threshold=1.0,
            v_min=own.v_min,
            v_init=own.v_init,
            reset=neurons.reset,
            stride=parts.stride,
            padding=parts.padding,
        )

    def _bias(self, node: Node) -> NDArray[np.float64]:
        """``(channels,)``: what arrives where nothing is sent.

        Raises:
            Refused: where it differs between positions.
        """
        arrives = self.biases[node.inputs[0]]
        flat = arrives.reshape(len(arrives), -1)
        if np.ptp(flat, axis=1).max() > 1e-5 * max(np.abs(flat).max(), 1e-30):
            raise Refused(
                "its bias differs between the positions of a channel, as behind a batch norm that was folded across "
                "padding",
                "put the batch norm behind the convolution, or leave the padding away",
            )
        return np.asarray(flat.mean(axis=1), np.float64)

    def _joined(self, readout: tuple[Readout, ...]) -> ChipNetwork:
        """The layers with who sends to whom."""
        going: dict[str, list[Destination]] = {}
        sources: dict[str, list[str]] = {}
        names = {name: view.input.name for name, view in self.views.items()}
        for name, parts in self.made.items():
            for source, pool, shift in parts.arrivals:
                sender = names.get(source, source)
                if sender in self.layers or source in names:
                    going.setdefault(sender, []).append(Destination(name, pool, shift))
                    sources.setdefault(name, []).append(sender)
        unique = {name: tuple(dict.fromkeys(found)) for name, found in going.items()}
        layers = tuple(
            replace(layer, sources=tuple(dict.fromkeys(sources.get(name, ()))), destinations=unique.get(name, ()))
            for name, layer in self.layers.items()
        )
        inputs = {view.input.name: view for view in self.views.values()}
        return ChipNetwork(
            tuple(
                ChipInput(name, view.shape, unique.get(name, ()), view.input.event_value or 1.0, view.places)
                for name, view in inputs.items()
            ),
            layers,
            readout,
        )
