"""Tables of rules, filled by decorators: what to do with each operator, by the framework's name for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


class Rules(dict[str, R]):
    """What to do with each operator, by its name."""

    def converts(self, *operators: str) -> Callable[[R], R]:
        """Register a function for some operators, as a decorator."""

        def register(rule: R) -> R:
            self.update(dict.fromkeys(operators, rule))
            return rule

        return register


def words(text: str) -> list[str]:
    """Names that a table writes one behind the other."""
    return text.split()
