"""Spiking populations: integrate-and-fire neurons, with and without leak.

One step of time, for a population with input current ``I``::

    v ← decay·v + I
    n = max(0, floor(v / threshold)), at most max_spikes
    v ← v − n·threshold            (reset by subtraction)
    v ← v_reset where n > 0        (reset to zero)
    v ← max(v, v_min)              (where a lower clamp is set)

The population emits ``n``, an integer; its threshold is folded into the weights that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Array, Node, Shape, ToTensor
from spikewright.settings import LARGEST

if TYPE_CHECKING:
    from torch import Tensor

Reset = Literal["subtract", "zero"]
Schedule = Literal["free", "layered", "few_spike"]


def unlike_windows(*, reset: Reset, max_spikes: int | None, v_min: Array | float | None, leak: float) -> str:
    """The first setting that neurons cannot have which add up a window and send in the next; empty for none."""
    settings = {
        "leak": leak != 1.0,
        "reset to zero": reset == "zero",
        "spikes but one a step": max_spikes != 1,
        "lowest potential": v_min is not None,
    }
    return next((label for label, given in settings.items() if given), "")


@dataclass(frozen=True, eq=False, kw_only=True)
class IF(Node):
    """Integrate-and-fire.

    Attributes:
        threshold: one for all (shape ``()``), one a channel, or one a neuron.
        v_init: the membrane potential before the first step, in the same unit and with the same shapes.
        reset: ``"subtract"`` takes the threshold off for each spike; ``"zero"`` sets the potential to ``v_reset``.
        v_reset: for ``reset="zero"``.
        max_spikes: how many spikes a neuron may send in one step: 1 single, None any number, else a cap.
        v_min: the lowest potential, with the same shapes (or a plain number), or None.
        schedule: ``"free"`` is the step above. Of the others neurons add up a window of T steps and send in the next:
            ``"layered"`` so many spikes, evenly spaced; ``"few_spike"`` the bits of that number, so that a spike in
            step t = 1 … T weighs ``2^−t``. See ``engines/windows``.
    """

    threshold: Array
    v_init: Array
    reset: Reset = "subtract"
    v_reset: float = 0.0
    max_spikes: int | None = 1
    v_min: Array | float | None = None
    schedule: Schedule = "free"
    population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for label in ("threshold", "v_init"):  # plain numbers are welcome
            object.__setattr__(self, label, np.asarray(getattr(self, label)))
        super().__post_init__()
        if not (self.threshold > 0).all():
            raise GraphError(f"{self}: every threshold must be positive; the lowest is {self.threshold.min()}")
        if self.reset not in ("subtract", "zero"):
            raise SettingsError(f"{self}: reset must be 'subtract' or 'zero', not {self.reset!r}")
        cap = 1 if self.max_spikes is None else self.max_spikes
        if not 1 <= cap <= LARGEST or cap != int(cap):
            raise SettingsError(f"{self}: max_spikes must be a whole number, 1 to {LARGEST:,}, or None, not {cap}")
        for label in ("v_reset", "v_min"):
            value = getattr(self, label)
            if value is not None and not np.isfinite(value).all():
                raise SettingsError(f"{self}: {label} must be finite, not {value}")
        if self.v_min is not None and (np.asarray(self.v_min) > 0).any():
            raise SettingsError(f"{self}: v_min must be 0 or below, not {np.max(self.v_min)}")
        self._check_schedule()

    def _check_schedule(self) -> None:
        """Refuse what a neuron that adds up a window and then sends cannot be."""
        if self.schedule not in get_args(Schedule):
            known = ", ".join(get_args(Schedule))
            raise SettingsError(f"{self}: unknown schedule {self.schedule!r}; choose one of {known}")
        if self.schedule != "free" and (idle := self.unlike_windows):
            raise SettingsError(f"{self}: {self.schedule} neurons add up a window, then send: they have no {idle}")

    @property
    def unlike_windows(self) -> str:
        """The first of its settings that neurons which exchange window by window cannot have; empty for none."""
        return unlike_windows(reset=self.reset, max_spikes=self.max_spikes, v_min=self.v_min, leak=self.decay)

    @property
    def decay(self) -> float:
        """What is left of the potential after one step without input."""
        return 1.0

    @property
    def parameters(self) -> int:
        return 0

    def infer_shape(self, *inputs: Shape) -> Shape:
        for label, array in self.arrays.items():
            if array.shape not in ((), inputs[0][:1], inputs[0]):
                raise GraphError(f"{self}: {label} {array.shape} does not fit a population of {inputs[0]}")
        return inputs[0]

    def spread(self, values: Array, shape: Shape) -> Array:
        """A threshold or potential over every neuron of the population."""
        if values.shape == shape or values.ndim == 0:
            return np.broadcast_to(values, shape)
        return np.broadcast_to(values.reshape(-1, *(1 for _ in shape[1:])), shape)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        raise GraphError(f"{self}: a spiking population answers over time only; simulate the graph")


@dataclass(frozen=True, eq=False, kw_only=True)
class LIF(IF):
    """Leaky integrate-and-fire.

    Attributes:
        leak: what is left of the potential after one step, ``exp(-dt/tau)``, in [0, 1]; 0 is a bare threshold.
    """

    leak: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.leak <= 1:
            raise SettingsError(f"{self}: leak must be in [0, 1], not {self.leak}")

    @property
    def decay(self) -> float:
        return self.leak
