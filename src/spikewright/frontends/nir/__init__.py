"""NIR: files and graphs in memory."""

from spikewright.frontends.nir.frontend import from_nir

__all__ = ["from_nir"]
