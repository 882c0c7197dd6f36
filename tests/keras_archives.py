"""Files of Keras changed by hand, and what is said of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

import spikewright as sw
from spikewright.errors import ModelFileError, SpikewrightError

Change = Callable[[dict[str, Any]], object]


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def archived(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def with_config(path: Path, change: Change) -> Path:
    """A copy of an archive or legacy file with another description."""
    changed = path.with_name(f"changed{path.suffix}")
    if path.suffix == ".keras":
        parts = entries(path)
        config = json.loads(parts["config.json"])
        change(config)
        return archived(changed, {**parts, "config.json": json.dumps(config).encode()})
    changed.write_bytes(path.read_bytes())
    with h5py.File(changed, "a") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return changed


def with_weights(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """A copy of an archive with other weights."""
    parts = entries(path)
    raw = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(raw, "a") as file:
        change(file)
    return archived(path.with_name("changed.keras"), {**parts, "model.weights.h5": raw.getvalue()})


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


def refused(path: Path, message: str, error: type[SpikewrightError] = ModelFileError) -> None:
    with pytest.raises(error, match=message):
        sw.load(path)
