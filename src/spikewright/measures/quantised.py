"""The trained network rounded to as many levels as T timesteps have: what no spike that comes late or unevenly costs.

In T steps a neuron sends 0 to ``φT`` spikes (φ is the most it may send in one step, 1 for single spikes), so a spiking
network knows every activation in steps of λ/T at best. The network that rounds its activations so::

    x → clip(floor(T·x/λ + s), 0, φT) · λ/T        with s = ½, or as the network was trained

has no time and no spikes. Between the trained network and it lies what clipping and rounding cost, between it and the
spiking network's curve what unevenness and transients cost, which corrections and other neurons can get back. It is
what a layered schedule computes. Where the network was corrected or changed since its conversion, it stays the same.

Where a run had weights of 8 bits, what these cost is measured by itself: on the trained network with the weights of the
same layers rounded, and its activations as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import RunSettings, round_weights, windows
from spikewright.engines.eight_bits import rounded_weights
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.measures.plain import plain_curve, plain_number
from spikewright.nodes import IF, ReLU
from spikewright.tasks import Curve, Head, RunningScores
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor

UNCAPPED = 2**16
"""Spikes a step of a neuron that may send any number: so many are never reached, and as a power of two it is exact."""

FINEST = 20
"""Few-spike levels of more timesteps are not told from these."""

FEWEST = 250
"""How many samples a quantised network is run on at least, where there are as many."""
SEED = 0
"""The seed of the draw of these."""


@dataclass(frozen=True, eq=False)
class QuantisedScores:
    """How good the quantised network's answers of one output are.

    They are compared with what the curves of ``HeadMeasures.curves`` are compared with: the labels, or where there are
    none the trained network's answers.

    Attributes:
        steps: ``S`` numbers of timesteps, rising.
        scores: by name, ``(S,)``: of the trained network rounded to the levels of so many timesteps.
        clipped: by name: of the trained network whose activations end where its neurons send spikes in every step,
            without rounding; what it lacks no number of timesteps gives back.
        narrow: by name: of the trained network whose weights have the 8 bits of the run; None where it ran in others.
        samples: ``(S,)``: how many samples each was run on: see ``quantised_scores``.
        of: how many there are.
    """

    steps: tuple[int, ...]
    scores: Mapping[str, Curve]
    clipped: Mapping[str, float]
    samples: tuple[int, ...]
    of: int
    narrow: Mapping[str, float] | None = None

    __repr__ = brief

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "timesteps": list(self.steps),
            "scores": {name: plain_curve(curve) for name, curve in self.scores.items()},
            "clipped": {name: plain_number(value) for name, value in self.clipped.items()},
            "samples": list(self.samples),
            **({} if self.narrow is None else {"narrow": {k: plain_number(v) for k, v in self.narrow.items()}}),
        }


def levels_of(neuron: IF, timesteps: int) -> tuple[int, int | None]:
    """How many levels of T timesteps make up λ, and the highest one; None where there is none.

    Few-spike neurons, whose spikes weigh ``2^−t``, have ``2^T``; all others T.
    """
    if neuron.schedule == "few_spike":
        return windows.levels_of(neuron.schedule, min(timesteps, FINEST))
    return timesteps, None if neuron.max_spikes is None else neuron.max_spikes * timesteps


def quantised_graph(conversion: Conversion, timesteps: int | None) -> Graph:
    """The trained network in units of λ, its activations rounded to the levels of T timesteps.

    Args:
        conversion: of which the spikes a step are taken too.
        timesteps: T; None clips the activations and does not round.
    """
    neurons = {node.name: node for node in conversion.spiking.of_type(IF)}
    graph = conversion.normalised
    relus = [relu for relu in graph.of_type(ReLU) if relu.name in neurons]
    return graph.replaced(*(_as_counted(relu, neurons[relu.name], timesteps) for relu in relus))


def narrow_graph(conversion: Conversion, encoder: Encoder) -> Graph:
    """The trained network in units of λ, with weights of 8 bits where a run has them.

    Args:
        conversion: which layers there are, and which read spikes.
        encoder: of the run.
    """
    rounded, graph = round_weights(conversion.spiking, encoder).errors, conversion.normalised
    return graph.replaced(*(node.reweigh(rounded_weights) for node in graph if node.name in rounded))


def _as_counted(relu: ReLU, neuron: IF, timesteps: int | None) -> ReLU:
    """A rectifier that answers with what its neurons can count."""
    if timesteps is None:
        trained_so = neuron.max_spikes is None or relu.levels is not None  # trained levels end at a whole number of λ
        return relu if trained_so else relu.replace(ceiling=float(neuron.max_spikes or 0))
    made, most = levels_of(neuron, timesteps)
    highest = UNCAPPED * made if most is None else most
    shift = 0.5 if relu.levels is None else relu.shift
    return relu.replace(ceiling=highest / made, levels=highest, shift=shift)


def quantised_scores(
    conversion: Conversion,
    data: Dataset,
    steps: Sequence[int],
    heads: Mapping[str, Head],
    judged: Mapping[str, Judged],
    settings: RunSettings,
    seed: int = SEED,
) -> dict[str, QuantisedScores]:
    """How good the quantised networks are, each on as many samples as it needs.

    What a quantised network loses is found against the trained network on the same samples, a seeded draw, and taken
    from the trained network's score on all. A draw of a quarter (at least 250 samples) is doubled until the standard
    error of that is no larger than that of the spiking network's score. A score that is no mean over samples, and
    neurons that speak in windows, which are the quantised network itself, take all samples.

    Args:
        conversion: what is measured.
        data: the samples.
        steps: the numbers of timesteps.
        heads: what is asked of every output, with the targets of all samples.
        judged: by output, what the trained and the spiking network scored.
        settings: how it runs.
        seed: of the draw.
    """
    encoder = settings.chosen_encoder.fitted(conversion.spiking)
    trained = Forward(conversion.reference, settings.device)
    graphs = [(quantised_graph(conversion, t), t) for t in (*steps, None)]
    if settings.dtype == "int8":
        graphs.append((narrow_graph(conversion, encoder), None))
    sampled = [_Sampled(graph, t, heads, settings.device) for graph, t in graphs]
    exact = any(node.schedule != "free" for node in conversion.spiking.of_type(IF))
    order, done = np.random.default_rng(seed).permutation(len(data)), 0
    left = sampled
    while left and done < len(data):
        count = len(data) if exact else min(len(data), 2 * done or max(FEWEST, len(data) // 4))
        rows = np.sort(order[done:count])
        chosen, at = data.subset(rows), 0
        for x, _ in chosen.batches(settings.batch_size):
            given = trained.to_tensor(x)
            some, at = rows[at : at + len(x)], at + len(x)
            analog: dict[int, dict[str, NDArray[Any]]] = {}
            for one in left:
                t = one.timesteps or steps[-1]
                moment = 0 if isinstance(encoder, Constant) else t  # the mean of others depends on T
                mean = encoder.mean(given, t)
                if moment not in analog:
                    analog[moment] = {name: value.cpu().numpy() for name, value in trained(mean).items()}
                one.add(mean, some, analog[moment])
        done = count
        left = [one for one in left if not one.enough(judged, steps, len(data))]
    found = {}
    for name, scored in judged.items():
        scores = [network.scores(name, scored.analog, len(data)) for network in sampled]
        found[name] = QuantisedScores(
            tuple(steps),
            {kind: np.array([row[kind] for row in scores[: len(steps)]]) for kind in scores[0]},
            scores[len(steps)],
            tuple(network.samples for network in sampled[: len(steps)]),
            len(data),
            scores[-1] if settings.dtype == "int8" else None,
        )
    return found


class Judged(Protocol):
    """What two networks scored on all samples: see ``HeadMeasures``."""

    @property
    def analog(self) -> Mapping[str, float]:
        """The trained network's scores."""

    @property
    def each(self) -> NDArray[np.float32] | None:
        """``(N, S)``: the spiking network's main score of each sample at the numbers of timesteps."""


