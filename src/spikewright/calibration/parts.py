"""Calibration in parts: gathered anywhere, merged to what one run over all samples finds, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spikewright.calibration.gathering import Calibration, Counts, Progress, bare
from spikewright.data import as_dataset
from spikewright.forward import Forward
from spikewright.graph import Graph


def gather_part(
    counts: Counts,
    graph: Graph,
    data: Any,
    *,
    batch_size: int = 256,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Counts:
    """Run the network over one part of the data set and count what its pass asks for.

    Torch rounds activations by the size of the batch, so that numbers are those of a whole run bit for bit where each
    part begins at a multiple of the batch size.

    Args:
        counts: of ``Calibration.counts(first, samples)``, here or sent from another machine; it is filled and returned.
        graph: the folded graph, that of the ``Calibration``.
        data: the samples of the part, in their order: ``calibration.data.between(first, first + samples)``.
        batch_size: samples that run side by side.
        device: a torch device.
        progress: called with (samples done, all of these).

    Raises:
        DataError: for samples of another shape, or values that are not finite.
        SettingsError: for a device that is none.
    """
    counts.add(Forward(bare(graph), device), as_dataset(data, graph.inputs), batch_size, progress)
    return counts


def merge_parts(calibration: Calibration, parts: Iterable[Counts]) -> None:
    """Take in the parts of one pass, in their order, and finish the pass.

    Another pass is needed while ``calibration.needs_pass``; ``calibration.statistics()`` has the result then.

    Raises:
        CalibrationError: where more or fewer samples were counted than there are.
    """
    for part in parts:
        calibration.merge(part)
    calibration.finish_pass()
