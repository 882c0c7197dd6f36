"""A trained torch network as a spiking one that takes rasters, as sinabs' ``from_model`` makes it."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from spikewright.compat._networks import readout_of
from spikewright.compat._running import RunningNetwork
from spikewright.conversion import Conversion, Neurons, from_scales, read_out
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph, Shape
from spikewright.loading import load
from spikewright.nodes import Conv, Linear, ReLU
from spikewright.normalisation import Scales
from spikewright.preparation import prepare

ADVICE = "reset it between batches: network.reset_states()"
SPIKES = {"MultiSpike": None, "SingleSpike": 1}
"""How many spikes a step sinabs' spike functions allow."""
RESETS = {"MembraneSubtract": "subtract", "MembraneReset": "zero"}


class SpikingModel(RunningNetwork):
    """A spiking network that takes rasters of several timesteps.

    Attributes:
        batch_size, num_timesteps: one of them says how flat rasters are cut.
    """

    def __init__(self, conversion: Conversion, batch_size: int | None, num_timesteps: int | None) -> None:
        super().__init__(conversion, ADVICE)
        self.batch_size, self.num_timesteps = batch_size, num_timesteps

    def forward(self, x: Tensor) -> Tensor:
        """What arrives at the output in each step: spikes, or the values of a last layer without neurons.

        Args:
            x: ``(samples · timesteps, *shape)``, one sample behind the other; or ``(samples, timesteps, *shape)``.

        Returns:
            the same with the output's shape.

        Raises:
            DataError: for a raster that cannot be cut, and for another number of samples than before.
        """
        shape = self.net.graph.sample_shape
        flat = x.ndim == len(shape) + 1
        raster = x.reshape(*self._cut(len(x)), *x.shape[1:]) if flat else x
        if tuple(raster.shape[2:]) != shape:
            wanted = ", ".join(map(str, shape))
            raise DataError(f"the network takes (samples, timesteps, {wanted}), the raster is {tuple(x.shape)}")
        out = self.advance(raster.transpose(0, 1)).transpose(0, 1)
        return out.flatten(0, 1) if flat else out

    def _cut(self, rows: int) -> tuple[int, int]:
        """Samples and timesteps of a flat raster."""
        for given, known in ((self.batch_size, 0), (self.num_timesteps, 1)):
            if given is not None and given > 0:
                if rows % given:
                    raise DataError(f"a raster of {rows} rows is not cut into {given} equal parts")
                return (given, rows // given) if known == 0 else (rows // given, given)
        raise DataError("a flat raster needs batch_size=… or num_timesteps=…; or give (samples, timesteps, …)")


class Network(nn.Module):
    """A spiking network beside its trained one.

    Attributes:
        analog_model: the trained network.
        spiking_model: the spiking one; None until the shape of a sample is known.
    """

    def __init__(self, analog_model: nn.Module, settings: dict[str, Any], input_shape: Shape | None) -> None:
        super().__init__()
        self.analog_model = analog_model
        self.spiking_model: SpikingModel | None = None
        self._settings = settings
        if input_shape is not None:
            self.convert(tuple(input_shape))

    @property
    def conversion(self) -> Conversion:
        """The conversion, for all that Spikewright does with one.

        Raises:
            SettingsError: while the shape of a sample is not known.
        """
        if self.spiking_model is None:
            raise SettingsError("the shape of a sample is not known yet: from_torch(model, input_shape=(1, 28, 28))")
        return self.spiking_model.conversion

    def convert(self, shape: Shape) -> SpikingModel:
        """Make the spiking network for samples of a shape.

        Args:
            shape: of one sample, channels first.

        Raises:
            SpikewrightError: as ``load`` and ``convert``.
        """
        asked = self._settings
        device = next((parameter.device for parameter in self.analog_model.parameters()), torch.device("cpu"))
        graph = load(self.analog_model, shape=shape)
        graph = _with_biases(graph, asked["bias_rescaling"])
        folded, _ = prepare(graph)
        readout = "count" if asked["add_spiking_output"] else readout_of(folded)
        scales = _scales(folded, readout, asked["threshold"])
        conversion = from_scales(graph, scales, neurons=asked["neurons"], readout=readout)
        self.spiking_model = SpikingModel(conversion, asked["batch_size"], asked["num_timesteps"]).to(device)
        return self.spiking_model

    def forward(self, x: Tensor) -> Tensor:
        """The spiking network's output for a raster: see ``SpikingModel.forward``."""
        asked = self._settings
        flat = asked["batch_size"] is not None or asked["num_timesteps"] is not None
        model = self.spiking_model or self.convert(tuple(x.shape[1:] if flat else x.shape[2:]))
        return cast(Tensor, model(x))

    def reset_states(self) -> None:
        """Begin anew: the next step is the first."""
        if self.spiking_model is not None:
            self.spiking_model.reset()


def from_torch(
    model: nn.Module,
    input_shape: Shape | None = None,
    spike_threshold: Any = 1.0,
    spike_fn: Any = "MultiSpike",
    reset_fn: Any = "MembraneSubtract",
    surrogate_grad_fn: Any = None,
    min_v_mem: float | None = -1.0,
    bias_rescaling: float = 1.0,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
    synops: bool = False,
    add_spiking_output: bool = False,
) -> Network:
    """A trained torch network with integrate-and-fire neurons in the place of its rectifiers.

    Args:
        model: the trained network, left as it is.
        input_shape: of one sample, channels first; None takes that of the first raster.
        spike_threshold: what one spike stands for, the same in all layers: 1 for a network whose activations are
            normalised. The weights behind take it on, so that any threshold computes the same function.
        spike_fn: "MultiSpike", any number of spikes a step, or "SingleSpike"; or sinabs' own functions.
        reset_fn: "MembraneSubtract" or "MembraneReset"; or sinabs' own.
        surrogate_grad_fn: None. Gradients are those of ``sw.training.module``.
        min_v_mem: the lowest membrane potential; None for none.
        bias_rescaling: what biases are divided by: timesteps of a frame, where the network was trained on frames that
            sum up the events of so many.
        batch_size: samples of a flat raster.
        num_timesteps: timesteps of a flat raster.
        synops: taken and ignored: ``SNNAnalyzer`` counts whenever it is there.
        add_spiking_output: whether the last layer has neurons too, where it does not end in a rectifier.

    Raises:
        SettingsError: for settings that are not known.
        SpikewrightError: as ``load`` and ``convert``, once the shape is known.
    """
    del synops
    threshold = float(spike_threshold)
    if not 0 < threshold < float("inf"):
        raise SettingsError(f"spike_threshold: must be positive and finite, not {threshold}")
    if not 0 < bias_rescaling < float("inf"):
        raise SettingsError(f"bias_rescaling: must be positive and finite, not {bias_rescaling}")
    if surrogate_grad_fn is not None:
        raise SettingsError("surrogate_grad_fn: gradients are chosen by sw.training.module(network.conversion, 'atan')")
    neurons = Neurons(
        reset=_one_of("reset_fn", reset_fn, RESETS),
        max_spikes=_one_of("spike_fn", spike_fn, SPIKES),
        v_init=0.0,
        v_min=None if min_v_mem is None else min_v_mem / threshold,
    )
    settings = {
        "neurons": neurons,
        "threshold": threshold,
        "bias_rescaling": bias_rescaling,
        "batch_size": batch_size,
        "num_timesteps": num_timesteps,
        "add_spiking_output": add_spiking_output,
    }
    return Network(model, settings, input_shape)


def _one_of(label: str, given: Any, known: dict[str, Any]) -> Any:
    """What a function of sinabs stands for: by its name, that of its class, or that of an instance."""
    name = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    if name not in known:
        raise SettingsError(f"{label}: there are {', '.join(known)}, not {str(name)[:40]}")
    return known[name]


def _scales(folded: Graph, readout: Any, threshold: float) -> Scales:
    """λ of every population: the threshold."""
    return {relu.name: torch.full((), threshold).numpy() for relu in read_out(folded, readout).of_type(ReLU)}


def _with_biases(graph: Graph, divisor: float) -> Graph:
    """The graph with biases divided."""
    if divisor == 1:
        return graph
    return graph.replaced(*(node.replace(bias=node.arrays["bias"] / divisor) for node in graph.of_type(Conv, Linear)))
