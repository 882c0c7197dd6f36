"""How a network is fine-tuned: one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spikewright.chips.chip import Speck
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.settings import whole
from spikewright.training.cores import speck
from spikewright.training.losses import SynOpsLoss
from spikewright.training.memory import BUDGET
from spikewright.training.surrogates import Surrogate, surrogate

FASTEST = 1000
"""The highest learning rate: Adam moves every parameter by about that in each step."""


@dataclass(frozen=True)
class Recipe:
    """How a network is fine-tuned.

    Attributes:
        timesteps: T: the answer after so many steps is trained.
        epochs: how often all samples are seen.
        batch_size: samples of one step of the optimiser.
        rate: the learning rate of Adam at the beginning; it falls to 0 along half a cosine.
        surrogate: what stands for the slope of spikes, in units of the threshold.
        detach_reset: whether gradients take the reset for a constant.
        labels: weight of the loss of labels, where there are any.
        distillation: weight of the loss of the trained network's answers.
        biases: whether biases are trained.
        thresholds: whether thresholds are trained.
        synops_limit: by layer, by number of a core of ``chip``, and of ``"total"``; or one for each core, or for each
            layer where there is no chip: synaptic operations of a sample, or of a second where ``dt`` is given. None
            for none; with ``chip`` and ``dt`` for the chip's own.
        dt: seconds of a step.
        synops_weight: weight of the loss of operations.
        firing_rate: spikes of a neuron in a step that a population should not exceed on average; None for none.
        clip: whether weights are clipped after every step, so that one event adds no more than the threshold.
        chip: whose integers the network is trained to; None for none.
        noise: on weights, as a share of the largest of a layer; 0 for none.
        seed: of the order of samples, and of noise.
        budget: bytes of activations that are kept for the way back.

    Raises:
        SettingsError: for a setting outside its domain.
    """

    timesteps: int = 8
    epochs: int = 3
    batch_size: int = 64
    rate: float = 1e-3
    surrogate: Surrogate | str = "atan"
    detach_reset: bool = False
    labels: float = 1.0
    distillation: float = 1.0
    biases: bool = True
    thresholds: bool = False
    synops_limit: Mapping[str | int, float] | Mapping[str, float] | float | None = None
    dt: float | None = None
    synops_weight: float = 1.0
    firing_rate: float | None = None
    clip: bool = False
    chip: str | None = None
    noise: float = 0.0
    seed: int = 0
    budget: int = field(default=BUDGET)

    def __post_init__(self) -> None:
        object.__setattr__(self, "surrogate", surrogate(self.surrogate))
        for label in ("timesteps", "epochs", "batch_size", "budget"):
            whole(label, getattr(self, label), 1)
        whole("seed", self.seed, 0)
        for label in ("rate", "labels", "distillation", "synops_weight", "noise"):
            value = getattr(self, label)
            lowest = "above 0" if label == "rate" else "0 or more"
            good = isinstance(value, int | float) and 0 <= value < float("inf") and not (label == "rate" and not value)
            if not good:
                raise SettingsError(f"{label} must be a number, {lowest}, not {value!r:.40}")
        if self.rate > FASTEST:
            raise SettingsError(f"rate must be {FASTEST:,} or less, not {self.rate:g}")
        if not self.labels and not self.distillation:
            raise SettingsError("labels and distillation are both 0: there is nothing to learn from")

    def summary(self) -> dict[str, Any]:
        """Its settings as plain JSON-like values."""
        found = asdict(self) | {"surrogate": str(self.surrogate)}
        limit = self.synops_limit
        named = {_place(one): most for one, most in limit.items()} if isinstance(limit, Mapping) else limit
        return found | {"synops_limit": named}

    def synops_loss(self, network: Graph | Conversion, recorded: bool = False) -> SynOpsLoss | None:
        """The loss of operations of a network that is trained so; None where no limit is given.

        Args:
            network: a spiking graph, or a conversion.
            recorded: whether samples are recordings, which need ``dt`` anyway: a chip without a public limit has none
                then, where it is an error otherwise.

        Raises:
            SettingsError: for limits that cannot be, as ``SynOpsLoss``.
            UnsupportedModelError: with everything that no core of the chip computes.
        """
        limit = self.synops_limit
        own = self.chip is not None and self.dt is not None
        if limit is None and (not own or (recorded and not _public_limit(self.chip))):
            return None
        if not isinstance(limit, Mapping):
            return SynOpsLoss(network, limit, None, self.dt, self.chip)
        named: dict[str | int, float] = {place: most for place, most in limit.items() if place != "total"}
        return SynOpsLoss(network, named, limit.get("total"), self.dt, self.chip)

    @property
    def changed(self) -> tuple[tuple[str, bool | int | float | str], ...]:
        """What is not usual of it, as a conversion remembers it; T always."""
        usual, own = Recipe().summary(), self.summary()
        named = [label for label in own if label == "timesteps" or own[label] != usual[label]]
        return tuple((label, own[label] if not isinstance(own[label], dict) else str(own[label])) for label in named)


def _public_limit(chip: Speck | str | None) -> float | None:
    """The most operations in a second that are known of a core of a chip."""
    return None if chip is None else speck(chip).synops_per_second


def _place(one: str | int) -> str:
    """What a limit is of, as a text."""
    return f"core {one}" if isinstance(one, int) else one