class _Sampled:
    """The quantised network of one T beside the trained one, over more and more samples.

    Args:
        graph: the quantised network.
        timesteps: T; None for one that only clips, or only has other weights.
        heads: what is asked of every output.
        device: a torch device.
    """

    def __init__(self, graph: Graph, timesteps: int | None, heads: Mapping[str, Head], device: str) -> None:
        self.timesteps, self.heads, self.samples = timesteps, heads, 0
        self.network = Forward(graph, device)
        self.counted = {name: _pair(head) for name, head in heads.items()}
        self.gained: dict[str, list[NDArray[np.float32] | None]] = {name: [] for name in heads}

    def add(self, x: Tensor, rows: NDArray[np.int64], analog: Mapping[str, NDArray[Any]]) -> None:
        """Count one batch: its samples, their places in the data, and what the trained network answered."""
        answers = self.network(x)
        for name, head in self.heads.items():
            expected = analog[name][:, None]
            own = answers[name].cpu().numpy()[:, None]
            targets = head.task.decisions(analog[name], head.answer) if head.targets is None else head.targets[rows]
            scored = []
            for running, answer in zip(self.counted[name], (own, expected), strict=True):
                running.add(answer, targets)
                scored.append(head.task.each(answer, targets, head.answer))
            self.gained[name].append(None if scored[0] is None or scored[1] is None else scored[0] - scored[1])
        self.samples += len(rows)

    def enough(self, judged: Mapping[str, Judged], steps: Sequence[int], samples: int) -> bool:
        """Whether the standard error of what is lost is no larger than that of the spiking network's score."""
        for name, parts in self.gained.items():
            known, each = [part for part in parts if part is not None], judged[name].each
            if len(known) < len(parts) or each is None:
                return False
            own = each[:, -1 if self.timesteps is None else steps.index(self.timesteps)]
            rest = 1 - self.samples / samples  # what is not drawn varies, what is drawn is known
            if float(np.concatenate(known).var()) / self.samples * rest > float(own.var()) / samples:
                return False
        return True

    def scores(self, name: str, analog: Mapping[str, float], samples: int) -> dict[str, float]:
        """The scores of one output on all samples, as far as can be told from those that were drawn."""
        own, expected = ({k: float(v[0]) for k, v in one.scores().items()} for one in self.counted[name])
        if self.samples == samples:
            return own
        return {kind: analog.get(kind, expected[kind]) + value - expected[kind] for kind, value in own.items()}


def _pair(head: Head) -> tuple[RunningScores, RunningScores]:
    return head.task.running_scores(1, head.answer), head.task.running_scores(1, head.answer)
