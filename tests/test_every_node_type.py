"""Every node type in a small network, through all that a network goes through: it works, or one line says why not."""

from __future__ import annotations

import html
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

import spikewright as sw
from every_node import NODES, ONLY_AT_THE_END, case, converted, each, to_be_spikes
from spikewright.cli.app import run
from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.nodes import node_types
from spikewright.training import module

NOT_IN_NIR = {
    ("AdaptiveAvgPool", 0), ("AdaptiveAvgPool", 1), ("AvgPool", 1), ("ChannelAffine", 0), ("Concat", 1),
    ("ConvTranspose", 0), ("ConvTranspose", 1), ("GlobalMaxPool", 0), ("MaxPool", 0), ("Permute", 0), ("Permute", 1),
    ("Resample", 0), ("Resample", 1), ("Resample", 2), ("Reshape", 0), ("Reshape", 1), ("SpikeMaxPool", 0),
    ("Take", 0), ("Take", 2), ("Take", 3), ("Take", 4), ("Upsample", 0),
}  # fmt: skip
"""What NIR has no node for."""


def test_none_is_forgotten() -> None:
    """A new node type gets a line in ``every_node.NODES``, and goes through all of this."""
    ours = {name for name, kind in node_types().items() if kind.__module__.startswith("spikewright.nodes.")}
    assert ours == NODES.keys()


@each
def test_it_is_converted_or_refused_by_name(name: str, way: int, dense: bool) -> None:
    if name not in ONLY_AT_THE_END:
        graph, _ = case(name, way, dense)
        spiking = converted(name, way, dense)[0].spiking
        assert {node.type for node in graph} | {node.type for node in spiking} >= {name}
        return
    with pytest.raises(UnsupportedModelError, match=rf"{name} at 'node': only the end of a network may have one"):
        converted(name, way, dense)


@each
def test_its_synapses(name: str, way: int, dense: bool, tmp_path: Path) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    made = sw.synapses(conversion, sw.simulated_rates(conversion, x, 4))
    made.write(tmp_path / "synapses.csv")
    rows = (tmp_path / "synapses.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) - 1 == made.summary().synapses == sum(one.synapses for one in made.projections)
    for path in ("net.hgr", "hysmap.json"):
        made.write(tmp_path / path, "hysmap" if path.startswith("hys") else None)
    with suppress(SettingsError):  # a network that is too wide for it is no matter of the node
        made.write(tmp_path / "sanafe", "sanafe")


@each
def test_as_nir(name: str, way: int, dense: bool, tmp_path: Path) -> None:
    pytest.importorskip("nir")
    conversion, x = to_be_spikes(name, way, dense)
    try:
        sw.export(conversion, tmp_path / "n.nir")
    except UnsupportedModelError as error:
        assert (name, way) in NOT_IN_NIR
        assert not any(tmp_path.iterdir())
        for problem in error.problems:
            assert any(f"'{node.name}'" == problem.where for node in conversion.spiking)
        return
    runs = [sw.simulate(net, x, 6, record="spikes") for net in (conversion, sw.load(tmp_path / "n.nir"))]
    np.testing.assert_array_equal(runs[0].output, runs[1].output)
    for population, train in runs[0].spikes.items():
        np.testing.assert_array_equal(runs[1].spikes[population], train)


@each
def test_as_a_page_a_picture_and_a_table(
    name: str, way: int, dense: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    data = (x, np.arange(len(x)) % 3)
    measures = sw.measure(conversion, data, 4, allow_overlap=True)
    page = sw.report(tmp_path / "page.html", conversion, measures).read_text(encoding="utf-8")
    sw.write_picture(tmp_path / "picture.svg", conversion)
    sw.save(conversion, tmp_path / "net.safetensors")
    assert run(["inspect", str(tmp_path / "net.safetensors")]) == 0
    table = capsys.readouterr().out
    for node in conversion.spiking:
        assert html.escape(node.name) in page
        assert node.name in table
    assert sw.load(tmp_path / "net.safetensors").spiking.fingerprint == conversion.spiking.fingerprint


@each
def test_as_a_module_that_learns(name: str, way: int, dense: bool) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    network = module(conversion)
    found = network(torch.from_numpy(x), timesteps=5)
    np.testing.assert_allclose(
        found.detach().numpy(), sw.simulate(conversion, x, 5, engine="reference").output, rtol=1e-4, atol=1e-4
    )
    found[:, -1].square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@each
def test_engines_agree(name: str, way: int, dense: bool) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    one, other = (sw.simulate(conversion, x, 8, engine=engine).output for engine in ("event", "reference"))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
