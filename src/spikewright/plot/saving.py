"""Figures as files: whole or not at all, the same bytes for the same figure."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spikewright.plot.pictures as pictures
from spikewright.calibration import Statistics
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError, StorageError
from spikewright.experiment import Candidate, Comparison
from spikewright.files import atomic_folder, atomic_path, check_reachable, exists, shown
from spikewright.measures import Measures
from spikewright.plot.figures import check_matplotlib
from spikewright.plot.work import accuracy_over_work, energy, operations
from spikewright.provenance import PROVENANCE, descriptions, history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
RECORD = {"svg": "Description", "png": PROVENANCE, "pdf": "Subject"}
"""The field of a file's metadata that says how what it shows was made, as JSON."""


def save(figure: Figure, path: Path | str, *, force: bool = False) -> Path:
    """Write a figure to a file, whole or not at all; for the same figure the same bytes.

    The file's metadata say how what it shows was made: ``spikewright inspect FILE`` reads it.

    Args:
        figure: of matplotlib.
        path: of the file: .svg, .png or .pdf.
        force: whether a file that stands there is replaced.

    Returns:
        the path.

    Raises:
        SettingsError: for another suffix.
        StorageError: when a file stands there, or it cannot be written.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise SettingsError(f"{shown(path)}: a figure is written as .svg, .png or .pdf")
    import matplotlib

    with atomic_path(path, force) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks is no reason to stop
        with matplotlib.rc_context({"svg.hashsalt": "spikewright"}):
            made = json.dumps(descriptions(getattr(figure, PROVENANCE, ()) or history()))
            figure.savefig(temporary, format=kind, metadata={**_UNDATED[kind], RECORD[kind]: made})
    return Path(path)


def save_all(
    folder: Path | str,
    what: Comparison | Conversion,
    measures: Measures | None = None,
    statistics: Statistics | None = None,
    *,
    kind: str = "svg",
    force: bool = False,
) -> list[Path]:
    """Write all pictures of a conversion or a comparison into a folder, one figure and one a layer of each.

    ``accuracy``, ``accuracy_over_work``, ``operations``, ``energy``, ``activations``, ``weights``, ``correlation``,
    ``firing_rates``, ``rates_over_time``, ``raster``, as far as what is given has them; ``layers/NAME`` with what there
    is of one layer.

    Args:
        folder: new or empty.
        what: a conversion, or a comparison, whose first conversion is drawn layer by layer.
        measures: of a conversion; without them there is only what calibration saw.
        statistics: of calibration, where they are not those of a comparison.
        kind: "svg", "png" or "pdf".
        force: whether what stands there is replaced, once all is drawn.

    Returns:
        the paths, in the order in which they were drawn.

    Raises:
        SettingsError: for another kind, where there is nothing to draw, and without matplotlib.
        StorageError: as ``save``.
    """
    check_plots(folder, kind, force=force)
    drawn: list[str] = []
    with atomic_folder(folder, force) as place:
        for name, draw in _pictures(what, measures, statistics):
            path = place / f"{name}.{kind}"
            path.parent.mkdir(exist_ok=True)
            save(draw(), path)
            drawn.append(f"{name}.{kind}")
        if not drawn:
            raise SettingsError("there is nothing to draw: give measures, or the statistics of calibration")
    return [Path(folder) / name for name in drawn]


def check_plots(folder: Path | str, kind: str = "svg", *, force: bool = False) -> None:
    """Refuse a folder and a format in which no figures can be kept, before anything is computed.

    Args:
        folder: new or empty.
        kind: the format.
        force: whether a folder that stands there may be replaced.

    Raises:
        SettingsError: for another format, and without matplotlib.
        StorageError: for a file, a folder that is not empty, one with other files than figures, and where nothing can
            be written.
    """
    if kind not in FORMATS:
        raise SettingsError(f"figures are written as {', '.join(FORMATS)}, not as '{kind[:20]}'")
    check_matplotlib()
    place = check_reachable(folder)
    if place.exists() and not place.is_dir():
        raise StorageError(f"{shown(folder)} is a file; figures are written into a folder")
    if not place.is_dir() or not any(place.iterdir()):
        return
    if not force:
        raise exists(folder)
    other = next((file for file in place.rglob("*") if file.suffix[1:] not in FORMATS and not file.is_dir()), None)
    if other is not None:
        raise StorageError(f"{shown(folder)} holds {shown(other.name)}, which is no figure: choose another folder")


Drawer = Callable[[], "Figure"]


def _pictures(
    what: Comparison | Conversion, measures: Measures | None, statistics: Statistics | None
) -> list[tuple[str, Drawer]]:
    """What can be drawn of what is given, each drawn when it is asked for, so that one figure is held at a time."""
    compared = isinstance(what, Comparison)
    first: Candidate | None = what.candidates[0] if isinstance(what, Comparison) else None
    conversion = what if isinstance(what, Conversion) else what.candidates[0].conversion
    measured = measures if first is None else first.measures
    found = what.statistics if isinstance(what, Comparison) and statistics is None else statistics
    draw: list[tuple[str, Drawer]] = []
    if isinstance(what, Comparison):
        comparison = what
        draw += [("accuracy", lambda: pictures.accuracy(comparison))]
        draw += [("accuracy_over_work", lambda: accuracy_over_work(comparison))]
        draw += [("operations", lambda: operations(comparison))]
        draw += [("energy", lambda: energy(comparison))] * bool(comparison.candidates[0].measures.synops)
    elif measured is not None:
        label, one = conversion.calibration.method or "λ given", measured
        draw += [("accuracy", lambda: pictures.accuracy({label: one}))]
    if found is not None:
        draw += [("activations", lambda: pictures.activations(conversion, found))]
    draw += [("weights", lambda: pictures.weights(conversion))]
    if measured is not None:
        if compared or measured.compared:
            draw += [("correlation", lambda: pictures.correlation(measured))]
        draw += [("firing_rates", lambda: pictures.firing_rates(measured))]
        if measured.rate_over_time:
            draw += [("rates_over_time", lambda: pictures.rates_over_time(measured))]
        if any(train.size for train in measured.raster.values()):
            draw += [("raster", lambda: pictures.raster(measured))]
    names = pictures.layer_names(conversion)
    for k, name in enumerate(names):
        plain = re.sub(r"[^\w.-]+", "_", name)[:80]
        draw += [
            (f"layers/{k:0{len(str(len(names)))}}_{plain}", partial(pictures.layer, conversion, name, measured, found))
        ]
    return draw
