"""What reproduces a result: the command line it comes from, the versions that ran, the data it saw and its settings."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spikewright.errors import SettingsError

PROVENANCE = "provenance"
"""The name under which results hold it."""
PACKAGES = ("spikewright", "numpy", "torch")
"""Whose versions decide what comes out, beside Python's."""
_words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


def versions() -> dict[str, str]:
    """The versions of what runs, by name; of packages that are not installed none."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def commanded(words: Sequence[str]) -> Iterator[None]:
    """Let the provenance of what is made meanwhile hold a command line.

    Args:
        words: behind "spikewright".
    """
    before = _words.set(tuple(words))
    try:
        yield
    finally:
        _words.reset(before)


@dataclass(frozen=True)
class Provenance:
    """What one result comes from.

    Attributes:
        words: of the command line, behind "spikewright"; none where it was made in Python.
        versions: of what ran, by name.
        settings: what it was made with and on, by name: fingerprints of data and network, seeds, method, encoder,
            preprocessing; values are plain, or lists or tables of such.
    """

    words: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def now(cls, **settings: Any) -> Provenance:
        """The provenance of what is being made: by the command line and the versions that run.

        Args:
            settings: what it is made with and on.
        """
        return cls(_words.get(), versions(), settings)

    @property
    def command(self) -> str:
        """The command line as typed in a shell; empty where there is none."""
        return shlex.join(["spikewright", *self.words]) if self.words else ""

    @property
    def description(self) -> dict[str, Any]:
        """It as plain JSON-like values: what files hold of it."""
        return {"words": list(self.words), "versions": dict(self.versions), "settings": dict(self.settings)}

    @classmethod
    def described(cls, description: Any) -> Provenance:
        """What a ``description`` was made of.

        Raises:
            SettingsError: for something else.
        """
        from spikewright.settings import fits  # brings NumPy, which help and completion do without

        hints = {"words": list[str], "versions": dict[str, str], "settings": dict[str, Any]}
        sound = isinstance(description, dict) and description.keys() == hints.keys()
        if not sound or not all(fits(description[label], hint) for label, hint in hints.items()):
            raise SettingsError(f"how something was made cannot be {str(description)[:40]}")
        return cls(tuple(description["words"]), description["versions"], description["settings"])

    def __repr__(self) -> str:
        return f"Provenance({self.command[:120] or 'Python'!r}, {', '.join(self.settings) or 'no settings'})"

    @property
    def lines(self) -> list[str]:
        """It for people: the command line with the versions, and the settings."""
        told = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        settings = {name: shown(value) for name, value in self.settings.items()}
        some = "; ".join(f"{name} {value}" for name, value in settings.items() if value)
        return [f"made by: {self.command or 'Python'} ({told})", *([f"with: {some}"] if some else [])]

    def __str__(self) -> str:
        """It as JSON, in one line: ``Provenance.parse`` reads it back."""
        return json.dumps(self.description, allow_nan=False)

    @classmethod
    def parse(cls, text: str) -> Provenance:
        """The provenance that a text stands for.

        Raises:
            SettingsError: for a text that is none.
        """
        try:
            return cls.described(json.loads(text))
        except (ValueError, RecursionError):
            raise SettingsError(f"how something was made cannot be {text[:40]!r}") from None


History = tuple[Provenance, ...]
"""What a result comes from, step by step: of a network in a chip's integers how it was converted, then quantised."""


def history(before: Sequence[Provenance] = (), **settings: Any) -> History:
    """How something is made: what is known of what it is made from, and the command that runs now, if one does.

    Args:
        before: of what it is made from.
        settings: what it is made with and on.
    """
    now = Provenance.now(**settings)
    known = not now.words or any(one.words == now.words for one in before[-1:])
    return tuple(before) if before and known else (*before, now)


def descriptions(steps: Sequence[Provenance]) -> list[dict[str, Any]]:
    """Each step as plain JSON-like values: what files hold of them."""
    return [one.description for one in steps]


def described(found: Any) -> History:
    """What ``descriptions`` were made of; one description stands for itself, None for nothing.

    Raises:
        SettingsError: for something else.
    """
    steps = [] if found is None else found if isinstance(found, list) else [found]
    return tuple(Provenance.described(one) for one in steps)


def shown(value: Any) -> str:
    """A setting as people read it: fingerprints short, tables and lists with commas; nothing for what is not there."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    text = "" if value is None else str(value)
    return text[:16] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text
