"""The Parquet files: what other readers see in them is what the blocks hold."""

from __future__ import annotations

from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listing import between, random_rates
from spikewright.graph import Array, Graph
from spikewright.nodes import Conv, Linear
from spikewright.synapse_graph import Synapses, parquet, synapses
from spikewright.synapse_graph.blocks import COLUMNS, SynapseBlock
from spikewright.synapse_graph.parquet import Column, ParquetFile
from spikewright.synapse_graph.thrift_compact import varint, zigzag

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_numbers_as_thrift_writes_them() -> None:
    assert [varint(n).hex() for n in (0, 1, 127, 128, 300)] == ["00", "01", "7f", "8001", "ac02"]
    assert [zigzag(n) for n in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]


@st.composite
def some_blocks(draw: st.DrawFn) -> list[SynapseBlock]:
    """Blocks whose columns change along any of their axes."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=5)))
        of = lambda: tuple(n if random.random() < 0.5 else 1 for n in shape)  # noqa: B023, E731
        columns: dict[str, Array] = {
            "small": random.integers(0, 200, of()),
            "middle": random.integers(0, 60_000, of()),
            "large": random.integers(0, 1 << 20, of()),
            "weight": random.normal(size=of()).astype(np.float32),
            "edge": random.normal(size=of()).astype(np.float32),
        }
        found.append(SynapseBlock(shape, columns))
    return found


@given(some_blocks(), st.booleans(), st.sampled_from([1, 100, 1 << 21]))
@settings(max_examples=150, deadline=None)
def test_readers_see_what_the_blocks_hold(blocks: list[SynapseBlock], edges: bool, row_group: int) -> None:
    columns = [
        Column("group", "group"),
        Column("small", "index", 200),
        Column("middle", "index", 60_000),
        Column("large", "index", 1 << 20, wide=True),
        Column("edge", "float", optional=True),
        Column("weight", "float"),
    ]
    if not edges:
        for block in blocks:
            del block.columns["edge"]
    raw = BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP", row_group)
        file = ParquetFile(raw, columns, {"group": "naïve > 1"}, None)
        for block in blocks:
            file.add(block)
        file.close()
    table = pq.read_table(BytesIO(raw.getvalue()))
    assert table.num_rows == sum(prod(block.shape) for block in blocks)
    assert set(table["group"].to_pylist()) == {"naïve > 1"}
    for name, kind in (("small", "uint16"), ("middle", "uint16"), ("large", "uint32"), ("weight", "float")):
        assert str(table.schema.field(name).type) == kind
        assert np.array_equal(table[name].to_numpy(), np.concatenate([block.column(name) for block in blocks]))
    if edges:
        assert np.array_equal(table["edge"].to_numpy(), np.concatenate([block.column("edge") for block in blocks]))
    else:
        assert table["edge"].null_count == table.num_rows
    facts = pq.ParquetFile(BytesIO(raw.getvalue())).metadata
    for group in range(facts.num_row_groups):
        for at in range(facts.num_columns):
            chunk = facts.row_group(group).column(at)
            assert chunk.statistics.null_count == (
                chunk.num_values if chunk.path_in_schema == "edge" and not edges else 0
            )
    if facts.num_row_groups == 1:
        for name in ("small", "large", "weight"):
            statistics = facts.row_group(0).column(table.column_names.index(name)).statistics
            values = table[name].to_numpy()
            assert (statistics.min, statistics.max) == (values.min(), values.max())


def written(graph: Graph, folder: Path, **options: object) -> tuple[Synapses, Path]:
    made = synapses(graph, random_rates(graph), **options)
    return made, made.write(folder / "graph.parquet")


@pytest.fixture
def some(tmp_path: Path) -> tuple[Synapses, Path]:
    conv = Conv(
        name="conv",
        inputs=("input",),
        weight=np.random.default_rng(0).normal(size=(8, 3, 3, 3)),
        bias=np.zeros(8),
        stride=(1, 1),
        padding=((1, 1), (1, 1)),
        dilation=(1, 1),
    )
    return written(between(conv, shape=(3, 12, 10)), tmp_path, part_rows=5000)


def test_the_files_are_the_batches(some: tuple[Synapses, Path]) -> None:
    made, path = some
    stream = pa.Table.from_batches(list(made))
    found = pa.concat_tables([pq.read_table(file) for file in sorted(path.iterdir())])
    assert found.schema.equals(made.schema)
    assert found.num_rows == len(made)
    for name in found.column_names:
        assert (
            found[name]
            .cast("string" if "group" in name else found[name].type)
            .equals(stream[name].cast("string" if "group" in name else found[name].type))
        )


def test_any_rows_can_be_had_without_those_before(some: tuple[Synapses, Path]) -> None:
    made, _ = some
    whole = pa.Table.from_batches(list(made)).combine_chunks()
    for start, stop in ((0, 10), (4990, 5010), (7000, None), (len(made) - 1, len(made)), (len(made), None)):
        some_rows = list(made.batches(start=start, stop=stop))
        length = (len(made) if stop is None else stop) - start
        assert sum(map(len, some_rows)) == length
        if length:
            assert (
                pa.Table.from_batches(some_rows).combine_chunks().to_pydict() == whole.slice(start, length).to_pydict()
            )
    last = made.projections[-1]
    assert sum(map(len, made.batches(last))) == last.synapses == sum(map(len, made.batches(last.name)))


def test_polars_and_duckdb_read_it(some: tuple[Synapses, Path]) -> None:
    made, path = some
    edges = sum(float(batch["edge"].to_numpy().sum(dtype=np.float64)) for batch in made)
    duckdb = pytest.importorskip("duckdb")
    answer = duckdb.sql(f"SELECT count(*), sum(edge), count(DISTINCT source_group) FROM '{path}/*.parquet'").fetchall()
    assert answer == [(len(made), pytest.approx(edges, rel=1e-4), 2)]
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(path)
    assert frame.columns == ["source_group", "dest_group", *COLUMNS]
    assert frame["edge"].cast(polars.Float64).sum() == pytest.approx(edges, rel=1e-4)


def test_indices_of_long_rows_have_room(tmp_path: Path) -> None:
    """More than 65,536 neurons along one axis: 32 bits, and no dictionary."""
    linear = Linear(name="linear", inputs=("input",), weight=np.ones((2, 70_000)), bias=np.zeros(2))
    _, path = written(between(linear, shape=(70_000,)), tmp_path)
    table = pq.read_table(sorted(path.iterdir())[0])
    assert str(table.schema.field("source_channel").type) == "uint32"
    assert table["source_channel"].to_numpy()[::2].tolist() == list(range(70_000))


def test_edges_are_null_without_rates_and_only_then(tmp_path: Path) -> None:
    graph = between(Linear(name="linear", inputs=("input",), weight=np.ones((2, 3)), bias=np.zeros(2)), shape=(3,))
    path = synapses(graph).write(tmp_path / "graph.parquet")
    table = pq.read_table(path)
    assert table["edge"].null_count == table.num_rows == 8
    assert table.schema.field("edge").nullable
    assert not synapses(graph, random_rates(graph)).schema.field("edge").nullable
    assert not table.schema.field("weight").nullable


def test_a_silent_neuron_has_edges_of_zero_not_of_minus_zero() -> None:
    graph = between(Linear(name="linear", inputs=("input",), weight=-np.ones((2, 3)), bias=np.zeros(2)), shape=(3,))
    rates = random_rates(graph)
    for values in rates.values.values():
        values[:] = 0
    edges = np.concatenate([batch["edge"].to_numpy() for batch in synapses(graph, rates)])
    assert not edges.any()
    assert not np.signbit(edges).any()
