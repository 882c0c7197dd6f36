"""Converting a trained network: calibrate once, convert by as many methods as are wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spikewright.calibration import (
    MEMORY,
    Method,
    Statistics,
    calibrate,
    look,
    parse_all,
    statistics_key,
    threshold_method,
)
from spikewright.cluster import ClusterChoice
from spikewright.conversion import (
    CalibrationFacts,
    Conversion,
    NeuronsGiven,
    Readout,
    View,
    check_countable,
    from_scales,
    neurons_of,
)
from spikewright.corrections import Corrections, correcting, correctors_of
from spikewright.data import Dataset, Recordings, as_dataset, sample_digests
from spikewright.data.recordings import binning_in, frames_in
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import CalibrationError, GraphError, SettingsError, warn
from spikewright.experiment.automatic import Resolved, check_automatic, resolved
from spikewright.experiment.foreseeing import check_ways
from spikewright.experiment.held_out import expected_inputs
from spikewright.experiment.on_recordings import check_recordings
from spikewright.graph import Graph
from spikewright.nodes import MaxPool, ReLU
from spikewright.parts import Checkpoint
from spikewright.preparation import prepare
from spikewright.tasks import TaskChoice, stated_tasks

METHOD = "percentile:99.9"
"""The threshold method where none is given."""


def convert(
    graph: Graph,
    source: Any,
    method: Method | str | None = None,
    *,
    neurons: NeuronsGiven = None,
    view: View = "weights",
    readout: Readout = "potential",
    answer: Literal["keep", "drop"] = "keep",
    leaky: Literal["refuse", "split"] = "refuse",
    input_scale: Method | str | float = "max",
    task: TaskChoice = None,
    correct: Corrections = None,
    correction_samples: int = correcting.SAMPLES,
    encoder: Encoder | str = "constant",
    batch_size: int = 100,
    memory: int = MEMORY,
    device: str = "cpu",
    dt: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    cluster: ClusterChoice = None,
    checkpoint: Checkpoint | None = None,
) -> Conversion:
    """Make a spiking network of a trained one.

    Args:
        graph: as ``load`` gives it, or already prepared.
        source: data to calibrate with, a Dataset, an array ``(N, *shape)`` or a pair of samples and labels; or
            ``Statistics`` of the folded graph; or λ that were already found, by the names of populations.
        method: a threshold method as a value or as its text, "percentile:99.9" unless it is given; λ need none.
        neurons: what the populations are like, all of them or by name: a value, or its text.
        view: whether weights or thresholds take the scale.
        readout: "potential": the output layer adds up its input and never fires. "count": the output is a population
            and its spikes are counted, so that no answer is below zero, nor above the ceiling of a final ReLU.
        answer: what becomes of the activation that the network ends in: "keep" applies it to the readout at every
            timestep, "drop" leaves it away; see ``prepare``.
        leaky: what becomes of leaky rectifiers: refused, or split into two populations.
        input_scale: how λ of an input comes about: see ``calibrate``.
        task: what labels mean: see ``measure``, which then knows it.
        correct: what is corrected once neurons spike, in order, as values or as text: ``"v_init:4..32"``; on a draw of
            the calibration samples. ``correct`` (the function) has more settings.
        correction_samples: how many samples that draw has.
        encoder: of the runs that are to be good: corrections are made for it, and of event frames λ are found on the
            mean frame.
        batch_size: samples that run side by side while calibrating.
        memory: MiB in which exact percentiles are found in one pass: see ``calibrate``.
        device: a torch device, for calibrating.
        dt: seconds of a timestep, where corrections look at recordings, which run on their events.
        progress: called with (samples done, samples in all passes), and then for each correction with (populations
            done, populations in all).
        cluster: workers that share the samples of calibration: see ``simulate``.
        checkpoint: where what calibration counted is kept, so that it can go on: see ``calibrate``.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes, before data are read.
        GraphError, SettingsError: for scales or settings outside their domain.
        DataError, CalibrationError: for data or statistics that do not fit.

    Warns:
        SpikewrightWarning: what calibration saw that is odd: see ``look``.
    """
    options: dict[str, Any] = {
        "neurons": neurons_of(neurons), "view": view, "readout": readout, "answer": answer, "leaky": leaky
    }  # fmt: skip
    _check_trained(graph)
    corrections = correctors_of(correct)
    chosen = threshold_method(METHOD if method is None else method)
    given_scales = _holds_scales(graph, source)
    has_samples = not (given_scales or isinstance(source, Statistics))
    check_automatic([chosen], corrections, has_samples)
    if corrections and not has_samples:
        raise SettingsError(
            f"the correction {corrections[0]} needs samples: give convert data, or correct(conversion, data, "
            f"'{corrections[0]}') what it makes without"
        )
    if given_scales:
        if method is not None:
            raise SettingsError(f"λ are given, so the method {method} has nothing to do: leave one of the two out")
        return replace(from_scales(graph, source, **options), tasks=_tasks(graph, task))
    folded = prepared(graph, **options)
    whole = None if isinstance(source, Statistics) else _data(source, graph)
    data = None if whole is None else frames_in(whole)
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    if isinstance(whole, Recordings):
        check_recordings([chosen], corrections, dt)
    looked_at = None if data is None else min(correction_samples, data.length or correction_samples)
    check_ways(folded, [chosen], corrections, samples=looked_at, encoder=how, **options)
    runs: dict[str, Any] = {"task": task, "device": device, "progress": progress}
    (one,) = resolved(folded, data, [chosen], corrections, **options, **runs, encoder=how, input_scale=input_scale)
    if data is None:
        statistics = source
    else:
        statistics = calibrate(
            folded,
            expected_inputs(data, how),
            one.recipe.method,
            input_scale=input_scale,
            task=task,
            batch_size=batch_size,
            memory=memory,
            device=device,
            progress=progress,
            cluster=cluster,
            checkpoint=checkpoint,
        )
    told = None if progress is None else _untold(progress)
    runs = {"encoder": how, "correction_samples": correction_samples, "task": task, "device": device, "progress": told}
    return converted(graph, statistics, [one], whole, dt=dt, **runs, **options)[0]


def converted(
    graph: Graph,
    statistics: Statistics,
    recipes: Sequence[Resolved],
    data: Dataset | None = None,
    *,
    task: TaskChoice = None,
    encoder: Encoder | str = "constant",
    correction_samples: int = correcting.SAMPLES,
    seed: int = 0,
    device: str = "cpu",
    dt: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> tuple[Conversion, ...]:
    """A conversion by each of several recipes, corrected.

    Args:
        graph: as ``load`` gives it.
        statistics: of the folded graph, that hold what the methods ask for.
        recipes: from ``resolved``.
        data: that the statistics are of; what is corrected is corrected on a draw of it.
        task: what labels mean, where somebody said so.
        encoder: of the runs that are to be good.
        correction_samples: how many samples that draw has.
        seed: of the draw.
        device: a torch device.
        dt: as of ``convert``.
        progress: called with (what is being done, how much of it is done, how much there is).
        options: further keywords of ``convert``: view, readout, answer, leaky.

    Raises:
        SpikewrightError: as ``convert``.
    """
    found = []
    for one in recipes:
        recipe = one.recipe
        given = {**options, "neurons": recipe.neurons}
        (made,) = conversions(graph, statistics, [recipe.method], data, task=task, **given)
        made = correcting.correct(
            made,
            data,
            recipe.corrections,
            samples=correction_samples,
            encoder=encoder,
            seed=seed,
            task=task,
            device=device,
            dt=dt,
            progress=progress,
        )
        if one.automatic is not None:
            facts = replace(made.calibration, chosen=one.automatic.fact)
            made = replace(made, calibration=facts.drawn("samples held out", one.automatic.seed))
        found.append(made)
    return tuple(found)


def prepared(graph: Graph, *, neurons: NeuronsGiven = None, **options: Any) -> Graph:
    """The folded graph, once it is clear that it can be converted; nothing has been read for it yet.

    Args:
        graph: as ``load`` gives it.
        neurons: what the populations are like.
        options: further keywords of ``convert``: view, readout, answer, leaky.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError: for a graph that spikes already.
        SettingsError: for options outside their domain, and a graph that is none.
    """
    _check_trained(graph)
    chosen = {key: options[key] for key in ("answer", "leaky") if key in options}
    folded, _ = prepare(graph, **chosen)
    if options.get("readout") == "count":
        check_countable(folded)
    else:  # where outputs are counted, they are populations too, and known only later
        neurons_of(neurons).check(node.name for node in folded.of_type(ReLU, MaxPool))
    return folded


def conversions(
    graph: Graph,
    statistics: Statistics,
    methods: Sequence[Method | str] | Method | str,
    data: Dataset | None = None,
    *,
    task: TaskChoice = None,
    **options: Any,
) -> tuple[Conversion, ...]:
    """A conversion by each of several methods.

    Args:
        graph: as ``load`` gives it.
        statistics: of the folded graph.
        methods: threshold methods.
        data: that the statistics are of, where they are at hand; conversions remember which samples these were.
        task: what labels mean, where somebody said so.
        options: further keywords of ``convert``: neurons, view, readout, answer, leaky.

    Raises:
        SpikewrightError: as ``convert``.
    """
    facts = CalibrationFacts(
        samples=statistics.samples,
        digests=np.zeros(0, np.uint64) if data is None else sample_digests(frames_in(data)),
        inputs={name: (values.lowest, values.highest) for name, values in statistics.inputs.items()},
    )
    remembered: dict[str, Any] = {"tasks": _tasks(graph, task)}
    if data is not None:
        remembered |= {"preprocessing": data.preprocessing, "classes": tuple(data.classes), "binning": binning_in(data)}
    return tuple(
        replace(
            from_scales(graph, statistics.scales(method, options.get("neurons")), **options),
            calibration=replace(facts, method=str(method)),
            **remembered,
        )
        for method in parse_all(methods)
    )


def statistics_of(
    folded: Graph,
    data: Dataset,
    methods: Sequence[Method | str] | Method | str,
    *,
    store: Path | None = None,
    force: bool = False,
    input_scale: Method | str | float = "max",
    **options: Any,
) -> Statistics:
    """Statistics from a file where it holds those of this network and these data; else gathered, and kept there.

    Args:
        folded: from ``prepared``.
        data: to calibrate with.
        methods: what λ will be asked for.
        store: the file; None keeps nothing.
        force: whether a file that holds others is replaced.
        input_scale: as of ``calibrate``.
        options: further keywords of ``calibrate``.

    Raises:
        CalibrationError: when the file holds others, unless ``force`` says that they may be replaced.
        SpikewrightError: as ``Statistics.load`` and ``calibrate``.

    Warns:
        SpikewrightWarning: what calibration saw that is odd: see ``look``.
    """
    chosen = parse_all(methods)
    if store is not None and store.exists():
        kept = _kept(store, statistics_key(folded, data), chosen, str(input_scale))
        if isinstance(kept, Statistics):
            warn(look(folded, kept).warnings)
            return kept
        if not force:
            raise CalibrationError(kept, "choose another path for --statistics, or give --force to replace it")
    statistics = calibrate(folded, data, chosen, input_scale=input_scale, **options)
    if store is not None:
        statistics.save(store, force)
    return statistics


def _kept(store: Path, key: str, methods: Sequence[Method], input_scale: str) -> Statistics | str:
    """The statistics of a file that hold what is asked; else why they do not.

    Raises:
        ModelFileError: as ``Statistics.load``.
    """
    try:
        found = replace(Statistics.load(store, expect_key=key), input_scale=input_scale)
    except CalibrationError as error:
        return error.what
    try:
        for method in methods:
            found.scales(method)
    except CalibrationError as error:
        return f"{store}: {error.what}"
    return found


def _untold(progress: Callable[[int, int], None]) -> Callable[[str, int, int], None]:
    """The same without what is being done."""
    return lambda _, done, total: progress(done, total)


def _check_trained(graph: Graph) -> None:
    if not isinstance(graph, Graph):
        raise SettingsError(f"a trained network is converted, as load(...) gives it, not a {type(graph).__name__}")
    if graph.populations:
        raise GraphError(f"{graph.populations[0]}: is spiking already; convert the trained graph")


def _holds_scales(graph: Graph, source: Any) -> bool:
    """Whether these are λ by name, and not samples by the names of inputs."""
    if not isinstance(source, Mapping):
        return False
    return not source or not (source.keys() <= graph.inputs.keys() and all(np.ndim(x) > 1 for x in source.values()))


def _data(source: Any, graph: Graph) -> Dataset:
    if isinstance(source, str | Path):
        raise SettingsError(
            f"convert takes data, λ by population or Statistics, not {str(source)[:40]!r}: load_data reads data from a "
            "path, and a method stands behind the data"
        )
    return as_dataset(source, graph.inputs)


def _tasks(graph: Graph, task: TaskChoice) -> dict[str, str]:
    """The tasks that were said, as text, by output."""
    return {name: str(one) for name, one in stated_tasks(graph, task).items()}
