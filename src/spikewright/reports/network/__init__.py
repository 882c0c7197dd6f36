"""A picture of a network as a graph."""

from spikewright.reports.network.figures import network_figures
from spikewright.reports.network.picture import Pictures, network_picture, network_pictures
from spikewright.reports.network.write import captions_of, check_picture, write_picture

__all__ = [
    "Pictures",
    "captions_of",
    "check_picture",
    "network_figures",
    "network_picture",
    "network_pictures",
    "write_picture",
]
