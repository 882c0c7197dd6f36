"""sinabs' helpers: weights normalised layer by layer, with biases that stay right, and states reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikewright.compat._running import RunningNetwork
from spikewright.errors import SettingsError, warn

__all__ = ["normalise_weights", "normalize_weights", "reset_states"]

TOLERANCE = 1e-3
"""How far an activation may be from what it must be, in units of its layer's scale."""


def normalize_weights(
    ann: nn.Module,
    sample_data: Any,
    output_layers: Sequence[str],
    param_layers: Sequence[str],
    percentile: float = 99,
) -> None:
    """Rescale parameters in place, so that the percentile of each layer's activations becomes 1.

    Weights become ``W·λ_before/λ`` and biases ``b/λ`` (Rueckauer et al. 2017, eq. 8), where λ are the percentiles of
    the network as it was: biases too keep their part in what a layer computes.

    Args:
        ann: the trained network, a chain of layers.
        sample_data: samples, ``(N, *shape)``.
        output_layers: the names of the layers whose activations are looked at, first to last: rectifiers.
        param_layers: the names of the layers with the parameters that lead to each.
        percentile: 0 to 100, over all activations, zeros included.

    Raises:
        SettingsError: for names that the network does not have, a percentile outside 0 to 100, activations that are not
            positive there, and for a network between whose layers stands what cannot be scaled, such as a batch norm:
            its parameters are then what they were.

    Warns:
        SpikewrightWarning: for layers with a bias that are not named behind one that is: their input changes its scale.
    """
    parts = dict(ann.named_modules())
    unknown = [name for name in (*output_layers, *param_layers) if name not in parts]
    if unknown:
        raise SettingsError(f"the network has no layer '{unknown[0]}'; there are {', '.join(list(parts)[1:9])}")
    if len(output_layers) != len(param_layers):
        raise SettingsError(f"{len(output_layers)} output layers, {len(param_layers)} layers with parameters")
    if not 0 <= percentile <= 100:
        raise SettingsError(f"percentile: must lie between 0 and 100, not {percentile}")
    samples = torch.as_tensor(sample_data)
    before = _activations(ann, [parts[name] for name in output_layers], samples)
    scales = [float(np.percentile(values, percentile)) for values in before]
    for name, scale in zip(output_layers, scales, strict=True):
        if not scale > 0:
            raise SettingsError(f"'{name}': the {percentile:g} % percentile of its activations is {scale:g}, no scale")
    held = {name: {key: value.clone() for key, value in parts[name].state_dict().items()} for name in param_layers}
    for name, scale, scale_before in zip(param_layers, scales, [1.0, *scales[:-1]], strict=True):
        _rescale(parts[name], scale_before, scale)
    after = _activations(ann, [parts[name] for name in output_layers], samples)
    for name, old, new, scale in zip(output_layers, before, after, scales, strict=True):
        if np.abs(old / scale - new).max() > TOLERANCE * max(1.0, float(np.abs(new).max())):
            for layer, state in held.items():
                parts[layer].load_state_dict(state)
            raise SettingsError(
                f"'{name}': something in front of it cannot be scaled (a batch norm, a layer that is not named); "
                "spikewright convert scales any network"
            )
    _warn_of_biases(ann, param_layers)


normalise_weights = normalize_weights


def reset_states(model: nn.Module) -> None:
    """Begin anew: the next step of every spiking network within is the first.

    Args:
        model: from ``from_torch``, or what holds it.
    """
    for part in model.modules():
        if isinstance(part, RunningNetwork):
            part.reset()


@torch.no_grad()
def _rescale(layer: nn.Module, before: float, after: float) -> None:
    for name, parameter in layer.named_parameters():
        parameter.mul_((1.0 if name.rpartition(".")[2] == "bias" else before) / after)


@torch.no_grad()
def _activations(ann: nn.Module, layers: Sequence[nn.Module], samples: Tensor) -> list[Any]:
    """What layers give for samples; of one that is called several times all of it."""
    found: list[list[Any]] = [[] for _ in layers]
    handles = [
        layer.register_forward_hook(lambda _, __, output, rows=rows: rows.append(output.detach().cpu().numpy()))
        for layer, rows in zip(layers, found, strict=True)
    ]
    training = ann.training
    try:
        ann.eval()(samples.to(next(ann.parameters())))
    finally:
        ann.train(training)
        for handle in handles:
            handle.remove()
    return [np.concatenate([row.ravel() for row in rows]) if rows else np.zeros(1) for rows in found]


def _warn_of_biases(ann: nn.Module, named: Sequence[str]) -> None:
    others = [(name, part) for name, part in ann.named_modules() if name not in named]
    biased = [name for name, part in others if getattr(part, "bias", None) is not None]
    if biased:
        warn([f"'{name}' has a bias and is not named: what it reads may have another scale now" for name in biased])
