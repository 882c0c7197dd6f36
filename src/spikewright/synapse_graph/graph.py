"""The synapse graph of a spiking network, as users have it: the stream, its summary, and writing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Literal

from spikewright.conversion import Conversion, spiking_graph
from spikewright.graph import Graph
from spikewright.rates import Rates
from spikewright.synapse_graph.cuts import Partition
from spikewright.synapse_graph.stream import PART_ROWS, SynapseStream
from spikewright.synapse_graph.summary import Summary, summarise
from spikewright.synapse_graph.writers import writer
from spikewright.synapse_graph.writing import write
from spikewright.tabular import Table, Tabular
from spikewright.wiring import Pools


@dataclass(frozen=True, eq=False)
class Synapses(SynapseStream, Tabular):
    """Every synapse of a network; attributes as ``SynapseStream``."""

    def __repr__(self) -> str:
        rates = "with rates" if self.rates is not None else "without rates"
        return f"Synapses({len(self):,} in {len(self.projections)} projections of {len(self.groups)} groups, {rates})"

    def _table(self) -> Table:
        """A row a projection; single synapses are in files, which pandas reads too."""
        rows = [
            (one.name, one.path.source.name, one.path.dest.name, one.synapses, one.synapses / one.path.dest.neurons)
            for one in self.projections
        ]
        titles = ("projection", "from", "to", "synapses", "synapses into a neuron")
        return Table.of_rows(titles, rows, [repr(self)])

    def summary(self, partition: Partition | None = None) -> Summary:
        """Groups, neurons, synapses, fan-in and fan-out, and traffic, without listing a single synapse.

        Args:
            partition: parts of neurons, for what lies between them: the part of each neuron, all groups counted through
                with the channel fastest; or by group one part or those of its neurons in its shape; or a file with a
                part a line, as partitioners write it.

        Raises:
            DataError: for a partition that does not fit, or is not made of whole numbers of 0 or more.
        """
        return summarise(self, partition)

    def size(self, path: FilePath | str, format: str | None = None) -> int | None:  # noqa: A002
        """About how many bytes ``write`` would write; None where nobody knows before; arguments and errors as there."""
        made = writer(FilePath(path), format)
        made.check(self)
        return made.size(self)

    def write(
        self,
        path: FilePath | str,
        format: str | None = None,  # noqa: A002
        *,
        shard: tuple[int, int] = (1, 1),
        force: bool = False,
        resume: bool = False,
        workers: int = 2,
        progress: Callable[[int, int], None] | None = None,
    ) -> FilePath:
        """Write all synapses, or one shard of them, whole or not at all.

        Args:
            path: a file, or a folder for formats of many files.
            format: the name of a format ("parquet", "csv", "hgr", …), with its options ("hgr:grouped"); by default
                what the path's suffix says.
            shard: (which, of how many), counted from 1: for several processes or machines that write one data set.
            force: replace what stands there.
            resume: go on from the finished parts that an interrupted call with the same settings left. What is damaged
                among them is written anew, and a warning says so. Formats that are written in one go leave none.
            workers: threads.
            progress: called with (synapses done, synapses in all).

        Raises:
            SettingsError: for an unknown format, a shard that does not exist, or a network that the format cannot hold.
            StorageError: when it cannot be written, or something stands there.
        """
        return write(
            self, FilePath(path), format, shard=shard, force=force, resume=resume, workers=workers, progress=progress
        )


def synapses(
    graph: Graph | Conversion,
    rates: Rates | None = None,
    *,
    pools: Pools = "groups",
    pool_weight: Literal[1, "mean"] = 1,
    part_rows: int = PART_ROWS,
) -> Synapses:
    """The synapse graph of a spiking network.

    Args:
        graph: a conversion, or a spiking graph.
        rates: from ``simulated_rates`` or ``load_rates``: an edge is the rate of the source neuron times the weight,
            0 where it never fired. None: weights alone, edges are null.
        pools: "groups": pools are groups of neurons of their own. "folded": they become part of the projection
            behind them (or before them, where that leads to neurons), with true weights, and every pair of neurons
            is joined once.
        pool_weight: of synapses into pools that are groups: 1, the neutral weight of the format, or "mean".
        part_rows: about how many synapses are written as one piece.

    Raises:
        GraphError: for a network that is not spiking.
        DataError: for rates of another network, or that are negative or not numbers.
    """
    return Synapses(spiking_graph(graph), rates, pools, pool_weight, part_rows)
