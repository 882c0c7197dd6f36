"""How samples become input over time: one encoder a file, found by its file name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from spikewright.encoders.encoder import Encoder
from spikewright.errors import SettingsError

__all__ = ["Encoder", "encoder"]


def encoder(name: str, **settings: object) -> Encoder:
    """The encoder of a file in this folder.

    Raises:
        SettingsError: for a name or a setting that does not exist.
    """
    if not isinstance(name, str):
        raise SettingsError(f"an encoder is named by text or made by its class, not {name!r:.60}")
    names = sorted(info.name for info in iter_modules(__path__) if info.name != "encoder")
    if name not in names:
        raise SettingsError(f"unknown encoder '{name}'; choose one of {', '.join(names)}")
    module = import_module(f"{__name__}.{name}")
    kinds = [
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Encoder) and v.__module__ == module.__name__
    ]
    try:
        made: Encoder = kinds[0](**settings)  # the first of its file
    except TypeError as error:
        raise SettingsError(f"encoder '{name}': {error}") from error
    return made
