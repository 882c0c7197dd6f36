"""What all peers' words need: a trained network from whatever they hold it in, and what its end says."""

from __future__ import annotations

from typing import Any

from spikewright.conversion import Conversion, Readout
from spikewright.errors import SettingsError
from spikewright.graph import Graph, Shape
from spikewright.loading import load
from spikewright.nodes import Output


def trained(model: Any, shape: Shape | None = None) -> Graph:
    """The graph of a trained network.

    Args:
        model: a Graph, or what ``load`` takes.
        shape: of one sample, where the model does not say it.

    Raises:
        SettingsError: for a network that spikes already.
        SpikewrightError: as ``load``.
    """
    known = isinstance(model, Graph) or _says_its_shape(model)
    found: Graph | Conversion = load(model, shape=None if known else shape)
    if isinstance(found, Conversion) or found.populations:
        raise SettingsError("the network spikes already: give the trained one")
    return found


def readout_of(folded: Graph) -> Readout:
    """How a prepared network is read out: spikes are counted where it ends in a rectifier, else potentials add up."""
    outputs = folded.of_type(Output)
    counted = all(output.activation == "relu" or _ends_in_relu(folded, output) for output in outputs)
    return "count" if counted else "potential"


def _ends_in_relu(folded: Graph, output: Output) -> bool:
    return folded[output.inputs[0]].type == "ReLU"


def _says_its_shape(model: Any) -> bool:
    """Whether a model knows the shape of a sample: a torch module does not."""
    return not (hasattr(model, "named_modules") and hasattr(model, "state_dict") and not hasattr(model, "get_config"))
