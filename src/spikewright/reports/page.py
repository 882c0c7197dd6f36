"""The report: what the page says, from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from spikewright.calibration import look
from spikewright.chips.simulation.comparing import ChipComparison
from spikewright.chips.value import Fit
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.experiment import Candidate, Comparison
from spikewright.files import write_text
from spikewright.graph import Graph
from spikewright.measures import Measures
from spikewright.reports.answers import facts, how_good, score_columns, score_rows
from spikewright.reports.chips import chip_report
from spikewright.reports.classes import by_class
from spikewright.reports.document import Document, check_report
from spikewright.reports.energy import where_the_work_is
from spikewright.reports.first import first_answers
from spikewright.reports.layers import layer_by_layer
from spikewright.reports.network import captions_of, network_figures, network_pictures
from spikewright.reports.reasons import how_measured, why_lost
from spikewright.reports.reproducing import settings_section
from spikewright.reports.table import table
from spikewright.text import energy_text, listed, shape_text, short, significant, steps_to_show


def report(
    path: Path | str,
    what: Comparison | Conversion | Fit,
    measures: Measures | ChipComparison | None = None,
    *,
    title: str = "",
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        what: what ``compare`` gives, of which the first conversion gives the numbers at the top; a conversion; or what
            ``check`` gives.
        measures: of the conversion; beside what ``check`` gives, where wanted, what ``compare_on_chip`` gives.
        title: of the page.
        settings: what reproduces it, by name, in place of those of the comparison; "command" is shown as a command
            line.
        force: whether a file that stands there is replaced, once this one is whole.

    Returns:
        the path.

    Raises:
        SettingsError: for anything else than a comparison or a conversion with its measures, for a name that is no
            page's.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_report(path, force)
    if isinstance(what, Fit):
        return chip_report(path, what, _on_chip(measures), title=title, settings=settings, force=force)
    title = title or "A network as spikes"
    comparison = _comparison(what, measures)
    candidates, document = comparison.candidates, Document()
    sections = [
        _head(title, candidates),
        first_answers(candidates[0], comparison.settings if settings is None else settings),
        _seen(comparison),
        how_measured(candidates),
        how_good(document, candidates),
        _table_of_candidates(candidates),
        by_class(candidates[0], comparison.pictures),
        why_lost(document, candidates),
        where_the_work_is(document, candidates),
        layer_by_layer(document, comparison.statistics, candidates),
        _network(comparison.graph, candidates[0]),
        settings_section(comparison.settings if settings is None else settings),
    ]
    write_text(path, document.html(title, "\n".join(sections)), force)
    return Path(path)


def _on_chip(measures: Any) -> ChipComparison | None:
    if measures is not None and not isinstance(measures, ChipComparison):
        raise SettingsError(
            "beside what check(...) gives a report shows what compare_on_chip(...) gives, not a "
            f"{type(measures).__name__}"
        )
    return measures


def _comparison(what: Any, measures: Any) -> Comparison:
    """A comparison of one, where it is a conversion with its measures."""
    if isinstance(what, Conversion) and isinstance(measures, Measures):
        facts = {"calibration": what.calibration, "neurons": what.neurons, "preprocessing": what.preprocessing}
        facts |= {"readout": what.readout, "samples": measures.samples, "timesteps": measures.timesteps}
        return Comparison((Candidate(what.calibration.method or "λ given", what, measures),), settings=facts)
    if isinstance(what, Graph) and what.populations:
        raise SettingsError(
            "a spiking network without its trained one has nothing to be compared with, which a report shows: give the "
            "conversion, report(path, conversion, measures)"
        )
    if not isinstance(what, Comparison) or measures is not None:
        raise SettingsError(
            "a report shows what compare(...) gives, or a conversion with its measures: report(path, conversion, "
            f"measures); not a {type(what).__name__}"
        )
    return what


def _head(title: str, candidates: Sequence[Candidate]) -> str:
    first, others = candidates[0], candidates[1:]
    measures = first.measures
    analog = energy_text(measures.energy_analog or 0)
    found = [
        *facts(measures),
        (f"{measures.firing_rate:.3f}", "spikes per neuron and timestep"),
        (short(measures.total_synops), "synaptic operations per sample"),
        (energy_text(measures.energy_spiking), f"per sample, estimated; the analog network {analog}"),
    ]
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in found)
    steps = f"{measures.timesteps} timestep{'' if measures.timesteps == 1 else 's'}"
    if measures.run.windows > 1:
        steps += f" a window (an answer after {measures.latency})"
    samples = f"{measures.samples:,} sample{'' if measures.samples == 1 else 's'}"
    line = f"{samples}, {steps}, thresholds by {first.label}"
    if others:
        line += f", compared with {listed([one.label for one in others])}"
    return f'<h1>{escape(title)}</h1><p class="soft">{escape(line)}</p><div class="facts">{cards}</div>'


def _seen(comparison: Comparison) -> str:
    """What calibration saw of data and network, and all warnings."""
    first, statistics = comparison.candidates[0].conversion, comparison.statistics
    seen = [str(first.calibration)] if statistics is None else look(first.folded, statistics).lines
    notes = dict.fromkeys(note for c in comparison.candidates for note in c.measures.notes)
    changed = [
        f"{c.label}: the spiking network was {_changed_by(c.conversion)}, at {listed(c.conversion.changed)}"
        for c in comparison.candidates
        if c.conversion.changed
    ]
    asked = dict.fromkeys(f"Contract {c.conversion.contract}" for c in comparison.candidates)
    lines = "".join(f"<li>{escape(line)}</li>" for line in [*seen, *asked, *notes, *changed])
    warnings = "".join(f'<li class="warning">Warning: {escape(line)}</li>' for line in comparison.warnings)
    return f'<ul class="seen">{lines}{warnings}</ul>'


def _changed_by(conversion: Conversion) -> str:
    """Whether corrections changed it, or somebody else."""
    by = listed([str(one) for one in conversion.corrections])
    return f"corrected by {by}" if by else "changed since it was made"


def _table_of_candidates(candidates: Sequence[Candidate]) -> str:
    longest = max(c.measures.timesteps for c in candidates)
    steps = steps_to_show(longest)
    first_others = candidates[0].measures.others
    late = any(c.measures.run.windows > 1 for c in candidates)
    rows = []
    for candidate in candidates:
        measures = candidate.measures
        energy = [significant(measures.energy_spiking / 1000), significant(_input_energy(measures) / 1000)]
        energy += [f"{measures.latency:,}"] * late
        more = [measures.others[k].text() if k in measures.others else "" for k in first_others]
        work = [f"{measures.firing_rate:.4f}", short(measures.total_synops), *energy, *more]
        first, *others = score_rows(measures, steps)
        rows += [[candidate.label, *first, *work], *(["", *other, *[""] * len(work)] for other in others)]
    columns = score_columns(candidates[0].measures, steps)
    header = ["method", *columns, "firing rate", "synops", "energy, µJ", "the input's part, µJ"]
    header += ["latency, timesteps"] * late
    header += [reading.title for reading in first_others.values()]
    constants = candidates[0].measures.energy
    note = (
        f"Energy is an estimate of arithmetic alone: {constants.ac} pJ an accumulate, {constants.mac} pJ a "
        "multiply-accumulate (32-bit, 45 nm); no memory, no chip. A spike costs accumulates; values that layers "
        "without neurons hand on cost multiply-accumulates, as an analog input does at every timestep."
    )
    return f'{table(header, rows, text=1 + len(columns) - len(steps))}<p class="soft">{escape(note)}</p>'


def _input_energy(measures: Measures) -> float:
    """Nanojoules per sample that the analog input costs."""
    connections = sum(layer.input_connections for layer in measures.synops.values())
    return connections * measures.timesteps * measures.energy.mac / 1000


def _network(read: Graph | None, first: Candidate) -> str:
    """The network as it was read, where that is at hand, or as it was prepared, and what became of its nodes."""
    graph, became = read or first.conversion.folded, first.conversion.became
    rows = [
        [
            node.name,
            node.type,
            shape_text(graph.shapes[node.name]),
            f"{node.parameters:,}" if node.parameters else "",
            f"{graph.macs(node):,}" if graph.macs(node) else "",
            became.get(node.name, "added"),
        ]
        for node in graph
    ]
    header = ["node", "type", "output shape", "parameters", "MACs", "conversion"]
    total = f"{graph.parameters:,} parameters, {sum(graph.macs(n) for n in graph):,} multiply-accumulates a sample."
    caption = f"as spikes, thresholds by {first.label}: populations, and what the connections between them are made of"
    pictures = network_pictures(first.conversion.spiking, captions=captions_of(first.conversion))
    figure = network_figures(pictures, caption)
    rows_table = table(header, rows, text=3, last_is_text=True)
    return f"<h2>The network</h2><p class='soft'>{total}</p>{figure}{rows_table}"
