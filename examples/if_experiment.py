"""The classic picture: what rate an integrate-and-fire neuron answers a constant input with.

    python examples/if_experiment.py [PICTURE]

A row of neurons gets currents from −0.5 to 1.5 thresholds and is simulated for a few timesteps.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np

import spikewright as sw
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Output

CURRENTS = np.linspace(-0.5, 1.5, 801, dtype=np.float32)
TIMESTEPS = 10


def rates(timesteps: int, **settings: object) -> np.ndarray:
    """The firing rate for each current, in spikes per timestep."""
    neurons = IF(name="neurons", inputs=("current",), **{"threshold": np.ones(()), "v_init": np.zeros(()), **settings})
    graph = Graph(
        [Input(name="current", shape=CURRENTS.shape), neurons, Output(name="rate", inputs=("neurons",))],
    )
    return sw.simulate(graph, CURRENTS[None], timesteps).output[0, -1]


def main(picture: str) -> None:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    plt.rcParams.update({**dict.fromkeys(inked, "#7b828d"), "savefig.transparent": True})  # read on white and on black
    panels = {
        "reset by subtraction, starting at 0": {},
        "reset by subtraction, starting at half the threshold": {"v_init": np.full((), 0.5)},
        "reset to zero, starting at 0": {"reset": "zero"},
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), sharey=True, constrained_layout=True)
    for axis, (title, settings) in zip(axes, panels.items(), strict=True):
        axis.plot(CURRENTS, np.maximum(CURRENTS, 0), color="#8a919b", linestyle="--", linewidth=1.2, label="ReLU")
        axis.plot(CURRENTS, rates(200, **settings), color="#cf7314", linewidth=1.2, label="200 timesteps")
        axis.plot(
            CURRENTS, rates(TIMESTEPS, **settings), color="#2a86cf", linewidth=1.8, label=f"{TIMESTEPS} timesteps"
        )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("constant input / threshold")
        axis.set_ylim(-0.04, 1.54)
    axes[0].set_ylabel("spikes per timestep")
    axes[0].legend(frameon=False, loc="upper left")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/images/if_experiment.png")
