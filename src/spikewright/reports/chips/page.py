"""The page about a network on a chip, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Any

from spikewright.chips.chip import Chip
from spikewright.chips.simulation.comparing import ChipComparison
from spikewright.chips.value import Fit
from spikewright.files import write_text
from spikewright.reports.chips.busy import how_busy, what_saves
from spikewright.reports.chips.compared import chip_facts, float_stepped_chip, what_integers_cost
from spikewright.reports.chips.cores import rewritten, the_cores, what_stands_in_the_way
from spikewright.reports.document import Document, check_report
from spikewright.reports.reproducing import settings_section
from spikewright.reports.table import table
from spikewright.text import listed, short


def chip_report(
    path: Path | str,
    fit: Fit,
    comparison: ChipComparison | None = None,
    *,
    title: str = "",
    settings: Mapping[str, Any] | None = None,
    without: str = "",
    force: bool = False,
) -> Path:
    """Write one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        fit: what ``check`` gives.
        comparison: of the trained network, its spikes in steps and the chip.
        title: of the page.
        settings: what reproduces it, by name; "command" is shown as a command line.
        without: why there is no comparison, in a sentence, where one could be wanted.
        force: whether a file that stands there is replaced.

    Returns:
        the path.

    Raises:
        SettingsError: for a name that is no page's.
        StorageError: when a file stands there, or it cannot be written.
    """
    check_report(path, force)
    document, own = Document(), title or f"A network on {fit.chip}"
    losses = fit.losses or (() if comparison is None else comparison.quantised.losses)
    sections = [
        _head(own, fit, comparison),
        what_stands_in_the_way(fit),
        the_cores(fit),
        rewritten(fit),
        how_busy(document, fit),
        what_saves(fit),
        what_integers_cost(losses, comparison),
        float_stepped_chip(document, comparison, without),
        _limits(fit.chip),
        settings_section(settings or {}),
    ]
    write_text(path, document.html(own, "\n".join(filter(None, sections))), force)
    return Path(path)


def _head(title: str, fit: Fit, comparison: ChipComparison | None) -> str:
    facts = [("yes", f"it fits {fit.chip}") if fit.fits else ("no", f"it does not fit {fit.chip}")]
    if fit.fits and not fit.runs:
        facts.append(("too busy", "more operations a second than the limit that was given"))
    placed = [place for place in fit.places if place.layer and place.core is not None]
    cores = sum(place.core is not None for place in fit.places)
    if cores:
        facts.append((f"{len(placed)} of {cores}", "cores used"))
    fullest = max(((m.share, m.kind, p) for p in placed for m in p.memories), key=lambda one: one[0], default=None)
    if fullest is not None:
        share, kind, place = fullest
        facts.append((f"{share:.0%}", f"of the {kind} words of {place.title}, its fullest memory"))
    if fit.bandwidth is not None:
        busiest = max(fit.bandwidth.layers, key=lambda one: one.busiest)
        which = "peak of synaptic operations a second" if busiest.peak is not None else "synaptic operations a second"
        facts.append((short(busiest.busiest), f"{which}, {busiest.layer}: the busiest"))
    if fit.clock_hz is not None:
        facts.append((f"{fit.clock_hz:,.6g} Hz", "slow clock, which biases need"))
    facts += [] if comparison is None else chip_facts(comparison)
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in facts)
    remarks = "".join(f"<li>{escape(remark[0].upper() + remark[1:])}</li>" for remark in fit.remarks)
    line = _line(fit, comparison)
    return (
        f'<h1>{escape(title)}</h1><p class="soft">{escape(line)}</p><div class="facts">{cards}</div>'
        f'<ul class="seen">{remarks}</ul>'
    )


def _line(fit: Fit, comparison: ChipComparison | None) -> str:
    """What was looked at."""
    layers = f"{len(fit.layers)} layer{'' if len(fit.layers) == 1 else 's'} on {fit.chip}"
    found = [layers if fit.layers else f"checked against {fit.chip}"]
    if fit.bandwidth is not None:
        busy = fit.bandwidth
        samples = f"{busy.samples:,} sample{'' if busy.samples == 1 else 's'}"
        found.append(f"{samples}, {busy.timesteps:,} steps of {1000 * busy.dt:g} ms")
    elif comparison is not None:
        found.append(f"{comparison.chip.samples:,} samples")
    return ", ".join(found)


def _limits(chip: Chip) -> str:
    """What is known of the chip, and where it stands."""
    own = [field.name for field in fields(chip) if field.name in chip.sources]
    rows = [[name.replace("_", " "), _shown(getattr(chip, name)), chip.sources[name]] for name in own]
    header = ["limit", "", "where it stands"]
    inside = f'<div class="settings">{table(header, rows, text=3)}</div>'
    summary = f"Limits of {escape(str(chip))}, and where they stand"
    return f'<details class="protocol limits"><summary>{summary}</summary>{inside}</details>'


def _shown(value: Any) -> str:
    """A limit as people read it."""
    if value is None:
        return "not public"
    if isinstance(value, Mapping):
        return "; ".join(f"{_shown(key)}: {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, tuple):
        return str(len(value)) if value and hasattr(value[0], "kernel_words") else listed([_shown(v) for v in value])
    return f"{value:,}" if isinstance(value, int | float) else str(value)
