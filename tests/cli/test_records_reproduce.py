"""Every result says what made it; run anew by that command, the same numbers come out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.remembered import read_history
from spikewright.npz import read_npz
from spikewright.provenance import versions

MADE = ("words", "versions", "settings", "provenance", "digest")
"""What says how something was made, and digests over it."""
TOLD = ("provenance", "description")
"""The same among arrays."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of every command that writes some, in a folder."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _network()
        for line in LINES:
            assert run(line.split()) == 0, line
    return folder


def _network() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), nn.ReLU())
    x = np.random.default_rng(0).random((48, 1, 8, 8)).astype(np.float32)
    y = np.arange(48) % 3
    sw.save(sw.load(module.eval(), shape=(1, 8, 8)), "net.safetensors")
    np.savez("train.npz", x=x[:24], y=y[:24])
    np.savez("test.npz", x=x[24:], y=y[24:])


LINES = (
    "convert net.safetensors --data train.npz --readout count --statistics found.safetensors --test test.npz -T 4 "
    "--report page.html -o spiking.safetensors",
    "simulate spiking.safetensors --data test.npz -T 8 --encoder poisson --seed 3 -o run.npz --events events",
    "synapses spiking.safetensors --rates run.npz -o synapses.parquet",
    "synapses spiking.safetensors --data test.npz -T 8 -o synapses.csv",
    "synapses spiking.safetensors -o synapses.hgr",
    "quantise spiking.safetensors --chip speck2f --data train.npz -o chip.safetensors",
    "simulate chip.safetensors --data test.npz -T 8 -o chip-run.npz --events chip-events",
    "export spiking.safetensors -o net.nir",
    *(f"export chip.safetensors -o settings{suffix}" for suffix in (".json", ".npz", ".h", ".zip")),
)
OUTPUT = re.compile(r"(?:-o|--events|--statistics|--report) (\S+)")
NAMES = {name: line for line in LINES for name in OUTPUT.findall(line)}
"""The command that makes each result."""


def plain(value: Any) -> Any:
    """JSON without what says how it was made."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in MADE}
    return [plain(one) for one in value] if isinstance(value, list) else value


def numbers(path: Path) -> Any:
    """What a result holds beside how it was made, comparable."""
    if path.is_dir():
        return {one.name: numbers(one) for one in sorted(path.iterdir())}
    readers: dict[str, Callable[[Path], Any]] = {
        ".npz": lambda file: {
            k: v.tolist() for k, v in read_npz(file).items() if k not in ("provenance", "description")
        },
        ".json": lambda file: plain(json.loads(file.read_text())),
        ".safetensors": _tensors,
        ".nir": lambda file: sw.load(file).fingerprint,
        ".html": lambda file: re.findall(r"<td[^>]*>[\d., %]+</td>", file.read_text()),
        ".zip": lambda file: {n: ZipFile(file).read(n) for n in ZipFile(file).namelist() if n.endswith(".mem")},
        ".h": lambda file: [line for line in file.read_text().splitlines() if "provenance" not in line],
    }
    return readers.get(path.suffix, Path.read_bytes)(path)


def _tensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(path).items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_record_reproduces(results: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results)
    last = read_history(Path(name))[-1]
    assert last.versions == versions()
    assert re.search("[0-9a-f]{16}", str(last.settings)), "no fingerprint says of what"
    for file in Path().iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    for written in OUTPUT.findall(NAMES[name]):
        for path in Path().glob(f"{written}*"):
            path.unlink()
    assert run(last.words) == 0
    again = read_history(Path(name))[-1]
    assert again.description == last.description
    assert numbers(Path(name)) == numbers(results / name)


@pytest.mark.parametrize("name", NAMES)
def test_inspect_shows_it(
    results: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results)
    capsys.readouterr()
    line = NAMES[name]
    assert run(["inspect", name]) == 0
    assert f"made by: spikewright {line} (python " in capsys.readouterr().out
    assert run(["inspect", name, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    if name not in ("spiking.safetensors", "net.nir"):
        assert said["provenance"][-1]["words"] == line.split()
    assert run(["run", name]) == 0
    assert capsys.readouterr().out.startswith(f'command = "{line.split()[0]}"')


def test_what_came_before_stands_first(results: Path) -> None:
    def steps(name: str) -> list[str]:
        return [one.words[0] for one in read_history(results / name)]

    assert steps("chip.safetensors") == ["convert", "quantise"]
    assert steps("settings.h") == ["convert", "quantise", "export"]
    assert steps("net.nir") == ["convert", "export"]
    assert steps("synapses.parquet") == ["simulate", "synapses"]
    assert steps("synapses.csv") == ["synapses"]


def test_a_folder_and_a_page_say_of_which_data(results: Path) -> None:
    data = sw.load_data(results / "test.npz", inputs=sw.load(results / "net.safetensors").inputs)
    for name in ("run.npz", "events", "chip-run.npz", "chip-events"):
        assert read_history(results / name)[-1].settings["data"] == data.fingerprint, name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.json", b"[1]"),
        ("bad.json", b"{"),
        ("bad.npz", b"PK"),
        ("bad.zip", b"PK"),
        ("bad.html", b"\xff"),
        ("bad.h", b"/* provenance: [ */"),
        ("bad.json", b'{"provenance": [3]}'),
    ],
)
def test_what_is_damaged_is_said(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    assert run(["inspect", name]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert len(said.splitlines()) == 1


def test_options_of_networks_are_idle(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(results / "run.npz"), "--picture", "a.svg"]) == 2
    assert "--picture would change nothing" in capsys.readouterr().err
