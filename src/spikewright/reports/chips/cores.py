"""The sections about the cores: what stands in the way, a floor plan, and what was rewritten."""

from __future__ import annotations

from html import escape

from spikewright.chips.floor_plan import cards
from spikewright.chips.value import Fit
from spikewright.reports.table import table
from spikewright.text import listed, ranges, shape_text


def what_stands_in_the_way(fit: Fit) -> str:
    """Problems, limits that are broken, and the nearest changes with which it fits; nothing where it fits."""
    parts = []
    if fit.problems:
        rows = [[problem.where, problem.operator, problem.advice] for problem in fit.problems]
        parts.append("<p class='soft'>What no core computes, and what would do instead.</p>")
        parts.append(f'<div class="told">{table(["where", "what", "instead"], rows, text=3)}</div>')
    lines = [*fit.broken, *fit.exceeded]
    if lines:
        items = "".join(f'<li class="warning">{escape(line)}</li>' for line in lines)
        parts.append(f'<ul class="seen">{items}</ul>')
    told = [layer for layer in fit.layers if layer.broken]
    if told:
        rows = []
        for layer in told:
            changes = [str(change) for change in layer.changes] or ["no single change"]
            rows += [
                [
                    layer.layer if not k else "",
                    layer.broken[k] if k < len(layer.broken) else "",
                    changes[k] if k < len(changes) else "",
                ]
                for k in range(max(len(layer.broken), len(changes)))
            ]
        header = ["layer", "the limit that it breaks", "the nearest changes that fit, and the core it then gets"]
        note = "Each change is enough for its layer to get a core; the network must then be trained again."
        parts.append(f'<p class="soft">{note}</p><div class="told">{table(header, rows, text=3)}</div>')
    return f"<h2>What stands in the way</h2>{''.join(parts)}" if parts else ""


def the_cores(fit: Fit) -> str:
    """The floor plan, and the same in numbers."""
    drawn = "".join(cards(fit.places, fit.used))
    if not drawn:
        return ""
    rows = [
        [
            layer.layer,
            shape_text(layer.input_shape),
            shape_text(layer.output_shape),
            f"{layer.kernel}×{layer.kernel}",
            _pair(layer.stride),
            _pair(layer.padding),
            f"{layer.kernel_words:,}",
            f"{layer.neuron_words:,}",
            f"{layer.bias_words:,}",
            f"{layer.macs:,}",
            "none" if layer.core is None else str(layer.core),
            ranges(layer.cores) or "none",
        ]
        for layer in fit.layers
    ]
    header = ["layer", "in", "out, before pools", "kernel", "stride", "padding"]
    header += ["kernel words", "neuron words", "bias words", "MACs", "core", "held by"]
    note = (
        "Each card is a core; its boxes are its memories, as long as they are large, filled by the layer that it "
        "computes. Cores framed in green compute in parallel."
        if fit.places
        else "What the network needs, of what the chip has of it."
    )
    numbers = table(header, rows, text=4) if rows else ""
    heading, kind = ("The cores", "cores") if fit.places else ("What it needs", "cores used")
    return f'<h2>{heading}</h2><p class="soft">{note}</p><div class="{kind}">{drawn}</div>{numbers}'


def rewritten(fit: Fit) -> str:
    """What was rewritten for the chip, spike for spike the same."""
    rows = [[name, listed(layers)] for name, layers in fit.rewrites.items()]
    if not rows:
        return ""
    note = "The stepped network stays the same by these, spike for spike."
    rows_table = f'<div class="told">{table(["rewrite", "layers"], rows, text=2)}</div>'
    return f'<h2>What was rewritten</h2><p class="soft">{note}</p>{rows_table}'


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else shape_text(values)
