"""The vocabulary: one primitive a file. A new file with a Node subclass in it is found by itself."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from spikewright.graph import Node
from spikewright.nodes.adaptive_pool import AdaptiveAvgPool
from spikewright.nodes.add import Add
from spikewright.nodes.batch_norm import BatchNorm
from spikewright.nodes.channel_affine import ChannelAffine
from spikewright.nodes.concat import Concat
from spikewright.nodes.conv import Conv
from spikewright.nodes.conv_transpose import ConvTranspose
from spikewright.nodes.flatten import Flatten
from spikewright.nodes.floor import Floor
from spikewright.nodes.global_pool import GlobalAvgPool, GlobalMaxPool
from spikewright.nodes.identity import Identity
from spikewright.nodes.integrate_and_fire import IF, LIF
from spikewright.nodes.leaky_relu import LeakyReLU
from spikewright.nodes.linear import Linear
from spikewright.nodes.max_pool import MaxPool
from spikewright.nodes.pad import Pad
from spikewright.nodes.permute import Permute
from spikewright.nodes.pool import AvgPool, SumPool
from spikewright.nodes.relu import ReLU
from spikewright.nodes.reshape import Reshape
from spikewright.nodes.sigmoid import Sigmoid
from spikewright.nodes.softmax import Softmax
from spikewright.nodes.spike_max_pool import SpikeMaxPool
from spikewright.nodes.tanh import Tanh
from spikewright.nodes.terminals import Input, Output
from spikewright.nodes.upsample import Upsample

__all__ = [
    "IF",
    "LIF",
    "AdaptiveAvgPool",
    "Add",
    "AvgPool",
    "BatchNorm",
    "ChannelAffine",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Flatten",
    "Floor",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Identity",
    "Input",
    "LeakyReLU",
    "Linear",
    "MaxPool",
    "Output",
    "Pad",
    "Permute",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "SpikeMaxPool",
    "SumPool",
    "Tanh",
    "Upsample",
    "node_types",
]


@cache
def node_types() -> dict[str, type[Node]]:
    """Every node type by name, read off the files of this folder."""
    found: dict[str, type[Node]] = {}
    for info in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{info.name}")).values():
            if isinstance(value, type) and issubclass(value, Node) and value.__module__ == f"{__name__}.{info.name}":
                found[value.__name__] = value
    return found
