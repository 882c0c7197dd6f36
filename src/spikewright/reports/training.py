"""The page of a fine-tuning: what it changed in accuracy, firing rates and operations, and whether a chip holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from spikewright.chips.value import Fit
from spikewright.experiment import Candidate
from spikewright.files import write_text
from spikewright.measures import Measures
from spikewright.reports import charts
from spikewright.reports.answers import facts, how_good, score_columns, score_rows
from spikewright.reports.charts import SMALL, Chart, framed, line
from spikewright.reports.document import Document, check_report
from spikewright.reports.reproducing import settings_section
from spikewright.reports.table import table
from spikewright.text import listed, short, steps_to_show
from spikewright.training import Finetuned
from spikewright.training.bounds import Bound

EVERY = 8
"""All timesteps stand in the table where there are so many or fewer."""


def training_report(
    path: Path | str,
    found: Finetuned,
    before: Candidate,
    after: Candidate,
    fits: Mapping[str, Fit] | None = None,
    limits: Sequence[Bound] = (),
    *,
    title: str = "",
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write what fine-tuning changed as one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        found: what ``finetune`` gave.
        before: the network before.
        after: the same afterwards, measured on the same samples.
        fits: by "before" and "after", what ``check`` says of the chip.
        limits: what it was trained to keep, as ``bounds`` says it.
        title: of the page.
        settings: what reproduces it, by name; "command" is shown as a command line.
        force: whether a file that stands there is replaced.

    Returns:
        the path.

    Raises:
        SettingsError: for a name that is no page's.
        StorageError: when a file stands there, or it cannot be written.
    """
    check_report(path, force)
    document, both = Document(), [before, after]
    title = title or "A spiking network trained on"
    sections = [
        _head(title, found, before.measures, after.measures),
        how_good(document, both),
        _table(both),
        f"<h2>How it learned</h2>{document.figure(losses(found), 'mean loss of each epoch')}",
        f"<h2>Firing rates</h2>{_rates(document, both)}",
        "<h2>Where the work is</h2>"
        + document.figure(charts.synops(both), "synaptic operations, by the layer that spikes arrive at"),
        _limits(limits),
        _chip(fits or {}),
        settings_section({**(settings or {}), **{k: v for k, v in found.recipe.summary().items() if v is not None}}),
    ]
    write_text(path, document.html(title, "\n".join(sections)), force)
    return Path(path)


def losses(found: Finetuned) -> Chart:
    """The mean loss of each epoch."""
    epochs = list(range(1, len(found.history) + 1))
    trace = line(1, "loss", epochs, list(found.history), "%{y:.4f}") | {"mode": "lines+markers"}
    return framed([trace], "epoch", "loss", xaxis={"tickvals": epochs}, yaxis={"rangemode": "tozero"}, height=SMALL)


def rates(both: list[Candidate]) -> Chart:
    """Spikes of a neuron in a step, population by population, before and after."""
    names = list(both[0].measures.layers)
    traces: list[Chart] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": charts.plain(one.label),
            "y": [charts.plain(name) for name in names],
            "x": [one.measures.layers[name].firing.mean for name in names],
            "marker": {"color": charts.colour(k)},
            "hovertemplate": "%{y}: %{x:.4f}",
        }
        for k, one in enumerate(both)
    ]
    axis = {"type": "category", "autorange": "reversed", "showgrid": False}
    height = 120 + 36 * len(names)
    return framed(traces, "spikes per neuron and timestep", "", yaxis=axis, height=height, legend=True, bargap=0.3)


def _head(title: str, found: Finetuned, before: Measures, after: Measures) -> str:
    recipe = found.recipe
    work = after.total_synops / max(before.total_synops, 1e-12)
    shown = [
        *facts(after),
        (f"{after.firing_rate:.3f}", f"spikes per neuron and timestep; before {before.firing_rate:.3f}"),
        (short(after.total_synops), f"synaptic operations per sample; before {short(before.total_synops)}"),
        (f"{work:.2f} ×", "the operations of before"),
    ]
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in shown)
    epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)}"
    told = f"Trained at T = {recipe.timesteps} for {epochs}; measured on {after.samples:,} samples, before and after."
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(told)}</p><div class="facts">{cards}</div>'


def _table(both: list[Candidate]) -> str:
    last = both[0].measures.timesteps
    steps = list(range(1, last + 1)) if last <= EVERY else [1, 2, *steps_to_show(last)]
    rows = []
    for one in both:
        work = [f"{one.measures.firing_rate:.4f}", short(one.measures.total_synops)]
        first, *others = score_rows(one.measures, steps)
        rows += [[one.label, *first, *work], *(["", *other, "", ""] for other in others)]
    columns = score_columns(both[0].measures, steps)
    return table(["", *columns, "firing rate", "synops"], rows, text=1 + len(columns) - len(steps))


def _rates(document: Document, both: list[Candidate]) -> str:
    return document.figure(rates(both), "spikes of a neuron in a step, population by population")


def _limits(limits: Sequence[Bound]) -> str:
    """What every limit allows, and what was done before and after."""
    if not limits:
        return ""
    rows = [
        [_whose(one), one.unit, *map(short, (one.limit, one.before, one.after)), "kept" if one.kept else _excess(one)]
        for one in limits
    ]
    note = "Operations are those that spikes cause; all are means over the samples."
    header = ["limit of", "what", "limit", "before", "after", ""]
    return f"<h2>Limits</h2><p class='soft'>{note}</p>{table(header, rows, text=2, last_is_text=True)}"


def _whose(one: Bound) -> str:
    """What a limit is of, and what is not in it."""
    return f"{one.of} without {listed(one.without)}" if one.without else one.of


def _excess(one: Bound) -> str:
    return f"{one.after / one.limit:.2f} × it"


def _chip(fits: Mapping[str, Fit]) -> str:
    """Whether the chip holds the network, and why not."""
    parts = []
    for when, fit in fits.items():
        reasons = [] if fit.fits else fit.lines()
        said = f"<b>{escape(when)}</b>: {escape(fit.chip.name)} {'holds it' if fit.fits else 'does not hold it'}"
        cores = ", ".join(f"{layer} on core {core}" for layer, core in fit.cores.items())
        more = f" ({escape(cores)})" if fit.fits and cores else ""
        parts.append(f"<li>{said}{more}</li>" + "".join(f"<li class='warning'>{escape(one)}</li>" for one in reasons))
    return f'<h2>The chip</h2><ul class="seen">{"".join(parts)}</ul>' if parts else ""
