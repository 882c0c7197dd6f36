"""Tasks by name: the file's name is the task's name on the command line."""

from __future__ import annotations

from spikewright.errors import SettingsError
from spikewright.registry import Registry, class_of
from spikewright.tasks.task import Task

tasks = Registry("spikewright.tasks", "a task", class_of(Task), folder="spikewright.tasks")
"""Every task by name."""


def parse(text: str) -> Task:
    """A task from its command-line form: ``classification``, ``dense:ignore=255``.

    Raises:
        SettingsError: for an unknown task or option.
    """
    name, _, rest = text.strip().partition(":")
    if name not in tasks():
        raise SettingsError(f"unknown task '{name}'; choose one of {', '.join(sorted(tasks()))}")
    return tasks()[name].from_words([word for word in rest.split(",") if word])
