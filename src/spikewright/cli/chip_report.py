"""The page about a network on a chip, as ``check`` and ``simulate`` write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spikewright.chips.chip import Speck
from spikewright.chips.quantise import Quantised, quantise
from spikewright.chips.simulation.comparing import ChipComparison, compare_on_chip
from spikewright.chips.simulation.trains import trains_of
from spikewright.chips.value import Fit
from spikewright.conversion import Conversion
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.poisson import Poisson
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph

NO_SAMPLES = (
    "How busy the cores are, and what the chip computes beside floats, is seen on samples: --data … --dt 1ms, for "
    "scores with labels."
)
NO_CONVERSION = "Only a network that 'spikewright convert' wrote, or 'quantise', is run as the chip would."
PROBLEMS = "The chip cannot compute all of it, so that nothing is compared."
OTHER_TRAINS = (
    "The chip is sent pictures as regular or Poisson trains here, so that a recording or frames are not compared."
)


def compared_or_why(
    network: Graph | Conversion | Quantised,
    fit: Fit,
    settings: Mapping[str, Any],
    dt: float | None,
    tell: Callable[[str, int, int], None],
) -> tuple[ChipComparison | None, str]:
    """A conversion in the chip's integers beside itself, on the samples of a check; or why there is none.

    Integers are those of the common rule, as no sample is one of calibration.

    Args:
        network: that was checked.
        fit: what came of it.
        settings: of the check: its data, timesteps and encoder, where there are any.
        dt: of a step, in seconds.
        tell: moves progress bars.
    """
    if not isinstance(fit.chip, Speck):
        return None, ""
    if settings.get("data") is None or dt is None:
        return None, NO_SAMPLES
    if not isinstance(network, Conversion):
        return None, NO_CONVERSION
    if fit.problems:
        return None, PROBLEMS
    encoder: Encoder | None = settings.get("encoder")
    if not isinstance(settings["data"], Dataset) or not isinstance(encoder, Constant | Poisson):
        return None, OTHER_TRAINS
    try:
        trains = trains_of(encoder, timesteps=settings["timesteps"], dt=dt)
        made = quantise(network, fit.chip)
        return compare_on_chip(made, settings["data"], trains, beside=network, allow_overlap=True, progress=tell), ""
    except (SettingsError, DataError) as error:
        return None, f"Nothing is compared: {error}."


def write_chip_report(
    path: Path,
    fit: Fit,
    compared: ChipComparison | None,
    *,
    model: str,
    told: Mapping[str, Any],
    without: str = "",
    force: bool = False,
) -> None:
    """Write the page.

    Args:
        path: of the file.
        fit: what ``check`` gave.
        compared: what ran on the chip and beside it, if anything did.
        model: as typed.
        told: how it was made; what is None is left away.
        without: why nothing was compared, where it could have been.
        force: whether a file that stands there is replaced.

    Raises:
        StorageError: when it cannot be written.
    """
    from spikewright.reports.chips import chip_report

    settings = {
        "model": model,
        "chip": str(fit.chip),
        **{key: value for key, value in told.items() if value is not None},
    }
    if compared is not None:
        trains = compared.chip.trains
        settings |= {"timesteps": trains.timesteps, "dt": f"{trains.dt:g} s", "trains": trains.sent}
        settings |= {"events a step": compared.chip.rate, "rules": str(compared.chip.rules) or "as stated"}
    title = f"{Path(model).name} on {fit.chip}"
    chip_report(path, fit, compared, title=title, settings=settings, without=without, force=force)
