"""What every reader of model files says first."""

from __future__ import annotations

from pathlib import Path

from spikewright.errors import ModelFileError, SettingsError


def check_exists(path: Path | str) -> None:
    """Refuse a path at which there is no file.

    Raises:
        ModelFileError: naming it.
    """
    if not Path(path).is_file():
        raise ModelFileError(f"{path}: no such file")


def missing(purpose: str, package: str, extra: str) -> SettingsError:
    """The error for a package that is needed and not installed.

    Args:
        purpose: what it is needed for.
        package: its name.
        extra: of Spikewright's, that brings it.
    """
    return SettingsError(f"{purpose} needs the package {package}: pip install 'spikewright[{extra}]'")


def open_shape(where: str, shape: object) -> ModelFileError:
    """The error for an input whose shape the model leaves open, and the user too.

    Args:
        where: the input, by name.
        shape: as far as the model says it.
    """
    return ModelFileError(f"{where} has the open shape {shape}; give the shape of one sample, channels first")
