"""The rows of the accuracy benchmark: which network by which contract at which T, how it is converted, and its goal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NETWORKS = ("cnn", "vgg", "resnet", "mobile")
SEEDS = (0, 1, 2)
"""Of the draw of the calibration images, and of what corrections draw."""


@dataclass(frozen=True)
class Recipe:
    """How a network is converted; ``{T}`` in the texts stands for the number of timesteps, ``{p}`` for a percentile.

    Attributes:
        method: threshold method.
        neurons: what the neurons are like.
        correct: corrections, in order.
    """

    method: str
    neurons: str = ""
    correct: tuple[str, ...] = ()

    def at(self, timesteps: int) -> Recipe:
        """The same with the number of timesteps in it."""
        words = {"T": timesteps, "p": PERCENTILES.get(timesteps, "99.9")}
        method, *rest = (text.format(**words) for text in (self.method, self.neurons, *self.correct))
        return Recipe(method, rest[0], tuple(rest[1:]))

    def __str__(self) -> str:
        """As it is typed on the command line."""
        neurons = [f"--neurons {self.neurons}"] if self.neurons else []
        return " ".join([f"--method {self.method}", *neurons, *(f"--correct {text}" for text in self.correct)])


@dataclass(frozen=True)
class Row:
    """One number of the table.

    Attributes:
        contract: what neurons may do; a peer's name for what a peer does.
        network: of ``NETWORKS``.
        timesteps: T; of few-spike neurons the steps of a window.
        recipe: how it is converted, for this T.
        goal: points below the analog network that are allowed; None where there is no goal.
    """

    contract: str
    network: str
    timesteps: int
    recipe: Recipe
    goal: float | None = None

    @property
    def key(self) -> str:
        """What tells it from other rows: with another recipe it is another row."""
        return f"{self.network}, {self.contract}, T={self.timesteps}, {self.recipe}"


STATIC = {
    "cnn": {4: 1.0, 8: 0.2},
    "vgg": {4: 1.0, 8: 0.4, 16: 0.1},
    "resnet": {4: 5.0, 8: 2.0, 16: 0.8, 32: 0.2},
    "mobile": {32: 2.0},
}
GOALS: dict[str, dict[str, dict[int, float]]] = {
    "static": STATIC,
    "bias per step": {
        net: {t: round(2 / 3 * goal, 2) for t, goal in goals.items()}
        for net, goals in STATIC.items()
        if net != "mobile"
    },
    "signed, bursts up to 4": {
        "cnn": {4: 0.3},
        "vgg": {4: 0.3},
        "resnet": {4: 2.0, 8: 0.4, 16: 0.1},
        "mobile": {16: 0.5},
    },
    "layered": {"cnn": {8: 0.3}, "vgg": {8: 0.3}, "resnet": {8: 0.8, 15: 0.3}, "mobile": {16: 0.3}},
    "few-spike": {net: {6: 0.2} for net in ("cnn", "vgg", "resnet")},
    "static, weights": {"resnet": {4: 2.5, 8: 1.0}},
    "layered, weights": {"resnet": {8: 0.4}},
}
"""Points below the analog network, by contract, network and T."""

PERCENTILES = {4: "98", 8: "98", 16: "99", 32: "99.9"}
"""Channel-wise percentile by T: fewer steps take smaller thresholds."""
PAIR = "v_init_and_bias:{T}"
RECIPES: dict[str, Recipe] = {
    "static": Recipe("percentile:{p},channels", "", (PAIR,)),
    "bias per step": Recipe("percentile:{p},channels", "", (PAIR, "bias:{T},steps")),
    "signed, bursts up to 4": Recipe("mmse:{T},channels", "signed,spikes=4"),
    "layered": Recipe("mmse:{T},channels", "schedule=layered", (PAIR,)),
    "few-spike": Recipe("percentile:99.9,channels", "schedule=few_spike"),
    "static, weights": Recipe("percentile:{p},channels", "", ("weights:{T}", PAIR)),
    "layered, weights": Recipe("mmse:{T},channels", "schedule=layered", ("weights:{T}", PAIR)),
}
"""How each contract is converted where ``OWN`` says nothing else, ``{p}`` the percentile of its T; chosen on training
images."""
COARSER, FINER = "percentile:97,channels", "percentile:99,channels"
OWN: dict[tuple[str, str, int], Recipe] = {
    ("static", "cnn", 8): Recipe(FINER, "", (PAIR,)),
    ("bias per step", "cnn", 8): Recipe(FINER, "", (PAIR, "bias:{T},steps")),
    ("static", "resnet", 4): Recipe(COARSER, "", (PAIR,)),
    ("bias per step", "resnet", 4): Recipe(COARSER, "", (PAIR, "bias:{T},steps")),
    ("static, weights", "resnet", 4): Recipe(COARSER, "", ("weights:{T}", PAIR)),
}
"""Recipes of single rows, by contract, network and T."""

PEERS: dict[str, Recipe] = {
    "SpikingJelly": Recipe("percentile:99.9,channels,zeros"),
    "FTBC": Recipe("mmse:{T},channels", "v_init=0.5", ("bias:{T},steps",)),
}
"""What others do, with their rules in our engine: the best setting of SpikingJelly 2.0 (a quantile over all rectified
values, channel by channel, half a threshold to begin with), and forward temporal bias calibration."""


def rows() -> Iterator[Row]:
    """Every row, those with goals first."""
    for contract, networks in GOALS.items():
        for network, goals in networks.items():
            for timesteps, goal in goals.items():
                recipe = OWN.get((contract, network, timesteps), RECIPES[contract])
                yield Row(contract, network, timesteps, recipe.at(timesteps), goal)
    for peer, recipe in PEERS.items():
        for network, goals in STATIC.items():
            for timesteps in goals:
                yield Row(peer, network, timesteps, recipe.at(timesteps))
