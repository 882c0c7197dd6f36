"""The window over which an answer is read: at timestep t the steps behind t₀, in place of all steps so far.

The first steps of a run say little, since the first spikes need some to get through the layers. What outputs give is
a mean over all steps, ``y(t)``; over a window it is ``(t·y(t) − t₀·y(t₀)) / (t − t₀)``, to which the activation that
the network ends in is applied as to any other. Up to t₀ the answer is that of all steps so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.engines.reference import BatchRun
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Output

if TYPE_CHECKING:
    from torch import Tensor


class WindowReadout:
    """Reads the answers of one network over a window.

    Args:
        graph: the spiking graph.
        start: t₀, the number of steps that are left out.
        timesteps: T, of the run.

    Attributes:
        graph: what is simulated: with outputs that give what they have added up, before any activation.

    Raises:
        SettingsError: for a window that begins at the end of the run or behind it, or a network whose populations send
            their spikes window by window, which have one already.
    """

    def __init__(self, graph: Graph, start: int, timesteps: int) -> None:
        check_window(start, timesteps)
        for node in graph.of_type(IF) if start else ():
            if node.schedule != "free":
                raise SettingsError(
                    f"{node}: sends its spikes window by window, and an answer is read over its own window: leave "
                    "readout_from away"
                )
        self.start, self.outputs = start, graph.of_type(Output)
        self.graph = graph
        if start:
            bare = (node.replace(activation=None, ceiling=None, axis=0, scalar=False) for node in self.outputs)
            self.graph = graph.replaced(*bare)

    def read(self, run: BatchRun) -> None:
        """Put answers over the window in the place of those over all steps."""
        if self.start:
            for node in self.outputs:
                run.outputs[node.name] = node.answer(window_means(run.outputs[node.name], self.start), lead=2)


def check_window(start: int, timesteps: int) -> None:
    """Refuse a window that begins at the end of a run or behind it.

    Raises:
        SettingsError: saying what to do.
    """
    if start >= timesteps:
        raise SettingsError(
            f"an answer that is read from timestep {start} on needs more than {start} timesteps, not {timesteps}: give "
            "more, or read from earlier on"
        )


def window_means(means: Tensor, start: int) -> Tensor:
    """Means over the steps behind t₀, from means over all steps so far.

    Args:
        means: ``(B, T, *shape)``.
        start: t₀, below T; up to it the means stay as they are.
    """
    import torch

    steps = torch.arange(1, means.shape[1] + 1, dtype=torch.float64, device=means.device)
    steps = steps.view(-1, *(1 for _ in means.shape[2:]))
    sums = means * steps
    late = (sums[:, start:] - sums[:, start - 1 : start]) / (steps[start:] - start)
    return torch.cat([means[:, :start], late.to(means.dtype)], dim=1)
