"""The vocabulary: one primitive a file. A new file with a Node subclass in it is found by itself.

Each node type is also an attribute of this package. What a type checker knows of these is in ``__init__.pyi``, which
``make stubs`` writes.
"""

from spikewright.nodes._registry import node_types

vars().update(node_types.own)

__all__ = ["node_types", *node_types.own]
