"""The timestep from which an answer is worth reading, and the margin that decides it, from calibration data."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikewright.conversion import Conversion
from spikewright.data import as_dataset
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.engines import RunSettings
from spikewright.errors import DataError, SettingsError, warn
from spikewright.experiment.held_out import expected_inputs
from spikewright.forward import Forward
from spikewright.measures import EarlyExit, choose_exit
from spikewright.measures.advice import Had
from spikewright.nodes import IF
from spikewright.settings import whole

if TYPE_CHECKING:
    from torch import Tensor

ReadoutFrom = int | Literal["auto"]
"""The timestep from which an answer is read, or "auto", which estimates it."""
WINDOW = 4
"""How many timesteps an estimate leaves to read an answer over: of fewer it is coarser than what waiting gains."""
SAMPLES = 500
"""How many samples are looked at."""


def readout_start(
    conversion: Conversion,
    data: Any,
    *,
    samples: int = SAMPLES,
    batch_size: int = 100,
    encoder: Encoder | str = "constant",
) -> int:
    """The number of steps that the first spikes need to get to the outputs, t₀, after which an answer is worth reading.

    A population's first spike takes about ``min over channels of (1 − v₀) / mean(a)`` steps, with its initial potential
    v₀ in thresholds and its mean activation a in units of λ; t₀ is the sum along the longest path. Bu et al. 2025,
    "Inference-scale complexity in ANN-SNN conversion" (CVPR) have ``Σ (θ − v₀) / max(mean(relu(z)))`` for chains.

    Args:
        conversion: the network.
        data: of calibration.
        samples: at most so many of the first are looked at.
        batch_size: that run side by side.
        encoder: of the run; of event frames the mean frame is looked at.

    Raises:
        DataError: where there are no samples.
    """
    import torch

    reference, units, spiking = conversion.reference, conversion.units, conversion.spiking
    populations = {node.name: node for node in spiking.of_type(IF) if node.name in units}
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    chosen = expected_inputs(as_dataset(data, spiking.inputs), how)
    chosen = chosen.take(min(samples, len(chosen)))
    if not len(chosen):
        raise DataError("there are no samples to estimate from when on to read the answer")
    forward, sums = Forward(reference), dict.fromkeys(populations, np.zeros(()))

    def adder(name: str) -> Callable[[Tensor], None]:
        def add(value: Tensor) -> None:
            sums[name] = sums[name] + value.double().sum(dim=0).cpu().numpy()

        return add

    for x, _ in chosen.batches(batch_size):
        forward(torch.from_numpy(np.ascontiguousarray(x)), {name: adder(name) for name in populations})
    waits: dict[str, float] = {}
    for node in spiking:
        before = max((waits[name] for name in node.inputs), default=0.0)
        waits[node.name] = before
        if node.name in populations:
            shape, population = spiking.shapes[node.name], populations[node.name]
            unit = population.spread(units[node.name], shape)
            missing = 1 - population.spread(population.v_init, shape) / population.spread(population.threshold, shape)
            mean = (sums[node.name] / len(chosen) / unit).reshape(shape[0], -1).mean(axis=1)
            wait = missing.reshape(shape[0], -1).mean(axis=1)[mean > 0] / mean[mean > 0]
            waits[node.name] = before + max(0.0, float(wait.min(initial=np.inf)) if wait.size else 0.0)
    return ceil(max((waits[node.name] for node in spiking if node.type == "Output"), default=0.0) - 1e-9)


def _estimated(conversion: Conversion, calibration: Any, timesteps: int, encoder: Encoder | str) -> int:
    if Had.of(conversion).in_time:
        names = ", ".join(one.name for one in conversion.corrections)
        warn([f"the answer is read from the first timestep on: {names} made the counts of all timesteps right"])
        return 0
    return max(0, min(readout_start(conversion, calibration, encoder=encoder), timesteps - WINDOW))


def readout_of(
    conversion: Conversion,
    calibration: Any,
    timesteps: int,
    readout_from: ReadoutFrom = 0,
    early_exit: float | None = None,
    **options: Any,
) -> tuple[int, EarlyExit | None]:
    """The timestep from which the answers of a conversion are read, and the rule that stops its samples.

    Args:
        conversion: the network.
        calibration: the data that both are found on.
        timesteps: T.
        readout_from: t₀, or "auto": ``readout_start``, but for at least ``WINDOW`` steps that are left to read. Where
            counts were corrected over all steps of a run it is 0: a correction makes up at the end for what the first
            steps get wrong, and without these steps too much would be made up for.
        early_exit: the share of answers that may change, for ``choose_exit``; None stops none.
        options: keywords of a run, of which those that change answers are looked at.

    Raises:
        SettingsError: where there are no data to find them on.
    """
    if calibration is None and (readout_from == "auto" or early_exit is not None):
        wanted = "readout_from='auto'" if readout_from == "auto" else "an early exit"
        raise SettingsError(f"{wanted} is found on calibration data, and there are none: give them too")
    estimated = readout_from == "auto"
    start = (
        _estimated(conversion, calibration, timesteps, options.get("encoder", "constant"))
        if estimated
        else whole("readout_from", readout_from, 0)
    )
    if early_exit is None:
        return start, None
    known = ("encoder", "batch_size", "engine", "device", "dtype", "seed")
    run = {label: value for label, value in options.items() if label in known}
    settings = RunSettings(timesteps, readout_from=start, **run)
    return start, choose_exit(conversion, calibration, early_exit, settings)
