"""The log beside a synapse graph: how the network is set up, for people and for programs."""

from __future__ import annotations

import json
from typing import Any

from spikewright.graph import Node
from spikewright.provenance import PROVENANCE, History, described, descriptions, history
from spikewright.synapse_graph.fan_outs import offsets
from spikewright.synapse_graph.settings import digest, settings
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers import Writer
from spikewright.synapse_graph.writers.writer import channels_last
from spikewright.text import shape_text

AXES = {1: ["channel"], 2: ["row", "channel"], 3: ["row", "column", "channel"]}


def log(synapses: SynapseStream, writer: Writer) -> dict[str, Any]:
    """Everything about a graph but its synapses, as plain values."""
    rates = synapses.rates
    first = offsets(synapses)
    return {
        **settings(synapses, writer),
        "digest": digest(synapses, writer),
        "layout": writer.about,
        "edge": "mean rate of the source neuron x weight" if rates is not None else "none: weights only",
        PROVENANCE: descriptions(made_of(synapses, writer)),
        "samples": None if rates is None else rates.samples,
        "timesteps": None if rates is None else rates.timesteps,
        "neurons": sum(group.neurons for group in synapses.groups.values()),
        "synapses": len(synapses),
        "groups": [
            {
                "name": group.name,
                "kind": group.kind,
                "axes": AXES[len(channels_last(group.shape))],
                "shape": list(channels_last(group.shape)),
                "neurons": group.neurons,
                "first_number": first[group.name],
            }
            for group in synapses.groups.values()
        ],
        "projections": [
            {
                "name": one.name,
                "source_group": one.path.source.name,
                "dest_group": one.path.dest.name,
                "through": [_node(synapses.graph[name]) for name in one.path.through],
                "synapses": one.synapses,
                "parts": len(synapses.parts(one)),
            }
            for one in synapses.projections
        ],
    }


def made_of(synapses: SynapseStream, writer: Writer) -> History:
    """How a graph on the disk was made: its rates, then what wrote it."""
    return history(
        () if synapses.rates is None else synapses.rates.provenance,
        network=synapses.graph.fingerprint,
        rates=synapses.rates_key,
        format=str(writer),
        pools=synapses.pools,
        pool_weight=synapses.pool_weight,
    )


def _node(node: Node) -> dict[str, Any]:
    arrays = {name: list(array.shape) for name, array in node.arrays.items()}
    return {"name": node.name, "type": node.type, **node.settings, "arrays": arrays}


def as_json(facts: dict[str, Any]) -> str:
    """The facts as JSON text that people can read."""
    return json.dumps(facts, indent=1, default=float) + "\n"


def as_text(facts: dict[str, Any]) -> str:
    """The same for people."""
    pools = facts["pools"]
    weight = f", synapses of pools weigh {facts['pool_weight']}" if pools == "groups" else ""
    rates = f"{facts['samples']} samples, {facts['timesteps']} timesteps" if facts["rates"] else "none"
    lines = [
        f"{facts['neurons']:,} neurons in {len(facts['groups'])} groups, {facts['synapses']:,} synapses",
        f"edge: {facts['edge']}; rates: {rates}",
        f"pools: {pools}{weight}",
        f"layout: {facts['layout']}",
        f"network: {facts['network']}",
        *(line for step in described(facts[PROVENANCE]) for line in step.lines),
        "",
        "groups: name, kind, shape (rows, columns, channels), neurons",
        *(f"  {g['name']}  {g['kind']}  {shape_text(g['shape'])}  {g['neurons']:,}" for g in facts["groups"]),
        "",
        "projections: name, what it is made of, synapses",
    ]
    for one in facts["projections"]:
        made = ", ".join(_through(node) for node in one["through"]) or "one to one"
        lines.append(f"  {one['name']}  {made}  {one['synapses']:,}")
    return "\n".join(lines) + "\n"


def _through(node: dict[str, Any]) -> str:
    shown = {key: value for key, value in node.items() if key not in ("name", "type", "arrays")}
    weight = node["arrays"].get("weight")
    facts = ([f"weight {shape_text(weight)}"] if weight else []) + [f"{key} {value}" for key, value in shown.items()]
    return f"{node['type']} {node['name']}" + (f" ({', '.join(facts)})" if facts else "")
