"""What must hold for every network: it is refused in words, or read exactly, converted exactly, and run exactly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import spikewright as sw
from random_networks.drawing import Array, Network
from spikewright.calibration import Max, Percentile
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.event import is_built
from spikewright.engines.reference import Simulation
from spikewright.errors import SettingsError, SpikewrightError, SpikewrightWarning, UnsupportedModelError
from spikewright.forward import Forward
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Floor, Output, ReLU, Softmax

READ, NORMALISED = 1e-4, 1e-4
"""How far apart values may be, as a share of their range."""
TIMESTEPS = 6
NEURONS = ("", "", "signed", "signed,spikes=3", "no_debt")
"""What neurons are like, by turns."""
UNFORESEEN = "not make sense"
"""What a message says where a rule met something that it was not written for: no network here is damaged."""


class Wrong(AssertionError):
    """A network for which something does not hold."""


@dataclass(frozen=True)
class Outcome:
    """What became of a network.

    Attributes:
        refused: why it was not read; empty where it was.
        converted: whether it became a spiking one.
        unconverted: why it did not.
        ran: whether the event engine ran it.
    """

    refused: str = ""
    converted: bool = False
    unconverted: str = ""
    ran: bool = False


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", SpikewrightWarning)  # few samples, layers that never fire: drawn so
        yield


def check(network: Network, seed: int = 0) -> Outcome:
    """Read a network, compare it with its framework, convert it, run it, and write and read it.

    Raises:
        Wrong: where anything differs.
        Exception: whatever Spikewright raises beside its own errors.
    """
    try:
        with _no_warnings():
            graph = sw.load(network.model, **network.settings)
    except SpikewrightError as error:
        _check_words(error)
        return Outcome(refused=str(error))
    xs = _compared_with_framework(network, graph, seed)
    with _no_warnings():
        _stored(graph)
        return _spiking(graph, _row(graph, xs))


def _check_words(error: SpikewrightError) -> None:
    text = str(error)
    if not text or UNFORESEEN in text:
        raise Wrong(f"a rule was not prepared: {text}")
    if not isinstance(error, UnsupportedModelError) and (len(text) > 700 or text.count("\n") > 2):
        raise Wrong(f"a message of {len(text)} characters: {text[:400]}")


def _laid(network: Network, x: Array) -> Array:
    """A value as Spikewright has it: channels first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if network.channels_last and x.ndim > 2 else x


def _compared_with_framework(network: Network, graph: Graph, seed: int) -> list[Array]:
    """Batches of two sizes through both, or of the one that the framework takes.

    Returns:
        samples for what comes then.
    """
    forward, compared = Forward(graph, dtype="float64"), 0
    for size in (4, 1, 3, 2):
        batches = network.batches(size, seed + size)
        expected = network.answers(batches)
        if expected is None:
            continue
        laid = [_laid(network, x) for x in batches]
        wanted = [_laid(network, y) for y in expected]
        ways = list(_assigned(graph, laid))
        for number, inputs in enumerate(ways, start=1):
            try:
                _same_outputs(graph, forward, inputs, wanted)
                break
            except Wrong:
                if number == len(ways):
                    raise
        compared += 1
        if compared == 2:
            break
    if not compared:
        raise Wrong("the framework takes none of the batches, and the network was read all the same")
    return network.batches(5, seed)


def _same_outputs(graph: Graph, forward: Forward, inputs: Mapping[str, torch.Tensor], wanted: list[Array]) -> None:
    largest: dict[str, float] = {}
    with _no_warnings():
        found = [y.numpy() for y in forward(inputs, {n.name: _keeper(largest, n.name) for n in graph}).values()]
    if len(found) != len(wanted):
        raise Wrong(f"{len(found)} outputs where the framework has {len(wanted)}")
    for ours, theirs in zip(found, wanted, strict=True):
        _same(ours, theirs, READ, max(largest.values(), default=0.0), "the framework")


