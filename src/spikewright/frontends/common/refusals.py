"""What of a network is refused: collected while it is read, and told all at once."""

from __future__ import annotations

from collections.abc import Sequence

from spikewright.answer import settled
from spikewright.causes import Cause
from spikewright.errors import GraphError, NotFiniteError, Problem, SpikewrightError, UnsupportedModelError
from spikewright.graph import Node
from spikewright.text import first_line

NONSENSE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""What a rule may raise for settings and constants that a file holds and no framework would write."""


class Refusal(Exception):
    """Raised by a rule: this operator cannot be converted. The walk makes a problem of it and goes on.

    Args:
        why: the cause; or in words, where it is a matter of this one kind of operator.
        detail: what about it is the matter; the cause's advice follows.
        operator: what is refused, where it is not the whole operator.
    """

    def __init__(self, why: Cause | str, detail: str = "", *, operator: str = "") -> None:
        self.cause = why if isinstance(why, Cause) else None
        self.advice = why.message(detail) if isinstance(why, Cause) else why
        self.operator = operator
        super().__init__(self.advice)


REFUSED = (Refusal, GraphError, *NONSENSE)
"""What a rule raises for an operator that it cannot take."""


def problem_of(error: Exception, operator: str, where: str, fields: str = "settings") -> Problem:
    """The problem with an operator whose rule raised one of ``REFUSED``.

    Args:
        error: what it raised.
        operator: in its framework's words.
        where: it stands.
        fields: what its framework calls the settings and constants of an operator.

    Raises:
        NotFiniteError: the error itself, where trained weights are damaged: that is no matter of the operator.
    """
    if isinstance(error, Refusal):
        return Problem(error.operator or operator, where, error.advice, error.cause)
    if isinstance(error, NotFiniteError):
        raise error
    if isinstance(error, SpikewrightError):
        return Problem(operator, where, str(error))
    return Problem(operator, where, f"its {fields} do not make sense ({first_line(error)})")


class Problems:
    """The problems of a network that is being read, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._reserved: dict[str, Problem] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, *problems: Problem) -> None:
        """Note what cannot be converted."""
        self._found.update(dict.fromkeys(problems))

    def reserve(self, node: str, problem: Problem) -> None:
        """Note what is a problem unless the network ends in it.

        Args:
            node: the name of the activation's node.
            problem: what it is anywhere else.
        """
        self.add(problem)
        self._reserved[node] = problem

    def check(self, nodes: Sequence[Node] = (), purpose: str = "converted to spikes") -> None:
        """Refuse the network if anything in it cannot be taken.

        Args:
            nodes: all that were made of it, its outputs among them.
            purpose: what it cannot be.

        Raises:
            UnsupportedModelError: with every problem.
        """
        problems = settled(nodes, self._found, self._reserved)
        if problems:
            raise UnsupportedModelError(problems, purpose)
