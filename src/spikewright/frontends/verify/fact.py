"""Whether a graph was run beside the framework it came from, as a fact that stays with the graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from spikewright.graph import Graph

KEY = "verified"
"""The key under which ``Graph.meta`` holds it."""


@dataclass(frozen=True)
class Verified:
    """What came of running a graph beside its framework.

    Attributes:
        against: the framework, such as ``"PyTorch"``; empty where nothing was compared.
        samples: how many samples were compared.
        batches: the batch sizes they were given in.
        difference: the largest, as a fraction of the range of the output it was found in.
        notes: what limits the comparison; where nothing was compared, why.
    """

    against: str = ""
    samples: int = 0
    batches: tuple[int, ...] = ()
    difference: float = 0.0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """``verified against PyTorch: 24 samples, batches of 2 and 3, largest difference 2e-07 of the range``."""
        if not self.against:
            return f"not verified: {'; '.join(self.notes) or 'nobody asked for it'}"
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        sizes = " and ".join(map(str, self.batches))
        found = f"{samples}, batches of {sizes}, largest difference {self.difference:.1g} of the range"
        return "; ".join((f"verified against {self.against}: {found}", *self.notes))

    @property
    def facts(self) -> dict[str, Any]:
        """Its fields as JSON holds them."""
        return {**asdict(self), "batches": list(self.batches), "notes": list(self.notes)}

    def on(self, graph: Graph) -> Graph:
        """The graph, with this fact about it."""
        return graph.with_nodes(graph, **{KEY: self.facts})


UNSEEN = Verified(notes=("verify=False (--no-verify)",))
"""The fact of a graph that its user wanted without a comparison."""


_DAMAGED = Verified(notes=("what the file says of it is damaged",))


def verification(graph: Graph) -> Verified:
    """What is known of a graph; of a spiking one, of the trained network it was converted from."""
    found = graph.meta.get(KEY)
    if found is None:
        if graph.meta.get("source") == "nir":
            return Verified(notes=("NIR comes without a framework that could run it",))
        return Verified(notes=("nothing is known of where this graph comes from",))
    try:
        read = Verified(
            against=_text(found["against"]),
            samples=int(found["samples"]),
            batches=tuple(int(n) for n in found["batches"]),
            difference=float(found["difference"]),
            notes=tuple(_text(note) for note in found["notes"]),
        )
    except (TypeError, ValueError, LookupError, OverflowError):
        return _DAMAGED
    return read if isfinite(read.difference) and len(read.notes) <= 20 else _DAMAGED


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:300]
