"""Names of nodes: inputs keep those of the framework, then outputs, and layers give way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spikewright.text import free_name


class Names:
    """The names that are taken in a graph that is being made.

    Inputs are named first, then outputs, then all the rest, so that people who know a network by what goes in and comes
    out find it by these names.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """The wanted name, or the next free one, which is taken from now on."""
        name = wanted
        while name in self.taken:
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            name = f"{wanted}_{self._counts[wanted]}"
        self.taken.add(name)
        return name

    def free(self, wanted: str) -> str:
        """The wanted name, or the next free one, which nobody has taken yet."""
        return free_name(wanted, self.taken)

    def outputs(self, names: Sequence[str]) -> list[str]:
        """The names of a network's outputs, taken before those of its layers.

        Args:
            names: the framework's; an output for which it has none ("") is called "output".
        """
        return [self.unique(name or "output") for name in names]

    def inputs(self, names: Iterable[str]) -> list[str]:
        """The names of a network's inputs, taken before all others."""
        return [self.unique(name) for name in names]
