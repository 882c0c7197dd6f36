"""When whatever speaks in a network that exchanges window by window: its schedule, and every node's window."""

from __future__ import annotations

from spikewright.engines.recording import Recording
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Add, Output, SpikeMaxPool
from spikewright.nodes.integrate_and_fire import Schedule

LONGEST_FEW_SPIKE = 24
"""The most timesteps of a few-spike window: float32 holds every whole number below 2^24."""


def schedule_of(graph: Graph) -> Schedule:
    """The schedule of a spiking network's populations.

    Raises:
        SettingsError: where they have several, or a pool that has no place in one.
    """
    populations = graph.of_type(IF)
    kinds: dict[Schedule, IF] = {}
    for node in populations:
        kinds.setdefault(node.schedule, node)
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise SettingsError(
            f"all populations of a network keep one schedule: '{one.name}' is {one.schedule}, '{other.name}' is "
            f"{other.schedule}"
        )
    schedule: Schedule = next(iter(kinds), "free")
    if schedule != "free":
        for pool in graph.of_type(SpikeMaxPool):
            if pool.policy != "count_max":
                raise SettingsError(
                    f"{pool}: {pool.policy} estimates rates over time; {schedule} windows take count_max alone"
                )
    return schedule


def check_windows(graph: Graph, recording: Recording, timesteps: int) -> None:
    """Refuse what windows cannot do: be longer than numbers reach, and show potentials.

    Raises:
        SettingsError: with what can be instead.
    """
    schedule = schedule_of(graph)
    if recording.any("potentials"):
        raise SettingsError(
            f"{schedule} neurons add up a window and send what that makes: they have no potential after each step to "
            "record; record spikes, events or nonzero"
        )
    check_length(graph, timesteps)


def check_length(graph: Graph, timesteps: int) -> None:
    """Refuse windows that are longer than numbers reach.

    Raises:
        SettingsError: with the longest there can be.
    """
    if schedule_of(graph) == "few_spike" and timesteps > LONGEST_FEW_SPIKE:
        raise SettingsError(
            f"few_spike: each step halves what a spike weighs, so a window has at most {LONGEST_FEW_SPIKE} timesteps, "
            f"not {timesteps}; 4 to 8 are usual"
        )


def windows_of(graph: Graph) -> dict[str, int]:
    """The window in which each node speaks, counted from 0: inputs in window 0, a population one window after the last
    of all that it hears, everything else in that of the last it hears. What was sent before waits until then.

    An output's is the window over which its answer is read.
    """
    found: dict[str, int] = {}
    for node in graph:
        heard = max((found[name] for name in node.inputs), default=0)
        found[node.name] = heard + isinstance(node, IF)
    return found


def telling_nodes(graph: Graph) -> frozenset[str]:
    """The nodes whose values are the spikes of single neurons: populations, and what moves or pools their spikes."""
    found: set[str] = set()
    for node in graph:
        adds_up = isinstance(node, Add | Output) or node.connections(*graph.input_shapes(node)) is not None
        passes = node.inputs and found.issuperset(node.inputs) and (isinstance(node, SpikeMaxPool) or not adds_up)
        if isinstance(node, IF) or passes:
            found.add(node.name)
    return frozenset(found)


def latency_of(graph: Graph, timesteps: int) -> int:
    """After how many timesteps the last answer to a sample is there, if windows, of T steps, follow one another through
    the network: L·T, where L counts the populations of the longest path and the output's window. T for networks whose
    neurons run free. A new sample may begin every T steps.
    """
    if schedule_of(graph) == "free":
        return timesteps
    windows = windows_of(graph)
    return timesteps * (1 + max((windows[output.name] for output in graph.of_type(Output)), default=0))
