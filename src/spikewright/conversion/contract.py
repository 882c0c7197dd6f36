"""What the neurons of a spiking network ask of who runs them: a chip, a simulator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from spikewright.graph import Graph
from spikewright.nodes import IF
from spikewright.nodes.integrate_and_fire import Schedule

ContractName = Literal["A", "A'", "B", "B2", "C", "D"]
FREE, BY_WINDOW = "T timesteps, whatever the depth", "a window for every population on the longest path, and one more"


@dataclass(frozen=True)
class Contract:
    """What the neurons of a network ask of who runs them; ``docs/neurons.md`` has the table of the names.

    ``str`` gives one line: what a neuron must be able to do, how latency counts, how many levels there are.

    Attributes:
        names: of the contracts that all have to be kept: ("A",) alone, or those that go beyond it.
        needs: what a neuron must be able to do, a phrase each.
        most_spikes: in a step; None for any number.
        schedule: "free", "layered" or "few_spike".
    """

    names: tuple[ContractName, ...] = ("A",)
    needs: tuple[str, ...] = ()
    most_spikes: int | None = 1
    schedule: Schedule = "free"

    @property
    def latency(self) -> str:
        """After how long the answer is there."""
        return FREE if self.schedule == "free" else BY_WINDOW

    def levels(self, timesteps: int) -> int | None:
        """How many values a count may have after T timesteps, zero included; of windows after one of T timesteps. None
        where a neuron may send any number of spikes."""
        if self.schedule == "few_spike":
            return int(2**timesteps)
        return None if self.most_spikes is None else self.most_spikes * timesteps + 1

    def __str__(self) -> str:
        """``A: 0 or 1 a step, …; latency: T timesteps, whatever the depth; T + 1 levels in T steps``."""
        most = self.most_spikes
        several = "any number of" if most is None else "T + 1" if most == 1 else f"{most}·T + 1"
        levels = "2^T" if self.schedule == "few_spike" else several
        needs = "; ".join(self.needs)
        return f"{' and '.join(self.names)}: {needs}; latency: {self.latency}; {levels} levels in T steps"

    def summary(self) -> dict[str, object]:
        """The same as plain JSON-like values."""
        return {"names": list(self.names), "needs": list(self.needs), "latency": self.latency, "text": str(self)}


def contract_of(graph: Graph) -> Contract:
    """What the neurons of a spiking graph ask for, all populations together."""
    neurons = graph.of_type(IF)
    caps = {neuron.max_spikes for neuron in neurons} or {1}
    most = None if None in caps else max(cap for cap in caps if cap is not None)
    schedule: Schedule = next((neuron.schedule for neuron in neurons if neuron.schedule != "free"), "free")
    asked = [(name, phrase) for name, phrase, holds in _asked(neurons, most, schedule) if holds]
    beyond: tuple[ContractName, ...] = tuple(dict.fromkeys(name for name, _ in asked if name != "A"))
    return Contract(beyond or ("A",), tuple(phrase for _, phrase in asked), most, schedule)


def _asked(neurons: Iterable[IF], most: int | None, schedule: Schedule) -> tuple[tuple[ContractName, str, bool], ...]:
    """What may be asked for: the contract that it belongs to, what it is, and whether it is."""
    own = tuple(neurons)
    signed, free = any(n.signed for n in own), schedule == "free"
    several = "any number of spikes a step" if most is None else f"up to {most} spikes a step"
    sign = ", and as many of −1 that take back what was sent" if most != 1 else ""
    return (
        (
            "B",
            "−1, 0 or 1 a step; −1 only takes back what the neuron sent, so it remembers the sum",
            signed and most == 1,
        ),
        ("B2", f"{several}{sign if signed else ''}", free and most != 1),
        ("B", "the sum of what it sent is remembered, so that no −1 takes back more", signed and most != 1),
        ("C", "all T steps are added up, then the count is sent, spread evenly over the next T", schedule == "layered"),
        ("D", "all steps are added up, then sent one bit a step: step t = 1 … T weighs 2^−t", schedule == "few_spike"),
        ("A", "0 or 1 spike a step", free and most == 1 and not signed),
        ("A", "the threshold is taken off for each spike", free and any(n.reset == "subtract" for n in own)),
        ("A", "the potential is set back after a spike", any(n.reset == "zero" for n in own)),
        ("A", "the potential leaks", any(n.decay != 1 for n in own)),
        ("A", "the potential has a lower end", any(n.v_min is not None for n in own)),
        ("A'", "a bias for each step, from a table", any(n.step_bias is not None for n in own)),
        ("A'", "a bias that acts once the neuron has fired", any(n.fired_bias is not None for n in own)),
        ("A'", "the potential ends at zero from below until the first spike", any(n.no_debt for n in own)),
    )
