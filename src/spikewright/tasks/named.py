"""Tasks by name: the file's name is the task's name on the command line."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from spikewright.errors import SettingsError
from spikewright.tasks.task import Task


@cache
def tasks() -> dict[str, type[Task]]:
    """Every task of this folder by name."""
    package = __name__.rpartition(".")[0]
    found: dict[str, type[Task]] = {}
    for info in iter_modules(import_module(package).__path__):
        if info.name in ("task", "find", "named"):
            continue
        module = import_module(f"{package}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__:
                found[info.name] = value
    return found


def parse(text: str) -> Task:
    """A task from its command-line form: ``classification``, ``dense:ignore=255``.

    Raises:
        SettingsError: for an unknown task or option.
    """
    name, _, rest = text.strip().partition(":")
    if name not in tasks():
        raise SettingsError(f"unknown task '{name}'; choose one of {', '.join(sorted(tasks()))}")
    return tasks()[name].from_words([word for word in rest.split(",") if word])
