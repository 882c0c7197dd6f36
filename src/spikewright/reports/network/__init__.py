"""A picture of a network as a graph."""

from spikewright.reports.network.picture import Picture, network_picture
from spikewright.reports.network.write import check_picture, said_of, write_picture

__all__ = ["Picture", "check_picture", "network_picture", "said_of", "write_picture"]
