"""The percentile of a layer's activations that its scale factor is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spikewright.compat.snntoolbox.options import parser_of
from spikewright.errors import SettingsError

STEP = 0.02
"""How much lower the percentile is with each further layer that has weights."""


def get_scale_fac(activations: ArrayLike, percentile: float) -> float:
    """The activation at a percentile: what the parameters of its layer are divided by.

    Args:
        activations: of a layer, in any shape. SNN Toolbox gives those that are not zero.
        percentile: 0 to 100; between two activations it is interpolated.

    Returns:
        a positive number: where the percentile is none, as of a linear layer that is mostly negative, that of the
        positive activations; 1 where there are none.

    Raises:
        SettingsError: for a percentile outside 0 to 100, and for activations that are not finite.
    """
    values = np.asarray(activations, np.float64).ravel()
    if not 0 <= percentile <= 100:
        raise SettingsError(f"percentile: must lie between 0 and 100, not {percentile}")
    if not np.isfinite(values).all():
        raise SettingsError("activations: some are not finite numbers; check the data and the network")
    for chosen in (values, values[values > 0]):
        found = float(np.percentile(chosen, percentile)) if chosen.size else 0.0
        if found > 0:
            return found
    return 1.0


def get_percentile(config: Any, layer_idx: int | None = None, *, truncate: bool = False) -> float:
    """The percentile of a layer, from the section ``normalization`` of a configuration.

    Args:
        config: a ``ConfigParser``, a mapping of sections, or the path of an INI file.
        layer_idx: the layer's index among those with weights, which a schedule needs.
        truncate: as of ``apply_normalization_schedule``.

    Raises:
        SettingsError: for a configuration that says no number, and a schedule without an index.
    """
    settings = parser_of(config)
    try:
        percentile = settings.getfloat("normalization", "percentile")
        scheduled = settings.getboolean("normalization", "normalization_schedule")
    except ValueError as error:
        raise SettingsError(f"[normalization]: {error}") from None
    if not scheduled:
        return percentile
    if layer_idx is None or layer_idx < 0:
        raise SettingsError("normalization_schedule = True needs the index of the layer: get_percentile(config, i)")
    return apply_normalization_schedule(percentile, layer_idx, truncate=truncate)


def apply_normalization_schedule(perc: float, layer_idx: int, *, truncate: bool = False) -> float:
    """The percentile of a layer under the schedule: 0.02 lower with each layer, so that deep layers still fire.

    Args:
        perc: of the first layer.
        layer_idx: the layer's index among those with weights.
        truncate: whether to cut it to a whole number, as SNN Toolbox does: 99.9 then is 99 for the first 46 layers.
    """
    lowered = perc - layer_idx * STEP
    return float(int(lowered)) if truncate else lowered
