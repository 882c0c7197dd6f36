"""How many spikes a step each population may send, chosen under a budget of spikes for the whole network.

The idea is AdaFire's (AAAI 2025): of every population and cap φ one finds what it costs, in spikes, and what it gains,
and takes the caps that gain most within the budget. Here both are those of the whole network on the given samples, with
the cap of that population alone changed; their sums stand for what several caps do together, which is then measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from spikewright.conversion import Conversion, NeuronsByPopulation, spiking_of
from spikewright.corrections.corrector import Corrector, Given
from spikewright.engines import simulate
from spikewright.errors import SettingsError
from spikewright.forward import Forward
from spikewright.graph import Array, Graph
from spikewright.nodes import IF
from spikewright.settings import LARGEST, whole
from spikewright.timesteps import Timesteps

WAYS = 4096
"""Combinations that are kept while populations are added one after the other: of more, evenly spread ones by cost."""


@dataclass(frozen=True)
class Bursts(Corrector):
    """A cap on the spikes of a step for each population.

    Caps are chosen for the least error of the answers at the timesteps that it corrects for: the squared difference
    from what the analog network says, relative to how much that varies from sample to sample. Populations whose ReLU
    has a ceiling or trained steps keep theirs: it is what clips.

    Attributes:
        most: the highest cap.
        budget: how many spikes there may be, as a multiple of those with single spikes everywhere.
    """

    most: int = 4
    budget: float = 1.5
    main: ClassVar[str | None] = "most"

    def __post_init__(self) -> None:
        object.__setattr__(self, "most", whole("bursts: the cap", self.most, 2, LARGEST))
        super().__post_init__()
        if not self.budget >= 1:
            raise SettingsError(f"bursts: the budget must be 1 or more, in spikes of the network, not {self.budget:g}")

    def check(self, conversion: Conversion, timesteps: Timesteps, before: Sequence[str] = ()) -> None:
        free = _without_ceiling(conversion)
        if any(node.schedule != "free" for node in free):
            raise SettingsError("bursts: neurons that exchange window by window send one spike a step; leave it out")
        if not free:
            capped = "every population has a ceiling, which says how many spikes a step it may send"
            why = capped if conversion.spiking.of_type(IF) else "no population spikes"
            raise SettingsError(f"bursts: {why}; leave it out")
        super().check(conversion, timesteps, before)

    def apply(self, given: Given) -> Conversion:
        one = given.conversion
        free = _without_ceiling(one)
        single = one.spiking.replaced(*(node.replace(max_spikes=1) for node in free))
        trial, caps = _Trial.of(given), self._caps()
        base = trial.measured(single)
        table = []
        for number, node in enumerate(free):
            tried = [trial.measured(single.replaced(node.replace(max_spikes=cap))) for cap in caps[1:]]
            table.append([(0.0, 0.0), *((cost - base[0], error - base[1]) for cost, error in tried)])
            if given.progress is not None:
                given.progress(number + 1, len(free))
        allowed = (self.budget - 1) * base[0]
        for part in (1.0, 0.5, 0.25, 0.0):  # several caps together may cost more than one by one
            chosen = [
                node.replace(max_spikes=caps[k]) for node, k in zip(free, best(table, part * allowed), strict=True)
            ]
            cost, error = trial.measured(single.replaced(*chosen))
            if cost <= base[0] + allowed and error <= base[1]:
                break
        else:
            chosen = [node.replace(max_spikes=1) for node in free]
        return _with_caps(one, chosen).corrected(one.spiking.replaced(*chosen), self.remembered(given))

    def _caps(self) -> tuple[int, ...]:
        """1, its doubles below the highest cap, and that."""
        found = [1]
        while 2 * found[-1] < self.most:
            found.append(2 * found[-1])
        return (*found, self.most)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Runs of one network with other caps, on the same samples.

    Attributes:
        given: what the corrector is given.
        expected: by output, ``(N, *shape)``: what the analog network answers.
    """

    given: Given
    expected: Mapping[str, Array]

    @classmethod
    def of(cls, given: Given) -> _Trial:
        """With the answers of the analog network to what the encoder sends on the whole."""
        import torch

        forward, last = Forward(given.conversion.reference, given.device), given.timesteps.last
        answers: dict[str, list[Array]] = {}
        for x, _ in given.data.batches(256):
            sent = given.encoder.mean(torch.from_numpy(np.ascontiguousarray(x)), last)
            for name, answer in forward(sent).items():
                answers.setdefault(name, []).append(answer.cpu().numpy())
        return cls(given, {name: np.concatenate(parts) for name, parts in answers.items()})

    def measured(self, spiking: Graph) -> tuple[float, float]:
        """Spikes of all neurons on all samples, and the error of the answers."""
        given, times = self.given, np.array(self.given.timesteps.values) - 1
        run = simulate(
            spiking,
            given.data,
            given.timesteps.last,
            encoder=given.encoder,
            device=given.device,
            quiet=True,
        )
        cost = sum(float(run.sent[node.name].sum()) for node in spiking.of_type(IF))
        error = 0.0
        for name, expected in self.expected.items():
            missed = run.outputs[name][:, times] - expected[:, None]
            spread = float(expected.var(axis=0).mean()) or float(np.square(expected).mean()) or 1.0
            error += float(np.square(missed).mean()) / spread
        return cost, error


def _without_ceiling(one: Conversion) -> list[IF]:
    """The populations whose cap may be chosen."""
    reference = one.reference.by_name
    return [node for node in one.spiking.of_type(IF) if getattr(reference.get(node.name), "ceiling", 0.0) is None]


def best(table: Sequence[Sequence[tuple[float, float]]], budget: float) -> list[int]:
    """One choice of each row, so that errors add up to the least while costs do not exceed a budget.

    Rows are added one after the other; of all ways so far only those stay that no other one beats in both.

    Args:
        table: rows of (cost, error), the first of which are zero.
        budget: on the sum of costs.

    Returns:
        the index of the choice in each row.
    """
    ways: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, ())]
    for row in table:
        longer = [(c + cost, e + error, (*picks, k)) for c, e, picks in ways for k, (cost, error) in enumerate(row)]
        ways = []
        for way in sorted(longer):
            if not ways or way[1] < ways[-1][1]:
                ways.append(way)
        if len(ways) > WAYS:
            ways = [ways[k] for k in np.linspace(0, len(ways) - 1, WAYS).round().astype(int)]
    within = [way for way in ways if way[0] <= budget]
    return list(within[-1][2]) if within else [0] * len(table)


def _with_caps(one: Conversion, chosen: Sequence[IF]) -> Conversion:
    """The conversion with neurons of these caps, and the network that conversion makes of such neurons."""
    caps = tuple((node.name, replace(one.neurons.of(node.name), max_spikes=node.max_spikes)) for node in chosen)
    others = tuple(pair for pair in one.neurons.exceptions if pair[0] not in dict(caps))
    neurons = NeuronsByPopulation(one.neurons.default, (*others, *caps))
    made = spiking_of(one.folded, one.scales, neurons, view=one.view, readout=one.readout)
    return replace(one, neurons=neurons, made=made)
