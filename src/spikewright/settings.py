"""Whether values are what they are declared to be: settings that people give, and fields read from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from inspect import isabstract
from math import isfinite
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from spikewright.errors import SettingsError

LARGEST = 2**31 - 1
"""The largest whole number of a setting that counts something."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type: of exactly that one, with finite numbers, as files must hold it."""
    if type(value) in _exact(hint):
        return True
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin in (tuple, list):
        if not isinstance(value, origin):
            return False
        kinds = inner if origin is tuple and inner[-1] is not ... else (inner[0],) * len(value)
        return len(kinds) == len(value) and all(map(fits, value, kinds))
    if origin is dict:
        return isinstance(value, dict) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if (origin or hint) is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype == np.float32
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, float | int) and not isinstance(value, bool) and _finite(value)
    if isabstract(hint):
        return isinstance(value, hint)
    return type(value) is (NoneType if hint is None else hint)


@cache
def _exact(hint: Any) -> frozenset[type]:
    """The types all of whose values are of a declared type: most settings are seen to fit at one look."""
    if get_origin(hint) in (Union, UnionType):
        return frozenset[type]().union(*map(_exact, get_args(hint)))
    kind = NoneType if hint is None else hint
    return frozenset({kind} & {int, str, bool, NoneType})


def _finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def check_fields(instance: Any, name: str = "") -> None:
    """Refuse a dataclass of settings with a field that is not what it is declared to be; numpy's numbers are taken.

    Args:
        instance: of the dataclass.
        name: what people call it; its type's name otherwise.

    Raises:
        SettingsError: naming the field, what it takes, and what it was given.
    """
    cls: Any = type(instance)
    hints = _hints(cls)
    name = name or type(instance).__name__
    for f in fields(instance):
        given = getattr(instance, f.name)
        if given is f.default:
            continue
        value = plain(given)
        if not fits(value, hints[f.name]):
            raise SettingsError(f"{name}: {f.name} must be {words(hints[f.name])}, not {value!r:.60}")
        if value is not given:
            object.__setattr__(instance, f.name, value)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The declared types of a dataclass's fields; finding them takes far longer than looking at values."""
    return get_type_hints(cls)


def check_choices(**given: tuple[Any, Any]) -> None:
    """Refuse settings of a function that are none of those it knows: ``check_choices(view=(view, View))``.

    Raises:
        SettingsError: naming the setting, what it takes, and what it was given.
    """
    for label, (value, hint) in given.items():
        if not fits(plain(value), hint):
            raise SettingsError(f"{label} must be {words(hint)}, not {value!r:.60}")


def whole(label: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number from a setting: 4, numpy's 4, or 4.0.

    Raises:
        SettingsError: for anything else, less than ``least`` or more than ``most``.
    """
    number = plain(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int:
        raise SettingsError(f"{label} must be a whole number, not {value!r:.60}")
    if number < least:
        raise SettingsError(f"{label} must be {least} or more, not {number}")
    if most is not None and number > most:
        raise SettingsError(f"{label} must be {most:,} or less, not {str(number)[:40]}")
    return number


def digits(text: str) -> int | None:
    """A whole number that is written in the ten digits of ASCII, at most ``LARGEST``; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= LARGEST else None


def number(text: str) -> float | None:
    """A number as people write one, in ASCII and without what only Python reads (``1_0``); None for any other text."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """Python's own number for numpy's and torch's; lists as tuples; anything else as it is."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        made = tuple(map(plain, value))
        return value if isinstance(value, tuple) and all(a is b for a, b in zip(made, value, strict=True)) else made
    if isinstance(value, int | float | str | Mapping):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return value


_PLAIN = frozenset({bool, int, float, str, NoneType})
"""Types whose values are plain already: most of them."""


def words(hint: Any) -> str:
    """A type as people say it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(words(one) for one in inner)
    if origin is Literal:
        return " or ".join(repr(one) for one in inner)
    if origin in (tuple, list):
        return f"a row of {_PLURALS.get(inner[0], 'values')}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


_WORDS = {float: "a finite number", int: "a whole number", bool: "True or False", str: "text", NoneType: "None"}
_PLURALS = {float: "finite numbers", int: "whole numbers", str: "texts"}