def _assigned(graph: Graph, batches: Sequence[Array]) -> Iterator[dict[str, torch.Tensor]]:
    """Which batch goes to which input: inputs that nothing depends on are left out of a graph."""
    names = list(graph.inputs)
    for chosen in combinations(batches, len(names)):
        if all(x.shape[1:] == graph.shapes[name] for name, x in zip(names, chosen, strict=True)):
            yield dict(zip(names, map(torch.from_numpy, chosen), strict=True))


def _keeper(largest: dict[str, float], name: str) -> Callable[[torch.Tensor], None]:
    def keep(value: torch.Tensor) -> None:
        largest[name] = float(value.abs().max()) if value.numel() else 0.0

    return keep


def _same(ours: Array, theirs: Array, tolerance: float, inside: float, where: str) -> None:
    if ours.shape != theirs.shape:
        if ours.size == theirs.size and [n for n in ours.shape if n > 1] == [n for n in theirs.shape if n > 1]:
            ours = ours.reshape(theirs.shape)  # squeeze() takes the axis of a batch of one too
        else:
            raise Wrong(f"shape {ours.shape}, and {theirs.shape} in {where}")
    theirs = theirs.astype(np.float64)
    finite = np.isfinite(theirs)
    if not finite.any():
        return
    size = float(np.abs(theirs[finite]).max())
    apart = float(np.abs(ours[finite] - theirs[finite]).max())
    if not apart <= tolerance * size + 1e-6 * min(inside, 1e30) + 1e-9:
        raise Wrong(f"differs from {where} by {apart:.3g}, values reach {size:.3g} ({inside:.3g} inside)")


def _row(graph: Graph, xs: Sequence[Array]) -> Array:
    """The samples as one array: side by side where there are several inputs."""
    batches = [_fitting(graph.shapes[name], xs) for name in graph.inputs]
    return batches[0] if len(batches) == 1 else np.concatenate([x.reshape(len(x), -1) for x in batches], axis=1)


def _fitting(shape: tuple[int, ...], xs: Sequence[Array]) -> Array:
    for x in xs:
        if x.shape[1:] == shape:
            return x
        if (x.shape[-1], *x.shape[1:-1]) == shape:
            return np.ascontiguousarray(np.moveaxis(x, -1, 1))
    raise Wrong(f"no input of the framework has the shape {shape}")


def _stored(graph: Graph | sw.Conversion) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.safetensors"
        sw.save(graph, path)
        back = sw.load(path)
    if isinstance(graph, sw.Conversion) or isinstance(back, sw.Conversion):
        same = back == graph
    else:
        same = back.fingerprint == graph.fingerprint and dict(back.shapes) == dict(graph.shapes)
    if not same:
        raise Wrong("the graph is another one after it was written and read")


def _outputs(graph: Graph, x: Array) -> tuple[dict[str, Array], float]:
    largest: dict[str, float] = {}
    forward = Forward(graph, dtype="float64")
    found = forward(torch.from_numpy(x), watch={node.name: _keeper(largest, node.name) for node in graph})
    return {name: y.numpy() for name, y in found.items()}, max(largest.values(), default=0.0)


def _spiking(graph: Graph, x: Array) -> Outcome:
    try:
        folded, _ = sw.prepare(graph, leaky="split")
        method = Max() if graph.fingerprint < "8" else Percentile()
        statistics = sw.calibrate(folded, x, [method])
        scales = statistics.scales(method)
        normalised = sw.normalise(folded, scales)
        neurons = NEURONS[int(graph.fingerprint[1], 16) % len(NEURONS)]
        conversion = sw.convert(graph, scales, leaky="split", neurons=neurons)
        spiking = conversion.spiking
    except SpikewrightError as error:
        _check_words(error)
        return Outcome(unconverted=str(error))
    expected, inside = _outputs(graph, x)
    if not graph.of_type(Softmax):
        for other in (folded, normalised):
            found, _ = _outputs(other, x)
            for name, theirs in expected.items():
                _near_steps(graph, found[name], theirs, inside, "the trained network")
        ends = [_end(spiking, output) for output in spiking.of_type(Output)]
        if not any(isinstance(_end(graph, o), ReLU) for o in graph.of_type(Output)) and ends:
            found, _ = _outputs(conversion.normalised, x)
            for name, theirs in expected.items():
                _near_steps(graph, found[name], theirs, inside, "the trained network, behind its spiking form")
    _stored(spiking)
    _stored(conversion)
    return Outcome(converted=True, ran=_spike_for_spike(spiking, x))


