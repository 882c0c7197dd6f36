"""What all tests share: Keras runs on the one framework that is here, a test on one core of several, and what takes
long is left out.
"""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
if "PYTEST_XDIST_WORKER" in os.environ:  # the other cores have tests of their own
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long runs only where that is asked for: SPIKEWRIGHT_TORTURE=full, or another word for a short run."""
    if os.environ.get("SPIKEWRIGHT_TORTURE"):
        return
    long = [item for item in items if item.get_closest_marker("torture")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("torture")]
