"""What all tests share: Keras runs on the one framework that is here, and what takes long is left out."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long runs only where that is asked for: SPIKEWRIGHT_TORTURE=full, or another word for a short run."""
    if os.environ.get("SPIKEWRIGHT_TORTURE"):
        return
    long = [item for item in items if item.get_closest_marker("torture")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("torture")]
