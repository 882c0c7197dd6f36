"""SpikingJelly's words: ``ann2snn.Converter``, which makes a module that runs step by step, and ``reset_net``.

>>> from spikewright.compat import spikingjelly as ann2snn
>>> snn = ann2snn.Converter(dataloader, mode="99.9%")(ann)
>>> out = sum(snn(images) for _ in range(50))

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikewright.calibration import Max, Method, Percentile, Scale
from spikewright.compat._networks import readout_of
from spikewright.compat._running import RunningNetwork
from spikewright.conversion import Conversion, Neurons, from_scales
from spikewright.data import ArrayDataset, Dataset, as_dataset
from spikewright.errors import DataError, SettingsError
from spikewright.experiment import convert
from spikewright.forward import Forward
from spikewright.graph import Array, Graph
from spikewright.loading import load
from spikewright.nodes import Output, ReLU
from spikewright.preparation import prepare

__all__ = ["Converter", "SpikingNetwork", "method_of", "reset_net"]

ADVICE = "reset it between batches: reset_net(snn)"
NEURONS = Neurons(v_init=0.0)
"""Integrate-and-fire neurons with reset by subtraction, whose potentials start at zero."""


class SpikingNetwork(RunningNetwork):
    """A spiking network, one step a call.

    Its state is kept until ``reset`` is called, of the network or of single populations; ``reset_net`` calls all.
    """

    def __init__(self, conversion: Conversion) -> None:
        super().__init__(conversion, ADVICE)

    def forward(self, x: Tensor) -> Tensor:
        """One step: ``(samples, *shape)``: what the last population sends, in units of the trained network; or what
        arrives at an output behind a layer that has no neurons.

        Args:
            x: ``(samples, *shape)``: the input of the step.

        Raises:
            DataError: for another shape, and for another number of samples than before.
        """
        return self.advance(x[None])[0]


class Converter(nn.Module):
    """Makes a spiking network of a trained one, with one λ a layer.

    Args:
        dataloader: batches to calibrate with: a DataLoader, a Dataset, an array, or an iterable of batches, alone or
            with labels behind.
        mode: "max": λ is the largest activation. "99.9%": that percentile, zeros included. A number of (0, 1]: so
            much of the largest activation.
        device: where the network is put; None leaves it on the CPU.
        momentum: None takes λ over all samples at once. A number takes the moving average over batches that
            SpikingJelly takes (0.1 there), which depends on their size and order.
        fuse_flag: taken and ignored: batch norms are always folded, which changes nothing.

    Raises:
        SettingsError: for another mode, and a momentum outside 0 to 1.
    """

    def __init__(
        self,
        dataloader: Any,
        mode: str | float = "max",
        *,
        device: torch.device | str | None = None,
        momentum: float | None = None,
        fuse_flag: bool = True,
    ) -> None:
        super().__init__()
        self.method = method_of(mode)
        if momentum is not None and not 0 <= momentum <= 1:
            raise SettingsError(f"momentum: must lie between 0 and 1, not {momentum}")
        self.dataloader, self.mode, self.device, self.momentum = dataloader, mode, device, momentum
        self.fuse_flag = fuse_flag

    def forward(self, ann: nn.Module) -> SpikingNetwork:
        """The spiking network of a trained one, which is left as it is.

        Args:
            ann: the trained network.

        Raises:
            UnsupportedModelError: with everything that cannot become spikes.
            SpikewrightError: as ``load`` and ``convert``.
        """
        first = next(iter(_batches(self.dataloader)), None)
        if first is None:
            raise DataError("the dataloader gives no batch to calibrate with")
        graph = load(ann, example=torch.as_tensor(first[:1]))
        folded, _ = prepare(graph)
        readout = readout_of(folded)
        if self.momentum is None:
            conversion = convert(graph, _dataset(self.dataloader), self.method, neurons=NEURONS, readout=readout)
        else:
            scales = _averaged(folded, self.dataloader, self.method, self.momentum)
            conversion = from_scales(graph, scales, neurons=NEURONS, readout=readout)
        made = SpikingNetwork(conversion).eval()
        return made if self.device is None else made.to(self.device)


def method_of(mode: str | float) -> Method:
    """The threshold method of a mode.

    Raises:
        SettingsError: for anything but "max", a percentage and a number of (0, 1].
    """
    if isinstance(mode, str) and mode.lower() == "max":
        return Max()
    try:
        if isinstance(mode, str) and mode.endswith("%"):
            return Percentile(float(mode[:-1]), zeros=True)
        if isinstance(mode, int | float) and not isinstance(mode, bool):
            return Scale(float(mode))
    except ValueError:
        pass
    raise SettingsError(f"mode: takes 'max', a percentage like '99.9%' or a number of (0, 1], not {str(mode)[:40]!r}")


def reset_net(net: nn.Module) -> None:
    """Reset every part of a network that can be reset.

    Args:
        net: the network.
    """
    for part in net.modules():
        reset: Any = getattr(part, "reset", None)
        if callable(reset):
            reset()


def _batches(dataloader: Any) -> Iterator[Array]:
    """The samples of each batch, without labels."""
    if isinstance(dataloader, Dataset) or hasattr(dataloader, "shape") or _labelled(dataloader):
        yield from (batch for batch, _ in as_dataset(dataloader).batches(100))
        return
    for item in dataloader:
        yield np.asarray(item[0] if isinstance(item, tuple | list) else item, np.float32)


def _labelled(given: Any) -> bool:
    """Whether a tuple is samples with their labels; another one is of batches, as ``images.split(100)`` is."""
    if not isinstance(given, tuple) or len(given) != 2:
        return False
    samples, labels = given
    return labels is None or (np.ndim(labels) < np.ndim(samples) and len(labels) == len(samples))


def _dataset(dataloader: Any) -> Dataset:
    """All samples as a data set; a DataLoader is read batch by batch, other iterables at once."""
    known = isinstance(dataloader, Dataset | torch.utils.data.DataLoader) or hasattr(dataloader, "shape")
    if known or _labelled(dataloader):
        return as_dataset(dataloader)
    return ArrayDataset(np.concatenate(list(_batches(dataloader))), None)


def _averaged(folded: Graph, dataloader: Any, method: Method, momentum: float) -> dict[str, Array]:
    """λ of every rectifier as a moving average over batches; 1 where nothing was positive."""
    named = {relu.name: relu.name for relu in folded.of_type(ReLU)}
    named |= {output.name: output.inputs[0] for output in folded.of_type(Output)}
    forward, found = Forward(folded), dict[str, float]()
    for batch in _batches(dataloader):
        seen: dict[str, float] = {}
        watch = {source: _noter(seen, source, method) for source in dict.fromkeys(named.values())}
        forward(torch.as_tensor(batch), watch)
        found = {
            name: value if name not in found else (1 - momentum) * found[name] + momentum * value
            for name, value in seen.items()
        }
    return {name: np.asarray(found[source] if found[source] > 0 else 1.0) for name, source in named.items()}


def _noter(seen: dict[str, float], name: str, method: Method) -> Any:
    def note(value: Tensor) -> None:
        values = np.maximum(value.cpu().numpy(), 0)
        if isinstance(method, Percentile):
            seen[name] = float(np.percentile(values, method.percentile))
        else:
            seen[name] = float(values.max()) * (method.factor if isinstance(method, Scale) else 1.0)

    return note
