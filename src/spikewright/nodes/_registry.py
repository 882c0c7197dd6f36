"""The registry of node types: every file of this folder, and those that other packages announce."""

from __future__ import annotations

from spikewright.node import Node
from spikewright.registry import Registry, classes

node_types = Registry("spikewright.nodes", "a node type", classes(Node), folder="spikewright.nodes")
"""Every node type by the name of its class, which is its name in files."""
