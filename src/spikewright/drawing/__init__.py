"""What pictures are drawn with: text that fits, colours for light and dark, and the value that a picture is."""

from spikewright.drawing.lettering import shortened, text_width, xml
from spikewright.drawing.vector import Picture, resource, whole

__all__ = ["Picture", "resource", "shortened", "text_width", "whole", "xml"]
