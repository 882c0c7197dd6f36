"""Every pass there is, and the order they run in: each file says where its passes stand, no list does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import get_args

from spikewright.errors import GraphError
from spikewright.passes.rewrite import Pass, RefusalCheck, Stage, applies
from spikewright.registry import Registry, values

steps: Registry[Pass | RefusalCheck] = Registry(
    "spikewright.passes", "a pass", values(Pass, RefusalCheck), folder="spikewright.passes"
)
"""Every pass and every refusal by its name."""


def passes() -> dict[str, Pass]:
    """Every pass by its name."""
    return {name: step for name, step in steps().items() if isinstance(step, Pass)}


def refusals(settings: Mapping[str, str]) -> tuple[RefusalCheck, ...]:
    """What is refused with some settings of ``prepare``, once a network is recognised."""
    return tuple(step for step in steps().values() if isinstance(step, RefusalCheck) and applies(step, settings))


def ordered(found: Collection[Pass], settings: Mapping[str, str]) -> dict[Stage, tuple[Pass, ...]]:
    """The passes that run with some settings, by stage, in order.

    ``after`` and ``before`` are a partial order; of those that may run next, the first by name does, so that the order
    depends on the passes alone.

    Args:
        found: all passes there are.
        settings: of ``prepare``.

    Raises:
        GraphError: for passes that wait for each other, and for one that is placed by what is no pass of its stage.
    """
    return {stage: _ordered({p.name: p for p in found if p.stage == stage}, settings) for stage in get_args(Stage)}


def _ordered(known: Mapping[str, Pass], settings: Mapping[str, str]) -> tuple[Pass, ...]:
    waits: dict[str, set[str]] = {name: set(step.after) for name, step in known.items()}
    for name, step in known.items():
        missing = {*step.after, *step.before, *step.again_after} - set(known)
        if missing:
            raise GraphError(
                f"pass {name}, in {step.made_in}, is placed by '{min(missing)}', which is no pass of its stage, "
                f"{step.stage}: {', '.join(sorted(known))}"
            )
        for other in step.before:
            waits[other].add(name)
    sorter = TopologicalSorter(waits)
    try:
        sorter.prepare()
    except CycleError as error:
        raise GraphError(f"these passes wait for each other: {', '.join(error.args[1])}") from error
    running: list[Pass] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready |= set(sorter.get_ready())
        name = min(ready)
        ready.remove(name)
        sorter.done(name)
        if applies(known[name], settings):
            running.append(known[name])
    return tuple(
        step for first in running for step in (first, *(again for again in running if first.name in again.again_after))
    )
