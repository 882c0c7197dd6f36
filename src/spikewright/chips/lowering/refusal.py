"""What a chip cannot do with a node, and what would do instead."""

from __future__ import annotations


class Refused(Exception):
    """A node, or what stands between two populations, that no core computes.

    Args:
        what: is the matter with it.
        advice: what would do instead.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what, self.advice = what, advice
