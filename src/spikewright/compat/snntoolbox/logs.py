"""The files that SNN Toolbox writes of a run: accuracy.txt, and log_vars of each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.compat.snntoolbox.activations import get_activations_batch
from spikewright.compat.snntoolbox.experiment import Experiment
from spikewright.compat.snntoolbox.storing import save_arrays
from spikewright.conversion import Conversion
from spikewright.data import Dataset
from spikewright.engines import Run
from spikewright.graph import Array

UNDECIDED = -1
"""The answer of a network that has not sent anything yet: it counts as wrong."""


def log_batches(
    asked: Experiment,
    conversion: Conversion,
    data: Dataset,
    labels: NDArray[np.int64],
    run: Run,
    analog: Array,
) -> tuple[list[str], float]:
    """Write log_vars/INDEX.npz for every batch.

    Args:
        asked: the experiment.
        conversion: what ran.
        data: the test samples.
        labels: ``(N,)``: their classes.
        run: what it did.
        analog: ``(N, classes)``: the trained network's answers.

    Returns:
        the lines of accuracy.txt, a batch each with all samples so far; and the accuracy on all.

    Raises:
        StorageError: where a file cannot be written.
    """
    folder, k = asked.log / "log_vars", asked.top_k
    folder.mkdir(parents=True, exist_ok=True)
    wrong = guesses(run.output) != labels[:, None]
    wrong_k = ~in_top_k(run.output, labels, k)
    lines = [f"# samples | SNN top-1 | top-{k} | ANN top-1 | top-{k}"]
    analog_wrong, analog_wrong_k = analog.argmax(1) != labels, ~in_top_k(analog[:, None], labels, k)[:, 0]
    for index, start in enumerate(range(0, len(labels), asked.batch_size)):
        end = min(start + asked.batch_size, len(labels))
        shares = [1 - float(part[:end].mean()) for part in (wrong[:, -1], wrong_k[:, -1], analog_wrong, analog_wrong_k)]
        lines.append(" ".join([str(end), *(f"{share:.2%}" for share in shares)]))
        rows = slice(start, end)
        (x,) = (batch for batch, _ in data.between(start, end).batches(end - start))
        saved: dict[str, Any] = {
            "top1err_b_t": wrong[rows],
            "top5err_b_t": wrong_k[rows],
            "top1err_ann": 1 - shares[2],
            "top5err_ann": 1 - shares[3],
            "input_image_b_l": x,
            "true_classes_b": labels[rows],
        }
        save_arrays(folder / f"{index}.npz", saved | _logged(asked, conversion, run, rows, x))
    return lines, 1 - float(wrong[:, -1].mean())


def _logged(asked: Experiment, conversion: Conversion, run: Run, rows: slice, x: Array) -> dict[str, Any]:
    """Further variables, an array a layer: spike trains hold the time of each spike in ms, as there, and else 0."""
    found: dict[str, Any] = {}
    times = (np.arange(run.timesteps) + 1) * asked.dt
    for name, spikes in run.spikes.items():
        found[f"spiketrains_n_b_l_t.{name}"] = np.moveaxis(spikes[rows], 1, -1) * times
    for name, potentials in run.potentials.items():
        found[f"mem_n_b_l_t.{name}"] = np.moveaxis(potentials[rows], 1, -1)
    if run.spikes:
        found["avg_rate"] = float(np.mean([spikes[rows].mean() for spikes in run.spikes.values()]))
    if "activations_n_b_l" in asked.logged:
        for i, (values, label) in enumerate(get_activations_batch(conversion.normalised, x)):
            found[f"activations_n_b_l.{i}{label}"] = values
    return found


def guesses(output: Array) -> NDArray[np.int64]:
    """The class with the largest answer at every timestep; ``UNDECIDED`` where all answers are still zero.

    Args:
        output: ``(N, T, classes)``.

    Returns:
        ``(N, T)``.
    """
    return np.asarray(np.where((output != 0).any(-1), output.argmax(-1), UNDECIDED), np.int64)


def in_top_k(output: Array, labels: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether fewer than k classes have a larger answer than the label, at every timestep.

    Args:
        output: ``(N, T, classes)``.
        labels: ``(N,)``.
        k: how many may be named.

    Returns:
        ``(N, T)``.
    """
    own = np.take_along_axis(output, labels[:, None, None], axis=2)
    return np.asarray((output > own).sum(-1) < k)
