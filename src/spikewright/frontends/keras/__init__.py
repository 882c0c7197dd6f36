"""Keras: ``.keras`` and ``.h5`` files and models in memory, read without running anything of them."""

from spikewright.frontends.keras.frontend import from_keras, is_keras

__all__ = ["from_keras", "is_keras"]
