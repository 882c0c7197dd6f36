"""PyArrow where it is used, with one line for those who lack it."""

from __future__ import annotations

from typing import Any

from spikewright.errors import SettingsError


def pyarrow() -> Any:
    """The package.

    Raises:
        SettingsError: when it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise SettingsError("this needs pyarrow: pip install 'spikewright[synapses]'") from None
    return pa
