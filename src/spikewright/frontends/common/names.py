"""Names of nodes: inputs keep those of the framework, then outputs, and layers give way."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence


def free_name(wish: str, taken: Container[str]) -> str:
    """The wished name, or the first that is free of ``relu_2``, ``relu_3`` and so on."""
    name, count = wish, 1
    while name in taken:
        count += 1
        name = f"{wish}_{count}"
    return name


class Names:
    """The names that are taken in a graph that is being made.

    Inputs are named first, then outputs, then all the rest, so that people who know a network by what goes in and comes
    out find it by these names.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def unique(self, wish: str) -> str:
        """The wished name, or the next free one, which is taken from now on."""
        name = self.free(wish)
        self.taken.add(name)
        return name

    def free(self, wish: str) -> str:
        """The wished name, or the next free one, which nobody has taken yet."""
        return free_name(wish, self.taken)

    def outputs(self, names: Sequence[str]) -> list[str]:
        """The names of a network's outputs, taken before any layer's.

        Args:
            names: the framework's, empty where it has none; of a single output too, which is called "output" then.
        """
        return [self.unique(name or "output") for name in names]

    def inputs(self, names: Iterable[str]) -> list[str]:
        """The names of a network's inputs, taken before all others."""
        return [self.unique(name) for name in names]
