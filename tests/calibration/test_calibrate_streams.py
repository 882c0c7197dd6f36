"""Calibration, conversion and runs on data that are read where they are needed, known to end or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset

import spikewright as sw
from spikewright.calibration import calibrate
from spikewright.cli.app import run
from spikewright.data import as_dataset, sample_digests
from spikewright.errors import DataError
from spikewright.experiment import convert

X = np.random.default_rng(0).random((40, 1, 6, 6), np.float32)
Y = np.arange(40) % 3


class Counted(Dataset):
    reads = 0

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, k: int) -> Any:
        self.reads += 1
        return X[k], int(Y[k])


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


def samples() -> Iterator[Any]:
    yield from zip(X, Y, strict=True)


def graph() -> sw.Graph:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 3)
    return sw.prepare(sw.load(torch.nn.Sequential(*layers), shape=(1, 6, 6)))[0]


def test_calibration_on_a_stream_is_that_on_arrays() -> None:
    network = graph()
    wanted = calibrate(network, (X, Y), ["max", "percentile:99"], batch_size=16)
    for data in (Counted(), Stream(), samples):
        found = calibrate(network, data, ["max", "percentile:99"], batch_size=16)
        assert found.key == wanted.key
        assert found.samples == 40
        assert found.scores == wanted.scores
        for method in ("max", "percentile:99"):
            for name, scale in wanted.scales(method).items():
                np.testing.assert_array_equal(found.scales(method)[name], scale)


def test_one_pass_reads_every_item_once() -> None:
    items = Counted()
    data = as_dataset(items, graph().inputs)
    found = calibrate(graph(), data, "max")
    assert items.reads == len(X) + 1  # the first shows the shape
    assert found.scores
    sample_digests(data)
    assert items.reads == len(X) + 1


def test_a_generator_is_enough_for_one_pass_and_refused_for_more() -> None:
    network = graph()
    statistics = calibrate(network, samples(), "max", batch_size=16)
    assert statistics.samples == 40
    assert statistics.key == calibrate(network, X, "max").key
    conversion = convert(network, samples(), method="max")
    assert conversion.calibration.samples == 40
    found = sw.simulate(conversion, samples(), 8, batch_size=16)
    assert found.samples == 40
    np.testing.assert_array_equal(found.labels, Y)
    with pytest.raises(DataError, match="a generator can be read once only, and here the labels of all samples are"):
        sw.measure(conversion, samples(), 8)
    measured = sw.measure(conversion, as_dataset(samples(), network.inputs).sample(20), 8, allow_overlap=True)
    assert measured.run.samples == 20


def test_labels_that_change_their_kind_are_said() -> None:
    def odd() -> Iterator[Any]:
        for x, y in zip(X, Y, strict=True):
            yield x, np.int64(y) if y < 2 or len(seen) < 20 else np.float64(0.5)
            seen.append(y)

    seen: list[int] = []
    found = calibrate(graph(), odd(), "max", batch_size=8)
    assert not found.scores
    assert found.remarks


def test_streams_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    Path("streams.py").write_text(
        "import numpy as np\n\n\ndef some():\n"
        "    for k, x in enumerate(np.load('x.npy')):\n        yield x, k % 3\n\n\n"
        "def endless():\n    while True:\n        yield from some()\n"
    )
    sw.save(graph(), "net.safetensors")
    command = ["convert", "net.safetensors", "--data", "streams.py:some", "-o", "s.safetensors"]
    assert run([*command, "--memory", "0"]) == 2
    assert "--memory" in capsys.readouterr().err
    assert run([*command, "--memory", "1", "--method", "percentile:99.9,channels"]) == 0
    assert "40 of 40" in capsys.readouterr().err
    simulate = ["simulate", "s.safetensors", "-T", "4", "--allow-overlap", "--json", "--data"]
    assert run([*simulate, "streams.py:some"]) == 2
    refused = capsys.readouterr().err
    assert "draw some with sample(N) (--samples N)" in refused
    assert refused.count("\n") <= 2
    assert run([*simulate, "streams.py:some", "--samples", "30"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["samples"] == 30
    assert run([*simulate, "streams.py:endless", "--first-samples", "12"]) == 0
