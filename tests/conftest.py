"""What all tests share: Keras runs on the one framework that is here, and what is long only where it is asked for."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out ``torture`` but for ``make torture``."""
    if os.environ.get("SPIKEWRIGHT_TORTURE"):
        return
    long = [item for item in items if item.get_closest_marker("torture")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