def _near_steps(graph: Graph, ours: Array, theirs: Array, inside: float, where: str) -> None:
    """Where values are rounded, folding may carry one over its step: few do."""
    if graph.of_type(Floor):
        apart = np.abs(ours - theirs) > NORMALISED * max(float(np.abs(theirs).max()), 1e-9) + 1e-6 * inside
        if apart.mean() < 0.05:
            return
    _same(ours, theirs, NORMALISED, inside, where)


def _end(graph: Graph, output: Output) -> Node:
    node = graph.sources(output)[0]
    while node.inputs and node.type in ("Flatten", "Reshape", "Permute", "ChannelAffine", "Pad", "Identity", "Concat"):
        node = graph.sources(node)[0]
    return node


def _spike_for_spike(spiking: Graph, x: Array) -> bool:
    """The event engine beside the reference engine; False where it does not run such a network."""
    if not is_built():
        return False
    from spikewright.engines.event.simulation import EventSimulation

    batch, encoder = torch.from_numpy(x[:3]), named_encoder("constant")
    try:
        simulation = EventSimulation(spiking)
        simulation.prepare(encoder, ("spikes",))
    except SettingsError as error:
        _check_words(error)
        return False
    found = simulation.run(batch, TIMESTEPS, encoder, ("spikes",))
    expected = Simulation(spiking).run(batch, TIMESTEPS, encoder, ("spikes",))
    step = _first_difference(spiking, found.spikes, expected.spikes)
    if step is not None:
        _check_tie(spiking, batch, step, found.spikes, expected.spikes)
        return True
    for name, wanted in expected.outputs.items():
        size = float(wanted.abs().max())
        apart = float((found.outputs[name] - wanted).abs().max())
        if np.isfinite(size) and not apart <= 1e-4 * size + 1e-5 * float(np.abs(x).max()) + 1e-6:
            raise Wrong(f"the engines' answers '{name}' differ by {apart:.3g} of {size:.3g}")
    return True


Trains = Mapping[str, torch.Tensor]


def _differs(node: Node, found: Trains, expected: Trains) -> torch.Tensor:
    """Where a population sends something else; a pool of values that are no spikes may round otherwise."""
    ours, theirs = found[node.name], expected[node.name]
    if isinstance(node, IF):
        return ours != theirs
    return (ours - theirs).abs() > 1e-4 * theirs.abs().max() + 1e-6


def _first_difference(spiking: Graph, found: Trains, expected: Trains) -> int | None:
    """The first timestep in which anything differs."""
    steps = [
        int(_differs(node, found, expected).flatten(2).any(2).any(0).nonzero()[0])
        for node in spiking
        if node.name in expected and _differs(node, found, expected).any()
    ]
    return min(steps, default=None)


def _check_tie(spiking: Graph, batch: torch.Tensor, step: int, found: Trains, expected: Trains) -> None:
    """Sums in another order may differ in the last bit: a spike may differ where a potential is at its threshold."""
    exact = Simulation(spiking, dtype="float64").run(batch, TIMESTEPS, named_encoder("constant"), ("potentials",))
    node = next(n for n in spiking if n.name in expected and _differs(n, found, expected)[:, step].any())
    if not isinstance(node, IF):
        raise Wrong(f"the pool '{node.name}' sends other spikes in the event engine")
    threshold = torch.from_numpy(np.array(node.spread(node.threshold, spiking.shapes[node.name]))).double()
    potential = (exact.potentials[node.name][:, step] / threshold)[_differs(node, found, expected)[:, step]]
    off = float((potential - potential.round()).abs().max())
    if off > 1e-3:
        raise Wrong(f"'{node.name}' spikes otherwise in the event engine, {off:.3g} from its threshold")
