"""The figures of docs/concepts.md: what clipping, rounding and the order of spikes cost, and what is left of it.

    python examples/theory_figures.py [FOLDER]

Needs matplotlib. Nothing is drawn that was not computed: neurons by the reference engine, the curves of the last figure
by the network and the pictures of the demo.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spikewright as sw
from spikewright.demo import demo_data, demo_graph
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Output

BLUE, ORANGE, GREEN, GREY = "#2a86cf", "#cf7314", "#36935a", "#8a919b"
INK = "#7b828d"
"""What can be read on white and on black, without a background of its own."""


def counts(currents: np.ndarray, v_init: float = 0.5) -> np.ndarray:
    """Spikes so far of neurons with threshold 1, ``(N, T)``, from their currents ``(N, T)``."""
    neurons = IF(name="neurons", inputs=("current",), threshold=np.ones(()), v_init=np.full((), v_init))
    graph = Graph([Input(name="current", shape=(1,)), neurons, Output(name="rate", inputs=("neurons",))])
    steps = currents.shape[1]
    rates = sw.simulate(
        graph, currents[..., None].astype(np.float32), steps, encoder="events", engine="reference"
    ).output
    return rates[..., 0] * np.arange(1, steps + 1)


def levels(folder: Path) -> None:
    """Rates against activations: clipped at λ, rounded to T levels."""
    activations = np.linspace(0, 1.5, 601)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, constrained_layout=True)
    for axis, steps in zip(axes, (4, 8, 32), strict=True):
        rate = counts(np.repeat(activations[:, None], steps, 1))[:, -1] / steps
        axis.plot(activations, activations, color=GREY, linestyle="--", linewidth=1.2, label="ReLU")
        axis.plot(activations, rate, color=BLUE, linewidth=1.6, label="spikes / T")
        axis.fill_between(
            activations, rate, activations, where=activations > 1, color=ORANGE, alpha=0.3, label="clipped"
        )
        axis.set(title=f"T = {steps}", xlabel="activation / λ")
    axes[0].set_ylabel("firing rate")
    axes[0].legend(frameon=False)
    figure.savefig(folder / "theory_levels.svg")


def scales(folder: Path) -> None:
    """The error of rounding and of clipping against λ, for activations that are normal before the ReLU."""
    draws = np.maximum(np.random.default_rng(0).normal(size=200_000), 0)
    found = np.linspace(0.5, 5, 91)
    figure, axis = plt.subplots(figsize=(6.4, 3.6), constrained_layout=True)
    for steps, colour in ((4, BLUE), (16, GREEN), (64, ORANGE)):
        error = [
            np.mean((np.clip(np.floor(steps * draws / s + 0.5), 0, steps) * s / steps - draws) ** 2) for s in found
        ]
        axis.plot(found, error, color=colour, label=f"T = {steps}: least at λ = {found[np.argmin(error)]:.2f} σ")
        axis.plot(found[np.argmin(error)], min(error), "o", color=colour)
    axis.plot(
        found, [np.mean(np.maximum(draws - s, 0) ** 2) for s in found], color=GREY, linestyle="--", label="clipping"
    )
    axis.set(
        yscale="log", xlabel="λ, in standard deviations before the ReLU", ylabel="mean squared error", ylim=(1e-5, 0.3)
    )
    axis.legend(frameon=False)
    figure.savefig(folder / "theory_lambda.svg")


def orders(folder: Path) -> None:
    """The same current, 0.25 thresholds a step in the mean, in three orders: early, even, late."""
    steps = 16
    high, low = 1.25, -0.75
    even = np.tile([high, low], steps // 2)
    given = {"positive first": np.sort(even)[::-1], "taking turns": even, "negative first": np.sort(even)}
    sent = counts(np.stack(list(given.values())))
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, constrained_layout=True)
    ideal = np.arange(1, steps + 1) * even.mean()
    for axis, (title, currents), row in zip(axes, given.items(), sent, strict=True):
        axis.bar(np.arange(1, steps + 1), currents, color=GREY, alpha=0.5, label="current")
        axis.plot(np.arange(1, steps + 1), ideal, color=GREY, linestyle="--", label="what T·mean is")
        axis.step(np.arange(1, steps + 1), row, color=BLUE, where="mid", linewidth=1.8, label="spikes so far")
        axis.set(title=f"{title}: {row[-1]:.0f} instead of {ideal[-1]:.0f}", xlabel="timestep")
    axes[2].legend(frameon=False, loc="upper left")
    figure.savefig(folder / "theory_orders.svg")


def over_time(folder: Path) -> None:
    """The demo's network: what clipping and rounding leave, and what the spikes make of it, plain and corrected."""
    graph, (train, test) = demo_graph(), demo_data()
    plain = sw.measure(sw.convert(graph, train, "percentile:99.9"), test, timesteps=32)
    better = sw.convert(graph, train, "percentile:98,channels", correct="v_init_and_bias:8")
    corrected = sw.measure(better, test, timesteps=32, explain=False)
    steps = np.arange(1, 33)
    figure, axis = plt.subplots(figsize=(6.4, 3.6), constrained_layout=True)
    axis.axhline(100 * plain.analog_accuracy, color=GREY, linestyle="--", label="trained network")
    quantised = plain.head.quantised
    axis.plot(
        quantised.steps,
        100 * np.array(quantised.scores["accuracy"]),
        "o:",
        color=ORANGE,
        label="percentile:99.9, rounded to T levels",
    )
    axis.plot(steps, 100 * plain.accuracy, color=BLUE, label="percentile:99.9")
    axis.plot(steps, 100 * corrected.accuracy, color=GREEN, label="percentile:98,channels, v_init_and_bias:8")
    axis.set(xlabel="timesteps", ylabel="accuracy, %", xscale="log", ylim=(40, 96))
    axis.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    axis.legend(frameon=False, loc="lower right")
    figure.savefig(folder / "theory_time.svg")


def main(folder: Path) -> None:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    plt.rcParams.update(
        {
            **{"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "theory"},
            **dict.fromkeys(inked, INK),
            "savefig.transparent": True,
        }
    )
    for draw in (levels, scales, orders, over_time):
        draw(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
