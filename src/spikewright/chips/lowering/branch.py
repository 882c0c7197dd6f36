"""A branch: one way from what sends spikes to a population, as one window behind one sum pool."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikewright.chips.lowering.window import Window


@dataclass(frozen=True, eq=False)
class Branch:
    """What lies between a node and the population that is looked at.

    Attributes:
        node: whose values the window reads, behind the pool.
        window: all of it but the pool.
        pool: the side of the sum pool before it; 1 for none.
        rewrites: names of what was rewritten on the way.
    """

    node: str
    window: Window
    pool: int = 1
    rewrites: tuple[str, ...] = ()

    def reading(self, node: str, window: Window | None = None, *rewrites: str, pool: int = 1) -> Branch:
        """The same, one node further back.

        Args:
            node: what is read now.
            window: with what stood between; None for the same.
            rewrites: what was rewritten.
            pool: of what stood between.
        """
        return replace(
            self,
            node=node,
            window=self.window if window is None else window,
            pool=self.pool * pool,
            rewrites=tuple(dict.fromkeys((*self.rewrites, *rewrites))),
        )
