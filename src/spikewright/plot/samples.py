"""Figures of data sets: what values they have, and how many samples of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikewright.data import Dataset
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array
from spikewright.plot.figures import check_matplotlib, figure_of
from spikewright.plot.panel import Panel
from spikewright.reports.charts import LARGE, SHARE, Chart, colour, framed, plain
from spikewright.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 60
CHANNELS = 4
"""Up to how many channels there is a line for each."""
BATCH = 100


def distributions(data: Dataset, *, samples: int = 1000) -> Figure:
    """The values of a data set's samples, channel by channel where these are few, and how many samples each class has.

    Values are those that a network gets: after preprocessing.

    Args:
        data: from ``load_data``, say.
        samples: how many are read for their values: a seeded draw in proportion to the classes.

    Raises:
        SettingsError: for anything else, and without matplotlib.
        DataError: for data that cannot be read, or have no finite values.
    """
    check_matplotlib()
    if not isinstance(data, Dataset):
        raise SettingsError(f"this draws a data set (sw.load_data(…)), not a {type(data).__name__}")
    whole("samples", samples)
    x = _some(data, samples)
    values = Panel(_values(x), f"values of {len(x):,} samples")
    counts = _counts(data)
    return figure_of([values, *([] if counts is None else [Panel(counts, f"classes of {len(data):,} samples")])], 2)


def _some(data: Dataset, samples: int) -> Array:
    """The values of some samples, ``(N, *shape)``; of a stream the first ones."""
    found, read = list[Array](), 0
    known = data.length is not None
    for x, _ in (data.sample(samples) if known else data).batches(BATCH):
        found.append(np.asarray(x, np.float32))
        read += len(x)
        if read >= samples:
            break
    if not found:
        raise DataError("there are no samples")
    return np.concatenate(found)[:samples]


def _values(x: Array) -> Chart:
    """Outlines of histograms: of all values, or of each channel."""
    finite = x[np.isfinite(x)]
    if not finite.size:
        raise DataError("the samples have no finite values")
    low, high = float(finite.min()), float(finite.max())
    split = x.ndim > 2 and 1 < x.shape[1] <= CHANNELS
    parts = [(f"channel {k}", x[:, k]) for k in range(x.shape[1])] if split else [("all values", finite)]
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    traces = []
    for k, (label, part) in enumerate(parts):
        share = np.histogram(part, edges)[0] / max(part.size, 1)
        look = {"shape": "hv", "color": colour(k), "width": 2}
        heights = [value or None for value in (*share.tolist(), share[-1].item())]
        traces.append({"x": edges.tolist(), "y": heights, "name": label, "mode": "lines", "line": look})
    return framed(traces, "value", "share of values", yaxis=dict(SHARE), height=LARGE, legend=len(parts) > 1)


def _counts(data: Dataset) -> Chart | None:
    labels = data.labels if data.knows_targets else None
    if labels is None:
        return None
    counts = np.bincount(labels)
    names = [data.classes[k] if k < len(data.classes) else str(k) for k in range(len(counts))]
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "samples",
        "y": [plain(name) for name in names],
        "x": counts.tolist(),
        "marker": {"color": "c0"},
    }
    axis = {"type": "category", "autorange": "reversed", "showgrid": False}
    height = max(LARGE, 100 + 14 * len(names))
    return framed([bars], "samples", "", yaxis=axis, xaxis={"rangemode": "tozero"}, height=height, bargap=0.3)
