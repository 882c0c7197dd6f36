"""Scale factors of every layer, and the parameters that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.calibration import Percentile, Statistics
from spikewright.compat._networks import readout_of, trained
from spikewright.compat.snntoolbox.activations import layers_of, try_reload_activations
from spikewright.compat.snntoolbox.options import parser_of
from spikewright.compat.snntoolbox.percentiles import get_percentile
from spikewright.compat.snntoolbox.storing import save_arrays
from spikewright.conversion import Conversion, Readout, from_scales, read_out
from spikewright.data import Dataset, as_dataset
from spikewright.errors import SettingsError, warn
from spikewright.experiment.converting import statistics_of
from spikewright.files import write_text
from spikewright.graph import Graph
from spikewright.nodes import Output, ReLU
from spikewright.normalisation import Scales
from spikewright.preparation import prepare

MOST_STORED = 2**30
"""Up to so many bytes of activations are stored."""


def normalize_parameters(model: Any, config: Any, **kwargs: Any) -> Graph:
    """A network with parameters divided by the scale factors of its layers: it computes the same in other units.

    Weights become ``W·λ_pre/λ_post`` and biases ``b/λ_post``, where λ is the percentile of a layer's activations that
    are not zero. An output with a softmax, and a linear one, keeps λ = 1.

    Args:
        model: the network: a Graph, or what ``load`` takes. It is left as it is.
        config: a ``ConfigParser``, a mapping of sections, or the path of an INI file: percentile and schedule.
        kwargs: ``x_norm``: samples ``(N, ...)`` or a Dataset, or ``dataflow``: a generator or loader of batches; or
            ``scale_facs``: λ by layer, found before. ``path``: the folder for what is written, in place of
            ``log_dir_of_current_run``/normalization; without either nothing is written. ``truncate``: whether the
            percentile of a schedule is cut to a whole number, as SNN Toolbox does.

    Returns:
        the normalised network, batch norms folded.

    Raises:
        SettingsError: without samples or scale factors, and for other keywords.
        SpikewrightError: as ``load``, ``prepare`` and ``calibrate``.
    """
    unknown = kwargs.keys() - {"x_norm", "dataflow", "scale_facs", "path", "truncate"}
    if unknown:
        raise SettingsError(f"normalize_parameters has no '{min(unknown)}'; see its docstring")
    samples = kwargs.get("x_norm", kwargs.get("dataflow"))
    if samples is None and "scale_facs" not in kwargs:
        raise SettingsError("normalising needs samples: x_norm=…, or scale factors: scale_facs={layer: λ}")
    settings = parser_of(config)
    folded, _ = prepare(trained(model, getattr(samples, "shape", (0,))[1:]))
    folder = _folder(settings.get("paths", "log_dir_of_current_run"), kwargs.get("path"))
    if "scale_facs" in kwargs:
        scales = scales_of(folded, kwargs["scale_facs"])
        return from_scales(folded, scales, readout=readout_of(folded)).normalised
    data = as_dataset(samples, folded.inputs)
    statistics, scales = found_scales(folded, data, settings, truncate=bool(kwargs.get("truncate")), folder=folder)
    conversion = from_scales(folded, scales, readout=readout_of(folded))
    if folder is not None:
        write_factors(folder, settings.get("normalization", "percentile"), conversion, statistics)
        write_activations(folder, folded, data)
    return conversion.normalised


def found_scales(
    folded: Graph, data: Dataset, config: Any, *, truncate: bool = False, folder: Path | None = None
) -> tuple[Statistics, Scales]:
    """Statistics of a network over data, and λ of every population at its layer's percentile.

    Args:
        folded: from ``prepare``.
        data: to calibrate with.
        config: as of ``get_percentile``.
        truncate: as of ``apply_normalization_schedule``.
        folder: where statistics are kept for the next run; they are reused only for the same weights and data.

    Raises:
        SpikewrightError: as ``calibrate``.
    """
    settings = parser_of(config)
    layers = sum(node.weighted for node in folded)
    methods = [Percentile(get_percentile(settings, i, truncate=truncate)) for i in range(max(layers, 1))]
    store = None if folder is None else folder / "statistics.safetensors"
    statistics = statistics_of(folded, data, list(dict.fromkeys(methods)), store=store, force=True)
    by_method = {method: statistics.scales(method) for method in dict.fromkeys(methods)}
    scales = dict(by_method[methods[0]])
    for name, node in statistics.nodes.items():
        scales[name] = by_method[methods[min(node.layer, len(methods) - 1)]][name]
    return statistics, scales


def factors_of(conversion: Conversion) -> dict[str, float]:
    """λ by layer, as SNN Toolbox writes them: the input first, with 1; then every layer by its name."""
    graph = read_out(conversion.folded, conversion.readout)
    found = dict.fromkeys(graph.inputs, 1.0)
    found |= {layer: float(np.max(conversion.scales[name])) for name, layer in _layer_names(graph).items()}
    uncounted = [node for node in graph.of_type(Output) if graph[node.inputs[0]].type in ("Linear", "Conv")]
    return found | {graph[node.inputs[0]].name: 1.0 for node in uncounted}


def scales_of(folded: Graph, factors: Mapping[str, float], readout: Readout | None = None) -> Scales:
    """λ by population from scale factors by layer; by the population's own name too.

    Args:
        folded: from ``prepare``.
        factors: λ by layer.
        readout: of the outputs; None for ``readout_of``.

    Raises:
        SettingsError: for a population whose layer has none.
    """
    graph = read_out(folded, readout or readout_of(folded))
    found = {}
    for name, layer in _layer_names(graph).items():
        if name not in factors and layer not in factors:
            raise SettingsError(f"scale_facs: the layer '{layer}' has none")
        found[name] = np.asarray(factors.get(name, factors.get(layer)), np.float64)
    return found


def write_factors(folder: Path, percentile: str, conversion: Conversion, statistics: Statistics) -> None:
    """Write PERCENTILE.json with λ by layer, and activations/weights.npz and activations/sparsity.npz.

    Args:
        folder: of the normalisation.
        percentile: as the configuration writes it.
        conversion: whose λ these are.
        statistics: whose share of zeros is written.

    Raises:
        StorageError: where they cannot be written.
    """
    (folder / "activations").mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{percentile}.json", json.dumps(factors_of(conversion)), force=True)
    weights = {node.name: node.arrays["weight"] for node in conversion.folded if "weight" in node.arrays}
    zeros = [1 - node.positives.sum() / node.count for node in statistics.nodes.values()]
    for name, arrays in (("weights", weights), ("sparsity", {"sparsity": np.asarray(zeros)})):
        save_arrays(folder / "activations" / f"{name}.npz", arrays)


def write_activations(folder: Path, folded: Graph, data: Dataset) -> None:
    """Write activations/LAYER.npz for every layer with weights, where together they are not too large.

    Args:
        folder: of the normalisation.
        folded: from ``prepare``.
        data: the samples.

    Raises:
        StorageError: where they cannot be written.

    Warns:
        SpikewrightWarning: where they are left out.
    """
    layers = [layer for layer in layers_of(folded) if layer.parameters]
    size = 4 * len(data) * sum(prod(folded.shapes[layer.value]) for layer in layers)
    if size > MOST_STORED:
        warn([f"activations of {size / 2**30:.1f} GiB are not stored; try_reload_activations stores those of a layer"])
        return
    for layer in layers:
        try_reload_activations(layer.name, folded, data, 100, folder / "activations")


def _layer_names(graph: Graph) -> dict[str, str]:
    """By population of a network that is read out, the name of the layer that it is the activation of."""
    found = {}
    for relu in graph.of_type(ReLU):
        source = graph.sources(relu)[0]
        found[relu.name] = source.name if source.weighted and source.type != "ChannelAffine" else relu.name
    return found


def _folder(log_folder: str, path: Any) -> Path | None:
    if path is not None:
        return Path(path)
    return Path(log_folder) / "normalization" if log_folder else None
