"""What one operator does with values: it moves them, or it connects them; and what follows from that alone."""

from spikewright.connections.connections import Array, Connections, Taps, inside, one_to_one, sliding
from spikewright.connections.moves import NOWHERE

__all__ = ["NOWHERE", "Array", "Connections", "Taps", "inside", "one_to_one", "sliding"]
