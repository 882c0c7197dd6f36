"""Everything that is read from disk: how a good small file is made, how it is read, and how it is damaged."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import spikewright as sw
from faults import mutations as m
from faults.format import Format
from faults.mutations import BYTES, Mutator
from faults.recordings import recordings
from networks import plain, pools
from spikewright.calibration import Histogram, Moments, Statistics, statistics_key
from spikewright.conversion import what_became
from spikewright.data import load_data
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.passes.rewrite import recorded
from spikewright.rates import load_rates, simulated_rates
from spikewright.reports.network.diagram import diagram

METHOD = "percentile:99,channels"


def analog() -> Graph:
    return plain(3).graph()


def spiking(graph: Graph | None = None) -> Graph:
    graph = graph or pools(1).graph()
    method = sw.threshold_method(METHOD)
    scales = sw.calibrate(sw.prepare(graph)[0], samples(graph), [method]).scales(method)
    return sw.convert(graph, scales).spiking


def conversion() -> sw.Conversion:
    graph = pools(1).graph()
    data = sw.ArrayDataset(samples(graph), None, sw.Preprocessing(scale=0.5))
    return sw.convert(graph, data, METHOD, neurons="v_init=0.25; *: v_min=-1", task="classification")


def samples(graph: Graph, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).random((count, *graph.sample_shape)).astype(np.float32)


def understood(graph: Graph) -> Any:
    """A graph used as the commands use it, as far as its size allows, and what it is."""
    diagram(graph)
    if not graph.populations:
        folded, changes = sw.prepare(graph, leaky="split")
        what_became(graph, changes)
        ready = folded
    else:
        recorded(graph)
        ready = None
    work = sum(graph.macs(node) for node in graph) + sum(int(np.prod(s)) for s in graph.shapes.values())
    if work < 10**6:
        x = np.zeros((1, *graph.sample_shape), np.float32)
        if ready is not None:
            run(ready, x)
        if graph.populations:
            sw.simulate(graph, x, 2, engine="reference")
    return graph.fingerprint, repr(sorted(graph.meta.items()))


def _network(name: str) -> Callable[[Path], Any]:
    return lambda folder: understood(load(str(folder / name)))


def _graph(name: str, make: Callable[[], Graph]) -> Format:
    def write(folder: Path) -> None:
        sw.save(make(), folder / name)

    inside = m.in_safetensors("spikewright-graph")
    return Format(name, write, _network(name), (inside,), sure=True)


def _conversion() -> Format:
    name = "conversion.safetensors"

    def write(folder: Path) -> None:
        sw.save(conversion(), folder / name)

    def read(folder: Path) -> Any:
        found = load(str(folder / name))
        assert isinstance(found, sw.Conversion)
        work = sum(found.folded.macs(node) for node in found.folded)
        if work < 10**6:
            sw.measure(found, np.zeros((1, *found.spiking.sample_shape), np.float32), 2, engine="reference")
        return understood(found.spiking), found.folded.fingerprint, repr(found), dict(found.became), found.calibration

    return Format(name, write, read, (m.in_safetensors("spikewright-conversion"),), sure=True)


def _chip() -> Format:
    name = "chip.safetensors"

    def write(folder: Path) -> None:
        graph = plain(3).graph()
        made = sw.convert(graph, samples(graph), "percentile:99.9", readout="count")
        sw.save_quantised(sw.quantise(made, "speck2f", samples(graph), rate=2), folder / name)

    def read(folder: Path) -> Any:
        found = sw.load_quantised(folder / name)
        size = sum(layer.macs + layer.weights.size for layer in found.network.layers)
        if size + sum(int(np.prod(shape)) for shape in found.inputs.values()) < 10**6:
            x = np.full((1, *found.inputs.get("input", ())), 0.5, np.float32)
            sw.measure_chip(found, x, sw.PictureTrains(timesteps=2, ticks=found.ticks))
        return repr(found.summary()), str(found.preprocessing), dict(found.inputs)

    return Format(name, write, read, (m.in_safetensors("spikewright-chip"),), sure=True)


def _statistics() -> Format:
    name, method = "statistics.safetensors", sw.threshold_method(METHOD)

    def write(folder: Path) -> None:
        graph = sw.prepare(pools(1).graph())[0]
        requests = (Histogram(channels=True), Moments(), Moments(channels=True, before_relu=True))
        sw.calibrate(graph, samples(graph), [method], requests=requests).save(folder / name)

    def read(folder: Path) -> Any:
        graph = sw.prepare(pools(1).graph())[0]
        found = Statistics.load(folder / name, expect_key=statistics_key(graph, samples(graph)))
        scales = found.scales(method)
        sw.convert(pools(1).graph(), scales)
        facts = [(n, o.layer, o.ceiling, o.count, o.histogram.tobytes()) for n, o in sorted(found.nodes.items())]
        results = {
            (n, key, label): array.tobytes()
            for n, o in found.nodes.items()
            for key, arrays in o.results.items()
            for label, array in arrays.items()
        }
        return found.samples, found.exact, facts, results, {k: v.tolist() for k, v in scales.items()}

    return Format(name, write, read, (m.in_safetensors("spikewright-statistics"),), sure=True)


def _rates() -> Format:
    name, graph = "rates.npz", spiking()

    def write(folder: Path) -> None:
        np.savez_compressed(folder / name, timestep=np.arange(4), **simulated_rates(graph, samples(graph), 4).arrays())

    def read(folder: Path) -> Any:
        found = load_rates(folder / name, graph)
        return found.samples, found.timesteps, {k: v.tobytes() for k, v in found.values.items()}

    return Format(name, write, read, (m.in_zip(),), sure=True)


def _events(name: str) -> Format:
    graph = spiking()

    def write(folder: Path) -> None:
        sw.simulate(graph, samples(graph), 8, events_to=folder / "events", batch_size=4)
        if name.endswith(".parquet"):
            found = max((folder / "events").glob("*.parquet"), key=lambda path: path.stat().st_size)
            (folder / "which").write_text(found.name)
        for path in (folder / "events").iterdir():
            path.rename(folder / path.name)
        (folder / "events").rmdir()

    def read(folder: Path) -> Any:
        found = sw.load_events(folder)
        trains = {key: found[key] for key in found}
        columns = ("sample", "timestep", "neuron", "value")
        values = {key: [getattr(t, c).tobytes() for c in columns] for key, t in trains.items()}
        return found.network, found.samples, found.timesteps, dict(found.shapes), values

    inside = (m.in_json,) if name.endswith(".json") else ()
    return Format(name, write, read, inside, sure=True)


def _onnx() -> Format:
    def write(folder: Path) -> None:
        import onnx

        from onnx_models import ints, model, normal

        proto = model(
            [
                ("Conv", ["", "w", "b"], {"pads": [1, 1, 1, 1]}),
                ("Relu", [""], {}),
                ("MaxPool", [""], {"kernel_shape": [2, 2], "strides": [2, 2]}),
                ("Transpose", [""], {"perm": [0, 2, 3, 1]}),
                ("Reshape", ["", "s"], {}),
                ("Gemm", ["", "v"], {"transB": 1}),
            ],
            ["N", 1, 6, 6],
            w=normal(2, 1, 3, 3),
            b=normal(2),
            s=ints(0, -1),
            v=normal(3, 18),
        )
        onnx.save_model(proto, str(folder / "net.onnx"))

    return Format("net.onnx", write, _network("net.onnx"), (m.in_onnx,))


def _torch_module() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    ).eval()


def _pt2() -> Format:
    def write(folder: Path) -> None:
        import torch

        program = torch.export.export(_torch_module(), (torch.zeros(2, 1, 6, 6),))
        torch.export.save(program, folder / "net.pt2")

    inside = (m.in_zip({".json": (m.in_json, m.in_json, m.letters)}),)
    return Format("net.pt2", write, _network("net.pt2"), inside, slow=20)


def _keras(name: str) -> Format:
    def write(folder: Path) -> None:
        from keras import layers as L

        from keras_networks import chain

        parts = (
            L.Conv2D(2, 3, activation="relu", name="c"),
            L.BatchNormalization(name="bn"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(3, name="d"),
        )
        model = chain(*parts, shape=(6, 6, 1))
        if name.endswith(".h5"):
            from logging import ERROR, getLogger

            getLogger("absl").setLevel(ERROR)
        model.save(folder / name)

    inside: tuple[Mutator, ...] = (m.in_hdf5,)
    if name.endswith(".keras"):
        inside = (m.in_zip({".json": (m.in_json, m.in_json, m.letters), ".h5": (m.in_hdf5, *BYTES)}),)
    return Format(name, write, _network(name), inside)


def _nir() -> Format:
    def write(folder: Path) -> None:
        from spikewright.exporters import export

        export(spiking(analog()), folder / "net.nir")

    return Format("net.nir", write, _network("net.nir"), (m.in_hdf5,))


def _weights(name: str) -> Format:
    def write(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        state = _torch_module().state_dict()
        if name.endswith(".safetensors"):
            save_file(state, folder / name)
        else:
            torch.save(state, folder / name, _use_new_zipfile_serialization="old" not in name)

    def read(folder: Path) -> Any:
        from spikewright.frontends.torch.module_file import load_weights

        module = _torch_module()
        load_weights(module, folder / name)
        return [value.shape for value in module.state_dict().values()]

    inside = (m.in_safetensors("none"),) if name.endswith(".safetensors") else (m.in_zip(),)
    return Format(name, write, read, () if "old" in name else inside)


def _dump() -> Format:
    def write(folder: Path) -> None:
        synapses = [
            {"source_group": "in", "source_neuron": (k, 2, 0), "dest_group": "out", "dest_neuron": (k,), "edge": k / 7}
            for k in range(300)
        ]
        (folder / "dump.pickle").write_bytes(b"".join(pickle.dumps(s, protocol=4) for s in synapses))

    def read(folder: Path) -> Any:
        from spikewright.synapse_graph.writers.pickle import dump_to_csv

        return dump_to_csv(folder / "dump.pickle", folder / "made.csv", force=True)

    return Format("dump.pickle", write, read)


def _data(name: str) -> Format:
    def write(folder: Path) -> None:
        random = np.random.default_rng(0)
        x, y = random.integers(0, 255, (12, 6, 6), np.uint8), random.integers(0, 3, 12).astype(np.uint8)
        if name.endswith(".npz"):
            np.savez_compressed(folder / name, x=x[:, None] / 255, y=y.astype(np.int64))
        elif name.endswith(".npy"):
            np.save(folder / name, x[:, None].astype(np.float32))
        elif "idx" in name:
            packed = gzip.compress if name.endswith(".gz") else bytes
            for label, array in (("images-idx3", x), ("labels-idx1", y)):
                shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
                file = folder / f"t10k-{label}-ubyte{'.gz' if name.endswith('.gz') else ''}"
                file.write_bytes(packed(bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()))
        else:
            from PIL import Image

            for k, picture in enumerate(x):
                home = folder / "pictures" / f"class{y[k]}"
                home.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(home / f"{k}{Path(name).suffix}")
            shutil.copy(next((folder / "pictures").rglob(f"*{Path(name).suffix}")), folder / name)

    def read(folder: Path) -> Any:
        place = folder / name
        if place.suffix in (".png", ".jpg"):
            target = min((folder / "pictures").rglob(f"*{place.suffix}"))
            shutil.copy(place, target)
            place = folder / "pictures"
        found = load_data(str(place), inputs={"x": (1, 6, 6)})
        return [x.shape for x, _ in found.batches(5)]

    inside: tuple[Mutator, ...] = ()
    if name.endswith(".npz"):
        inside = (m.in_zip(),)
    elif name.endswith(".gz"):
        inside = (m.in_gzip,)
    elif name.endswith(".png"):
        inside = (m.in_png,)
    return Format(name, write, read, inside)


def formats() -> dict[str, Format]:
    """All of them, by name."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = (
        *(
            _graph("analog.safetensors", analog),
            _graph("spiking.safetensors", spiking),
            _conversion(),
            _chip(),
            _statistics(),
            _rates(),
        ),
        *(_events("events.json"), _events("events.parquet"), _onnx(), _pt2(), _keras("net.keras"), _keras("net.h5")),
        *(_nir(), _weights("weights.safetensors"), _weights("weights.pt"), _weights("weights_old.pt"), _dump()),
        *(_data(n) for n in ("data.npz", "data.npy", "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz")),
        *(_data("picture.png"), _data("picture.jpg")),
        *recordings(),
    )
    return {one.name: one for one in found}


def victim(folder: Path, name: str) -> Path:
    """The file that is damaged."""
    which = folder / "which"
    return folder / (which.read_text() if which.exists() else name)
