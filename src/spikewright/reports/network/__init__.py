"""A picture of a network as a graph."""

from spikewright.reports.network.picture import network_picture
from spikewright.reports.network.write import captions_of, check_picture, write_picture

__all__ = ["captions_of", "check_picture", "network_picture", "write_picture"]
