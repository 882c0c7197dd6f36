"""What several tests of frontends share."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

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
