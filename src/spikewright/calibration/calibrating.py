"""Calibrate: what people call."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from spikewright.calibration.gathering import Calibration, Progress
from spikewright.calibration.going_on import Going
from spikewright.calibration.looking import look
from spikewright.calibration.requests import Request
from spikewright.calibration.room import MEMORY
from spikewright.calibration.statistics import Statistics
from spikewright.calibration.thresholds import Method, parse_all
from spikewright.cluster import ClusterChoice, workers_of
from spikewright.errors import warn
from spikewright.graph import Graph
from spikewright.parts import Checkpoint
from spikewright.settings import whole
from spikewright.tasks import TaskChoice


def calibrate(
    graph: Graph,
    data: Any,
    methods: Sequence[Method | str] | Method | str = "percentile:99.9",
    *,
    input_scale: Method | str | float = "max",
    task: TaskChoice = None,
    requests: Collection[Request[Any]] = (),
    batch_size: int = 256,
    one_pass: bool = False,
    memory: int = MEMORY,
    device: str = "cpu",
    progress: Progress | None = None,
    cluster: ClusterChoice = None,
    checkpoint: Checkpoint | None = None,
) -> Statistics:
    """Statistics of every ReLU of a graph, of what every output reads, before the activation it applies, and of inputs.

    What is odd about data and network becomes a warning. With labels the first pass counts how good the network is.
    ``Calibration`` has the same in steps, for parts of a data set on several machines.

    Args:
        graph: the folded graph, from ``prepare``.
        data: a Dataset, an array ``(N, *shape)``, for several inputs a mapping of them by name, a pair of such samples
            and labels, or what else ``as_dataset`` takes. How many samples there are need not be known.
        methods: what λ will be asked for, as values or as their text. All are found in one pass, but for percentiles
            above which more values lie than ``memory`` holds: these take a second pass, and more only where very many
            values lie close to them.
        input_scale: how λ of an input comes about, which is what one event of the Poisson encoder stands for: "max",
            the largest size of its values; a percentile of their sizes without zeros ("percentile:99.9"), which cuts
            what is larger; or a number.
        task: what labels are for, as for ``measure``; None finds it.
        requests: what is to be found of every ReLU and output beside what the methods need.
        batch_size: samples that run side by side; changes nothing but speed and memory.
        one_pass: stop after the first pass; a percentile is then known to within
            ``Statistics.relative_error`` for layers (channels are still refined).
        memory: MiB for the largest values, of which an exact percentile is one: a quarter of it holds values, of 4
            bytes for a layer, of 8 for channels, the rest is for selecting and sorting.
        device: a torch device.
        progress: called with (samples done, samples in all passes that are known to come).
        cluster: workers that share the samples of each pass: see ``simulate``.
        checkpoint: where what was counted is kept, so that an interrupted calibration can go on.

    Raises:
        DataError: for an empty data set, samples of another shape, or values that are not finite.
        SettingsError: for a method, input scale or batch size that is none.

    Warns:
        SpikewrightWarning: each of ``look(graph, statistics).warnings``.
    """
    batch_size = whole("batch_size", batch_size)
    calibration = Calibration(
        graph, data, methods, input_scale=input_scale, task=task, requests=requests, one_pass=one_pass, memory=memory
    )
    in_order = sum(request.samples for request in calibration.in_order)
    forward = calibration.forward(device)
    with workers_of(cluster) as workers:
        going = None
        if workers is not None or checkpoint is not None:
            asked = (str(parse_all(methods)), input_scale, task, sorted(map(str, requests)), one_pass, memory)
            going = Going(calibration, batch_size, device, workers, checkpoint, asked=asked)
        while calibration.needs_pass:
            samples = calibration.data.length or 0
            before, total = calibration.passes * samples, (calibration.passes + calibration.passes_left) * samples
            move = None if progress is None else lambda done, _, b=before, t=total: progress(b + done, t + in_order)
            if going is None:
                counts = calibration.counts()
                counts.add(forward, calibration.data, batch_size, move)
                calibration.merge(counts)
            else:
                going.run_pass(move)
            calibration.finish_pass()
    counted = calibration.passes * len(calibration.data)
    watch = None if progress is None else lambda done, _: progress(counted + done, counted + in_order)
    statistics = calibration.statistics(device, watch)
    if progress is not None:
        progress(counted + in_order, counted + in_order)
    warn(look(graph, statistics).warnings)
    return statistics
