"""What is one file each, and in no list: found in a folder of this package, and in files that other packages announce.

A node, a pass, a threshold method, an encoder, a task, a measure, a format: each kind has a ``Registry``. A file of the
kind's folder is found by being there. A file of another package is found by an entry point in the kind's group, whose
value is the file::

    [project.entry-points."spikewright.methods"]
    half = "spikewright_flip.half"

Both are read in the same way, when the registry is first asked, and never before. A file of another package that cannot
be used is left out with a warning that names the package: it stands in nobody's way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Any, Generic, TypeVar, cast

from spikewright.errors import SpikewrightError, warn
from spikewright.text import one_line

T = TypeVar("T")
Held = Callable[[ModuleType], Mapping[str, T]]
"""What a file holds of a kind, by name."""


class Registry(Generic[T]):
    """All of one kind, by name: ``registry()`` is a mapping, with those of this package first.

    Args:
        group: of entry points: "spikewright.methods".
        what: one of the kind, in words: "a threshold method".
        held: what a file holds of the kind: ``class_of``, ``classes``, ``values`` or ``function``.
        folder: the package whose files are read; None where only other packages have some.
    """

    def __init__(self, group: str, what: str, held: Held[T], folder: str | None = None) -> None:
        self.group, self.what, self.held, self.folder = group, what, held, folder

    def __call__(self) -> Mapping[str, T]:
        """Every one by its name.

        Warns:
            SpikewrightWarning: once for each file of another package that cannot be used, naming the package.
        """
        return self._all

    def names(self) -> tuple[str, ...]:
        """What can be asked for, of a kind that is named by its files, without importing any of another package."""
        files = (point.value.rpartition(".")[2] for point in entry_points(group=self.group))
        return tuple(sorted({*self.own, *files}))

    @cached_property
    def own(self) -> Mapping[str, T]:
        """Those in this package's folder: its files by their names, without those that begin with ``_``."""
        found: dict[str, T] = {}
        if self.folder is None:
            return found
        for info in iter_modules(import_module(self.folder).__path__):
            if not info.name.startswith("_"):
                found |= self.held(import_module(f"{self.folder}.{info.name}"))
        return MappingProxyType(found)

    @cached_property
    def _all(self) -> Mapping[str, T]:
        found = dict(self.own)
        owners = dict.fromkeys(found, "Spikewright")
        refused: list[str] = []
        points = entry_points(group=self.group)
        for point in sorted(points, key=lambda point: (_owner(point), point.name, point.value)):
            try:
                values = self._of(point)
                for name in values:
                    if name in owners:
                        raise SpikewrightError(f"the name '{name}' is taken by {owners[name]}")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a file of somebody else does when it is imported
                why = str(error) if isinstance(error, SpikewrightError) else f"{type(error).__name__}: {error}"
                refused.append(one_line(f"package {_owner(point)}: {self.what} in {point.value} is left out: {why}"))
                continue
            found |= values
            owners |= dict.fromkeys(values, f"package {_owner(point)}")
        warn(refused)
        return MappingProxyType(found)

    def _of(self, point: EntryPoint) -> Mapping[str, T]:
        """What the file of an entry point holds."""
        if ":" in point.value:
            raise SpikewrightError(f'an entry point of {self.group} names a file: {point.name} = "{point.module}"')
        module = import_module(point.value)
        values = self.held(module)
        if not values:
            for name, cls in _unfinished(module).items():
                raise SpikewrightError(f"{name} lacks {', '.join(sorted(cls.__abstractmethods__))}")
            raise SpikewrightError(f"the file holds no such thing as {self.what}")
        return values


def _owner(point: EntryPoint) -> str:
    """The package that announces an entry point, with its version."""
    return "of an unknown name" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def file_name(module: ModuleType | type) -> str:
    """The last part of a file's dotted name, which is the name of what is one a file."""
    dotted = module.__module__ if isinstance(module, type) else module.__name__
    return dotted.rpartition(".")[2]


def _defined(module: ModuleType, kind: type) -> dict[str, Any]:
    """The public classes of a kind that a file defines, in its order; none of the file that the kind stands in."""
    if module.__name__ == kind.__module__:
        return {}
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, kind)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and not isabstract(value)
    }


def _unfinished(module: ModuleType) -> dict[str, Any]:
    """The classes of a file that cannot be made, since they lack methods of their kind."""
    return {
        name: value for name, value in vars(module).items() if isabstract(value) and value.__module__ == module.__name__
    }


def classes(kind: Callable[..., T]) -> Held[type[T]]:
    """Every class derived from a kind that a file defines, by its own name."""
    return lambda module: _defined(module, cast(type, kind))


def class_of(kind: Callable[..., T]) -> Held[type[T]]:
    """The first class derived from a kind that a file defines, by the file's name."""
    return lambda module: {file_name(module): cls for cls in list(_defined(module, cast(type, kind)).values())[:1]}


def values(*kinds: type) -> Held[Any]:
    """Every value of some types that was made in a file, as its ``made_in`` says, by its name there."""
    return lambda module: {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, kinds) and getattr(value, "made_in", None) == module.__name__
    }


def function(prefix: str) -> Held[Callable[..., Any]]:
    """The function of a file that is called after it, behind a prefix: ``export_dot`` of ``dot.py``, as "dot"."""

    def held(module: ModuleType) -> dict[str, Callable[..., Any]]:
        name = file_name(module)
        found = getattr(module, prefix + name, None)
        return {name: found} if callable(found) else {}

    return held
