"""Tasks by name: the file's name is the task's name on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import ModuleType

from spikewright.errors import SettingsError
from spikewright.registry import Registry, class_of
from spikewright.tasks.score import Score
from spikewright.tasks.task import Task


def _held(module: ModuleType) -> dict[str, type[Task]]:
    found = class_of(Task)(module)
    for kind in found.values():
        if not isinstance(getattr(kind, "measures", None), Mapping):
            raise SettingsError("its measures must be scores by name")
    return dict(found)


tasks = Registry("spikewright.tasks", "a task", _held, folder="spikewright.tasks")
"""Every task by name."""


class _Scores(Mapping[str, Score]):
    """The scores of all tasks; of two of one name, that of the task that is found first."""

    @cached_property
    def found(self) -> dict[str, Score]:
        found: dict[str, Score] = {}
        for kind in tasks().values():
            found = {**kind.measures, **found}
        return found

    def __getitem__(self, name: str) -> Score:
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


SCORES = _Scores()
"""All scores, by the name they have in results."""


def parse(text: str) -> Task:
    """A task from its command-line form: ``classification``, ``dense:ignore=255``.

    Raises:
        SettingsError: for an unknown task or option.
    """
    name, _, rest = text.strip().partition(":")
    if name not in tasks():
        raise SettingsError(f"unknown task '{name}'; choose one of {', '.join(sorted(tasks()))}")
    return tasks()[name].from_words([word for word in rest.split(",") if word])
