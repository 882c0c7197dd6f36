"""The classic experiment: constant input to integrate-and-fire neurons, their spikes, and their rate beside ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.engines import simulate
from spikewright.errors import DataError
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Input, Output
from spikewright.plot.figures import check_matplotlib, figure_of
from spikewright.plot.panel import Panel
from spikewright.reports.charts import LARGE, Chart, framed, line
from spikewright.settings import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUTS = tuple(np.arange(-0.2, 1.2, 0.04).round(2).tolist())
"""The inputs of SpikingJelly's tutorial, in units of the threshold."""


def if_experiment(inputs: Sequence[float] | Array = INPUTS, timesteps: int = 128, **neurons: Any) -> Figure:
    """A row of neurons, each with a constant input: the inputs, the spikes, and the firing rates beside ReLU.

    Args:
        inputs: ``(N,)``: one a neuron, in units of the threshold.
        timesteps: for which they run.
        neurons: fields of ``nodes.IF``, such as ``reset="zero"`` or ``v_init=0.5``; the potential starts at zero
            unless it is given.

    Returns:
        a figure of three charts.

    Raises:
        DataError: for inputs that are no row of numbers.
        SettingsError: for settings of neurons that cannot be, and without matplotlib.
    """
    check_matplotlib()
    x = np.asarray(inputs, np.float32)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise DataError("inputs: a row of finite numbers, one a neuron")
    whole("timesteps", timesteps)
    spikes = spikes_of(x, timesteps, **neurons)
    index = list(range(len(x)))
    dots = {"x": index, "y": x.tolist(), "mode": "markers", "marker": {"color": "c0", "size": 6}}
    when, which = np.nonzero(spikes)
    symbol = "line-ns-open" if len(x) <= 100 else "circle"
    mark = {"symbol": symbol, "size": float(np.clip(260 / len(x), 1.5, 7)), "color": "c0"}
    train = {"x": (when + 1).tolist(), "y": which.tolist(), "mode": "markers", "marker": mark}
    flat = {"zeroline": False}
    return figure_of(
        [
            Panel(framed([dots], "neuron i", "input xᵢ / threshold", height=LARGE), "Input to the neurons"),
            Panel(
                framed(
                    [train],
                    "timestep",
                    "neuron i",
                    xaxis={"range": [0, timesteps + 1], **flat},
                    yaxis={"range": [-1, len(x)], **flat},
                    height=LARGE,
                ),
                "Their spikes",
            ),
            Panel(_rates(x, spikes.mean(0)), f"Their firing rates over {timesteps} timesteps, and ReLU"),
        ],
        3,
    )


def spikes_of(x: Array, timesteps: int, **neurons: Any) -> Array:
    """What integrate-and-fire neurons send for constant input, ``(T, N)``.

    Args:
        x: ``(N,)``: one input a neuron.
        timesteps: T.
        neurons: as of ``if_experiment``.
    """
    settings = {"threshold": 1.0, "v_init": 0.0, **neurons}
    arrays = {name: np.asarray(value) for name, value in settings.items() if name in ("threshold", "v_init")}
    node = IF(name="neurons", inputs=("input",), **{**settings, **arrays})
    graph = Graph([Input(name="input", shape=x.shape), node, Output(name="output", inputs=("neurons",))])
    run = simulate(graph, x[None], timesteps, record="spikes")
    return np.asarray(run.spikes["neurons"][0], np.float64)


def _rates(x: Array, rates: Array) -> Chart:
    order = np.argsort(x, kind="stable")
    at = x[order].tolist()
    relu = {"name": "ReLU", "x": at, "y": np.maximum(x[order], 0).tolist(), "mode": "lines"}
    relu |= {"line": {"color": "muted", "width": 1.75, "dash": "dash"}}
    rate = line(0, "firing rate", at, rates[order].tolist(), "")
    return framed([relu, rate], "input xᵢ / threshold", "spikes per timestep", height=LARGE, legend=True)
