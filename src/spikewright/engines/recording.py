"""What to record of a run: which values, of which nodes, at which timesteps, to where."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF
from spikewright.settings import check_choices

RECORDS = ("spikes", "events", "potentials", "nonzero")
"""What can be recorded beside outputs and counts: see BatchRun."""


@dataclass(frozen=True)
class Record:
    """What to record beside counts; nothing by default, since trains grow with samples and timesteps.

    Attributes:
        what: any of "spikes" (dense), "events" (the same one by one), "potentials" and "nonzero" (in how many
            timesteps each input value of a layer with weights was not zero).
        nodes: names of nodes or patterns (``"conv*"``); all by default.
        steps: at which timesteps: "all"; "last:8"; "every:4", the 4th, 8th, …; "10:20", timesteps from 10 up to but
            not including 20, counted from 0 as in ``Events.timestep``; or a ``range``. "nonzero" counts them all.
        folder: a folder, new or empty, where events of these nodes and steps are written one by one, batch after batch,
            so that memory does not grow with the number of samples; ``load_events`` reads it.
        force: whether the folder may replace the events of an earlier run.
        outputs: whether the answers are kept, at every timestep.

    Raises:
        SettingsError: for what cannot be recorded, or steps that say nothing.
    """

    what: str | tuple[str, ...] = ()
    nodes: str | tuple[str, ...] = "*"
    steps: str | range = "all"
    folder: Path | str | None = None
    force: bool = False
    outputs: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", _names(self.what, "record", RECORDS))
        unknown = sorted(set(self.what) - set(RECORDS))
        if unknown:
            raise SettingsError(f"cannot record '{unknown[0]}'; choose from {', '.join(RECORDS)}")
        object.__setattr__(self, "nodes", _names(self.nodes, "record: nodes"))
        if not self.nodes:
            raise SettingsError("record: nodes names none; '*' stands for all")
        object.__setattr__(self, "steps", _steps_text(self.steps))
        if self.folder is not None:
            try:
                object.__setattr__(self, "folder", os.fspath(self.folder))
            except TypeError:
                raise SettingsError(f"record: folder must be a path, not {self.folder!r:.60}") from None
        check_choices(force=(self.force, bool), outputs=(self.outputs, bool))
        if "nonzero" in self.what and self.steps != "all":
            raise SettingsError(f"'nonzero' counts all timesteps; it cannot be recorded at steps '{self.steps}' alone")

    def __str__(self) -> str:
        """``spikes, events of conv* at last:8``."""
        text = ", ".join(self.what) or ("nothing" if self.folder is None else "events")
        if self.nodes != ("*",):
            text += f" of {', '.join(self.nodes)}"
        if self.steps != "all":
            text += f" at {self.steps}"
        return text if self.folder is None else f"{text} to {self.folder}"

    def fitted(self, graph: Graph, timesteps: int) -> Recording:
        """What this means for one network and T timesteps.

        Raises:
            SettingsError: for a name or pattern of which nothing can be recorded, and steps beyond the run.
        """
        kinds = tuple(self.what) if self.folder is None or "events" in self.what else (*self.what, "events")
        can = {kind: [node.name for node in graph if _records(kind, node)] for kind in kinds}
        for pattern in self.nodes:
            if not kinds or pattern == "*":
                break
            if not any(_matches(name, pattern) for names in can.values() for name in names):
                raise SettingsError(_unknown(pattern, graph, kinds, can))
        chosen = {
            kind: frozenset(name for name in names if any(_matches(name, pattern) for pattern in self.nodes))
            for kind, names in can.items()
        }
        return Recording(chosen, _timesteps(str(self.steps), timesteps), timesteps)


@dataclass(frozen=True, eq=False)
class Recording:
    """What is recorded of one network over T timesteps.

    Attributes:
        nodes: by what is recorded: of which nodes.
        steps: ``(S,)``, rising, from 0: at which timesteps.
        timesteps: T.
        summed: whether sums over the samples of a batch are enough of what is counted: ``(1, *shape)`` in place of
            ``(B, *shape)``, which an engine may give but need not.
    """

    nodes: Mapping[str, frozenset[str]]
    steps: NDArray[np.int64]
    timesteps: int
    summed: bool = False

    def has(self, kind: str, name: str) -> bool:
        """Whether something is recorded of a node."""
        return name in self.nodes.get(kind, ())

    def any(self, *kinds: str) -> bool:
        """Whether one of these is recorded of any node."""
        return any(self.nodes.get(kind) for kind in kinds)

    def also(self, kind: str, graph: Graph) -> Recording:
        """The same, with one thing more of all nodes that have it."""
        names = frozenset(node.name for node in graph if _records(kind, node))
        return replace(self, nodes={**self.nodes, kind: names})

    @property
    def whole(self) -> bool:
        """Whether all timesteps are recorded."""
        return len(self.steps) == self.timesteps

    @cached_property
    def rows(self) -> Mapping[int, int]:
        """The row of each timestep that is recorded."""
        return {int(t): row for row, t in enumerate(self.steps)}

    def within(self, time: slice) -> tuple[slice, NDArray[np.int64]]:
        """The recorded timesteps of a chunk: their rows among all that are recorded, and their places in the chunk."""
        first, last = np.searchsorted(self.steps, (time.start, time.stop))
        return slice(int(first), int(last)), self.steps[first:last] - time.start


def as_recording(record: Recording | Collection[str], graph: Graph, timesteps: int) -> Recording:
    """What an engine is to record: as it was made, or from names alone."""
    return record if isinstance(record, Recording) else Record(tuple(record)).fitted(graph, timesteps)


def _records(kind: str, node: Node) -> bool:
    """Whether a node has what can be recorded."""
    if kind == "potentials":
        return isinstance(node, IF)
    return is_noted(node) if kind == "nonzero" else node.population


def is_noted(node: Node) -> bool:
    """Whether activity is recorded of what a node reads, or is."""
    return not node.population and (node.weighted or not node.inputs)


def _matches(name: str, pattern: str) -> bool:
    """Whether a name is meant: a name that holds ``*`` or ``[`` means itself too."""
    return name == pattern or fnmatchcase(name, pattern)


def _unknown(pattern: str, graph: Graph, kinds: Collection[str], can: Mapping[str, Collection[str]]) -> str:
    there = list(dict.fromkeys(name for names in can.values() for name in names))
    known = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
    if any(_matches(node.name, pattern) for node in graph):
        return f"record: '{pattern}' has no {' or '.join(kinds)} to record; these have: {known}"
    return f"record: the network has no node '{pattern}'; {' or '.join(kinds)} can be recorded of: {known}"


def _names(value: object, label: str, choices: Collection[str] = ()) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, Collection) or not all(isinstance(name, str) for name in found):
        raise SettingsError(f"{label} takes names{': ' if choices else ''}{', '.join(choices)}")
    return tuple(sorted(found) if isinstance(found, set | frozenset) else found)


_STEPS = re.compile(r"all|(last|every):([1-9]\d*)|(\d+):(\d+)(?::([1-9]\d*))?")


def _steps_text(steps: object) -> str:
    """The steps of a record as text, once it is clear that they are some."""
    if isinstance(steps, range):
        if not len(steps) or steps.start < 0 or steps.step < 1:
            raise SettingsError(f"record: steps must be a range upwards from 0 or more that is not empty, not {steps}")
        steps = f"{steps.start}:{steps.stop}" + (f":{steps.step}" if steps.step > 1 else "")
    found = _STEPS.fullmatch(steps) if isinstance(steps, str) else None
    if not isinstance(steps, str) or found is None or (found[3] is not None and int(found[3]) >= int(found[4])):
        raise SettingsError(
            f"record: steps must be 'all', 'last:8', 'every:4', a stretch like '10:20', or a range, not {steps!r:.40}"
        )
    return steps


def _timesteps(text: str, timesteps: int) -> NDArray[np.int64]:
    """``(S,)`` the timesteps that a text means."""
    every = np.arange(timesteps)
    word, _, number = text.partition(":")
    if word == "all":
        return every
    if word == "last":
        most, found = int(number), every[-int(number) :]
    elif word == "every":
        most, found = int(number), every[int(number) - 1 :: int(number)]
    else:
        start, stop, step = (*map(int, text.split(":")), 1)[:3]
        found = np.arange(start, stop, step)
        most = int(found[-1]) + 1
    if most > timesteps:
        raise SettingsError(f"record: steps '{text}' reach beyond the {timesteps} timesteps of the run")
    return found
