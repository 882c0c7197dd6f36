"""Max pooling of spikes, by one of four policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from spikewright.connections import Connections, sliding
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Shape, ToTensor
from spikewright.nodes.max_pool import MaxPool
from spikewright.settings import whole

if TYPE_CHECKING:
    from torch import Tensor

Policy = Literal["count_max", "avg_max", "exp_max", "fir_max"]

LONGEST_HORIZON = 2**16
"""Timesteps of memory at most: so many spikes of each neuron are kept."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikeMaxPool(MaxPool):
    """Windows like MaxPool's, over spikes.

    ``count_max`` sends what the largest cumulative count of a window has risen by: its rate is the largest
    rate exactly, at every step. The others let the spikes of one neuron of the window through (the first of
    those that tie), the one with the largest estimate of its firing rate (Rueckauer et al. 2017):

    * ``avg_max``: the mean over all steps so far;
    * ``exp_max``: an exponentially weighted mean, ``r ← r + (n − r) / horizon``;
    * ``fir_max``: the mean over the last ``horizon`` steps.

    Attributes:
        policy: one of the four.
        horizon: in timesteps, for ``exp_max`` and ``fir_max``.
    """

    policy: Policy = "count_max"
    horizon: int = 16
    population: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "horizon", whole(f"{self}: horizon", self.horizon, 1, LONGEST_HORIZON))
        if self.policy not in get_args(Policy):
            known = ", ".join(get_args(Policy))
            raise SettingsError(f"{self}: unknown max-pooling policy {self.policy!r}; choose one of {known}")

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        raise GraphError(f"{self}: a spiking population answers over time only; simulate the graph")

    def connections(self, *inputs: Shape) -> Connections:
        """One for each spike train that a neuron chooses from: it has no weight but one."""
        shape = self.infer_shape(*inputs)
        settings = zip(inputs[0][1:], self.kernel, self.stride, self.padding, self.dilation, shape[1:], strict=True)
        return Connections(inputs[0], shape, tuple(sliding(*axis) for axis in settings), groups=shape[0])
