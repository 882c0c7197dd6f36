"""Spiking populations: integrate-and-fire neurons, with and without leak.

One step of time, t = 0, 1, …, for a population with input current ``I``::

    I ← I + step_bias[t]                                 (t < rows of step_bias)
    I ← I + fired_bias where it has sent a spike         (t < rows of step_bias)
    v ← decay·v + I
    n = max(0, floor(v / threshold)), at most max_spikes
    n = −min(floor(−v / threshold) + 1, sent), at least −max_spikes, where v ≤ 0 and sent > 0    (signed)
    v ← v − n·threshold                                  (reset by subtraction)
    v ← v_reset where n > 0                              (reset to zero)
    v ← max(v, v_min)                                    (where a lower clamp is set)
    v ← max(v, 0) where it has never sent a spike, this step included    (no_debt)
    sent ← sent + n

The population emits ``n``, an integer; its threshold is folded into the weights that follow. ``sent`` is the sum of all
it has emitted, which no −1 takes below zero: signed neurons take back what they sent, and nothing else.

Sources: signed spikes with memory, ``IF_with_neg`` of https://github.com/h-z-h-cell/ANN-to-SNN-DCGS; a bias for each
step, FTBC (arXiv 2403.18388).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Array, Node, Shape, ToTensor
from spikewright.settings import LARGEST, plain

if TYPE_CHECKING:
    from torch import Tensor

Reset = Literal["subtract", "zero"]
Schedule = Literal["free", "layered", "few_spike"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)


ONLY_WHAT_IS_KEPT = (
    "signed neurons send −1 for what they sent and the potential no longer bears out, so nothing of it may be lost: "
    "they need reset='subtract' and no leak"
)


_IN_WINDOWS: Mapping[str, Any] = {
    "leak": 1.0,
    "reset": "subtract",
    "max_spikes": 1,
    "v_min": None,
    "signed": False,
    "no_debt": False,
    "step_bias": None,
    "max_pool": "count_max",
}
"""The settings that neurons of windows must have."""


def check_windows(whose: object, schedule: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that neurons cannot have which add up a window and send in the next.

    Args:
        whose: what the settings are of, for the message.
        schedule: of the neurons.
        settings: of the neurons, by name.

    Raises:
        SettingsError: for a schedule that does not exist, or naming the setting.
    """
    if schedule not in SCHEDULES:
        raise SettingsError(f"{whose}: unknown schedule {schedule!r:.40}; choose one of {', '.join(SCHEDULES)}")
    for label, only in _IN_WINDOWS.items():
        value = settings.get(label, only)
        if schedule != "free" and (value is not None if only is None else value != only):
            shown = "" if isinstance(value, np.ndarray) else f", not {value}"
            raise SettingsError(
                f"{whose}: {schedule} neurons add up a window, then send: {label} must be {only}{shown}"
            )


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
        signed: whether it takes spikes back, by sending −1, where it sent more than the potential bears out.
        no_debt: whether potentials end at zero from below until the first spike.
        step_bias: ``(steps, channels)``: added to the current in each of the first steps; nothing after them.
        fired_bias: ``(channels,)``: added in those steps too, once a neuron has sent a spike.
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
    signed: bool = False
    no_debt: bool = False
    step_bias: Array | None = None
    fired_bias: Array | None = None
    schedule: Schedule = "free"
    population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for label in ("threshold", "v_init", "step_bias", "fired_bias"):  # plain numbers are welcome
            if getattr(self, label) is not None:
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
        for label in ("signed", "no_debt"):
            if not isinstance(plain(getattr(self, label)), bool):
                raise SettingsError(f"{self}: {label} must be True or False, not {getattr(self, label)!r:.60}")
            object.__setattr__(self, label, bool(getattr(self, label)))
        if self.signed and (self.reset != "subtract" or self.decay != 1):
            raise SettingsError(f"{self}: {ONLY_WHAT_IS_KEPT}")
        if self.fired_bias is not None and self.step_bias is None:
            raise SettingsError(f"{self}: fired_bias acts in the steps of step_bias, and there is none; give zeros")
        check_windows(self, self.schedule, {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def decay(self) -> float:
        """What is left of the potential after one step without input."""
        return 1.0

    @property
    def parameters(self) -> int:
        return 0

    def infer_shape(self, *inputs: Shape) -> Shape:
        channels = inputs[0][:1]
        for label, array in self.arrays.items():
            if label in ("step_bias", "fired_bias"):
                rows = array.shape[:1] if label == "step_bias" else ()
                if not array.size or array.shape != (*rows, *channels):
                    first = "steps, " if label == "step_bias" else ""
                    raise GraphError(
                        f"{self}: {label} {array.shape} does not fit {inputs[0]}: it is ({first}channels), "
                        f"of {channels[0] if channels else 'no'} channels"
                    )
            elif array.shape not in ((), inputs[0][:1], inputs[0]):
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
