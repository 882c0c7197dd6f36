"""What several tests of frontends share."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401 - here, so that importing it is not counted below


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Nothing in the test may take more than a hundred megabytes, not even for a moment."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.fixture
def model() -> Any:
    """A small Keras model with a batch norm."""
    from keras_networks import L, chain

    return chain(L.Conv2D(3, 3, name="conv"), L.BatchNormalization(name="norm"), L.Flatten(), L.Dense(2, name="end"))


@pytest.fixture
def archive(model: Any, tmp_path: Path) -> Path:
    """The model as a ``.keras`` file."""
    model.save(tmp_path / "whole.keras")
    return tmp_path / "whole.keras"


@pytest.fixture
def legacy(model: Any, tmp_path: Path) -> Path:
    """The model as an ``.h5`` file."""
    model.save(tmp_path / "whole.h5")
    return tmp_path / "whole.h5"
