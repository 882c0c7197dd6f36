"""How samples become input over time: one encoder a file, found by its file name."""

from __future__ import annotations

from spikewright.encoders.encoder import Encoder
from spikewright.errors import SettingsError
from spikewright.registry import Registry, class_of

__all__ = ["Encoder", "encoder", "encoders"]

encoders = Registry("spikewright.encoders", "an encoder", class_of(Encoder), folder=__name__)
"""Every encoder by name."""


def encoder(name: str, **settings: object) -> Encoder:
    """The encoder with a name.

    Raises:
        SettingsError: for a name or a setting that does not exist.
    """
    if not isinstance(name, str):
        raise SettingsError(f"an encoder is named by text or made by its class, not {name!r:.60}")
    made = encoders.own.get(name) or encoders().get(name)  # files of other packages are read for their own encoders
    if made is None:
        raise SettingsError(f"unknown encoder '{name}'; choose one of {', '.join(sorted(encoders()))}")
    try:
        return made(**settings)
    except TypeError as error:
        raise SettingsError(f"encoder '{name}': {error}") from error
