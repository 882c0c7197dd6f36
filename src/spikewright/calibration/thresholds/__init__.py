"""Threshold methods, one a file: the file's name is the method's name on the command line."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from spikewright.calibration.thresholds.method import Method, NodeFacts, Wish
from spikewright.errors import SettingsError

__all__ = ["Method", "NodeFacts", "Wish", "methods", "parse"]


@cache
def methods() -> dict[str, type[Method]]:
    """Every method of this folder by name."""
    found: dict[str, type[Method]] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__:
                found[info.name] = value
    found.pop("method")
    return found


def parse(text: str) -> Method:
    """A method from its command-line form: ``max``, ``percentile:99.9``, ``percentile:99.9,channels,schedule=0.02``.

    Raises:
        SettingsError: for an unknown method or option, or a value outside its domain.
    """
    if not isinstance(text, str):
        raise SettingsError(f"a threshold method is written as text, not {text!r:.60}")
    name, _, rest = text.strip().partition(":")
    if name not in methods():
        raise SettingsError(f"unknown threshold method '{name}'; choose one of {', '.join(sorted(methods()))}")
    return methods()[name].from_words([word for word in rest.split(",") if word])
