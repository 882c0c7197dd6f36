"""The page about synapses: its readers read what it writes, and the ten busiest neurons are the ten busiest."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing import columns
from spikewright.synapse_graph import Synapses

pytest.importorskip("pyarrow")
PAGE = (Path(__file__).parents[2] / "docs" / "synapses.md").read_text(encoding="utf-8")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Synapses:
    """What the page makes, written where it says."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    monkeypatch.chdir(tmp_path)
    synapses: Synapses = names["synapses"]
    synapses.write("synapses.parquet")
    return synapses


def answer(library: str) -> Any:
    """What the last line of a library's example gives."""
    pytest.importorskip(library)
    blocks = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    block = next(text for text in blocks if f"import {library}" in text)
    names: dict[str, Any] = {}
    exec(block.replace(f"\n{library}.", f"\nanswer = {library}.", 1), names)
    return names["answer"]


def test_the_ten_busiest_source_neurons(made: Synapses) -> None:
    traffic: Counter[tuple[Any, ...]] = Counter()
    for one in made.projections:
        c = columns(made, [one])
        neurons = zip(*(c[f"source_{axis}"].tolist() for axis in ("row", "column", "channel")), strict=True)
        for neuron, edge in zip(neurons, np.abs(c["edge"].astype(np.float64)).tolist(), strict=True):
            traffic[one.path.source.name, *neuron] += edge
    found = answer("duckdb").fetchall()
    assert len(found) == 10
    assert [row[4] for row in found] == pytest.approx([edge for _, edge in traffic.most_common(10)], rel=1e-5)
    for *neuron, edge in found:
        assert traffic[tuple(neuron)] == pytest.approx(edge, rel=1e-5)


def test_polars_adds_up_edges(made: Synapses) -> None:
    found = dict(answer("polars").iter_rows())
    expected: Counter[str] = Counter()
    for one in made.projections:
        expected[one.path.dest.name] += float(columns(made, [one])["edge"].sum(dtype=np.float64))
    assert found == pytest.approx(expected, rel=1e-4)


def test_pandas_filters(made: Synapses) -> None:
    found = answer("pandas").to_dict()
    expected = {}
    for one in made.projections:
        count = int((columns(made, [one])["dest_channel"] == 0).sum())
        if count:
            expected[one.path.source.name] = expected.get(one.path.source.name, 0) + count
    assert found == expected


def test_batches_of_one_projection(made: Synapses) -> None:
    name = re.search(r'batches\("([^"]+)", start=1000, stop=2000\)', PAGE)
    assert name is not None
    assert sum(map(len, made.batches(name[1], start=1000, stop=2000))) == min(1000, made[name[1]].synapses - 1000)
