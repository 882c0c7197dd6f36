"""The split of errors into their causes, on networks where each is known in closed form."""

from itertools import product

import numpy as np
import pytest
import torch

import spikewright as sw
from spikewright.data import as_dataset
from spikewright.engines import BatchRun, RunSettings
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.measures.error_split import OWN, PARTS, PopulationError
from spikewright.measures.splitting import split_errors
from spikewright.measures.steady import steady_count
from spikewright.nodes import Add, Input, Linear, Output, ReLU

ENGINES = ("event", "reference")


def eye(n: int) -> np.ndarray:
    return np.eye(n, dtype=np.float32)


def relay(inputs: int = 1, ceiling: float | None = None) -> Graph:
    """Inputs as they are, a ReLU, and an output that hands on."""
    return Graph(
        [
            Input(name="x", shape=(inputs,)),
            Linear(name="in", inputs=("x",), weight=eye(inputs), bias=np.zeros(inputs)),
            ReLU(name="a", inputs=("in",), ceiling=ceiling),
            Linear(name="out", inputs=("a",), weight=eye(inputs), bias=np.zeros(inputs)),
            Output(name="y", inputs=("out",)),
        ]
    )


def split(
    graph: Graph, x: object, timesteps: int, scales: float = 1.0, **options: object
) -> dict[str, PopulationError]:
    settings = {k: options.pop(k) for k in ("engine", "encoder") if k in options}
    lam = {node.name: np.asarray(scales) for node in graph.of_type(ReLU)}
    conversion = sw.convert(graph, lam, **options)
    data = as_dataset(np.asarray(x, np.float32), None if "encoder" in settings else graph.inputs)
    return split_errors(conversion, data, RunSettings(**settings), [timesteps]).populations[timesteps]


def means(one: PopulationError) -> dict[str, float]:
    """The parts that are not zero."""
    return {part: round(value, 6) for part, value in one.means.items() if abs(value) > 1e-6}


@pytest.mark.parametrize("engine", ENGINES)
def test_only_clipping(engine: str) -> None:
    """An activation of twice λ sends a spike in every step: one λ is missing."""
    found = split(relay(), [[2.0]], 4, engine=engine)["a"]
    assert means(found) == {"clipping": -1.0}
    assert found.mean_square == pytest.approx(1.0)
    assert found.signal == pytest.approx(4.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_only_rounding(engine: str) -> None:
    """0.3 is 1.2 of four steps, and one spike."""
    found = split(relay(), [[0.3]], 4, engine=engine)["a"]
    assert means(found) == {"rounding": pytest.approx(-0.05)}


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_initial_potential(engine: str) -> None:
    """0.7 is 2.8 of four steps: three spikes when rounded, two where potentials start at zero."""
    found = split(relay(), [[0.7]], 4, engine=engine, neurons="v_init=0")["a"]
    assert means(found) == {"rounding": pytest.approx(0.05), "transient": pytest.approx(-0.25)}


def pair() -> Graph:
    """Two populations of the same rate; their difference is always zero."""
    return Graph(
        [
            Input(name="x", shape=(1,)),
            Linear(name="up", inputs=("x",), weight=eye(1), bias=np.zeros(1)),
            Linear(name="down", inputs=("x",), weight=eye(1), bias=np.zeros(1)),
            ReLU(name="plus", inputs=("up",)),
            ReLU(name="minus", inputs=("down",)),
            Linear(name="add", inputs=("plus",), weight=eye(1), bias=np.zeros(1)),
            Linear(name="take", inputs=("minus",), weight=-eye(1), bias=np.zeros(1)),
            Add(name="both", inputs=("add", "take")),
            ReLU(name="gap", inputs=("both",)),
            Linear(name="out", inputs=("gap",), weight=eye(1), bias=np.zeros(1)),
            Output(name="y", inputs=("out",)),
        ]
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_only_unevenness(engine: str) -> None:
    """+1 and −1 in turns have the mean 0, but the first +1 sends a spike that nothing takes back."""
    found = split(pair(), [[0.5]], 4, engine=engine, neurons="minus: v_init=0")
    assert means(found["plus"]) == means(found["minus"]) == {}
    assert means(found["gap"]) == {"unevenness": 0.25}


@pytest.mark.parametrize("engine", ENGINES)
def test_only_a_transient(engine: str) -> None:
    """A current that falls from 1 to −1 has the mean 0, and the first half of the steps sends spikes."""
    frames = np.array([1, 1, -1, -1], np.float32).reshape(1, 4, 1)
    found = split(relay(), frames, 4, engine=engine, encoder="events")["a"]
    assert means(found) == {"transient": 0.5}


def test_inherited_is_what_earlier_layers_got_wrong() -> None:
    first = [node for node in relay() if node.name not in ("out", "y")]
    second = Linear(name="second", inputs=("a",), weight=eye(1), bias=np.zeros(1))
    last = Linear(name="out", inputs=("b",), weight=eye(1), bias=np.zeros(1))
    deep = [*first, second, ReLU(name="b", inputs=("second",)), last, Output(name="y", inputs=("out",))]
    found = split(Graph(deep), [[2.0]], 4)
    assert means(found["a"]) == {"clipping": -1.0}
    assert means(found["b"]) == {"inherited": -1.0}
    assert found["b"].added == 0


def test_neurons_that_reset_to_zero_lose_by_rounding() -> None:
    """0.7 from 0.5: spikes at the steps 1, 3: 1.2 and 1.4 lose what is above the threshold."""
    found = split(relay(), [[0.7]], 4, neurons="reset=zero")["a"]
    rate = 2 / 4
    assert means(found) == {"rounding": pytest.approx(rate - 0.7)}


def test_bursts_reach_further() -> None:
    assert means(split(relay(), [[2.5]], 4, neurons="spikes=2")["a"]) == {"clipping": -0.5}
    assert means(split(relay(), [[2.5]], 4, neurons="spikes=multi")["a"]) == {}


def test_trained_ceilings_are_no_clipping() -> None:
    assert means(split(relay(ceiling=1.0), [[2.0]], 4)["a"]) == {}


def counts_of(conversion: sw.Conversion, x: np.ndarray, timesteps: int) -> dict[str, np.ndarray]:
    counts: dict[str, np.ndarray] = {}

    def see(_x: torch.Tensor, done: BatchRun) -> None:
        counts.update({name: value.numpy() for name, value in done.counts.items()})

    sw.simulate(conversion, x, timesteps, observers=[see], batch_size=len(x))
    return counts


def test_the_parts_sum_up() -> None:
    """Over a random network: to the error of every population, and to its own."""
    random = np.random.default_rng(0)
    layers = [torch.nn.Linear(6, 20), torch.nn.ReLU(), torch.nn.Linear(20, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3)]
    graph = sw.load(torch.nn.Sequential(*layers).eval(), shape=(6,))
    x = random.random((30, 6), np.float32)
    conversion = sw.convert(graph, x, "percentile:95")
    for timesteps in (1, 5, 8):
        found = split_errors(conversion, as_dataset(x, graph.inputs), RunSettings(), [timesteps]).populations[timesteps]
        counts = counts_of(conversion, x, timesteps)
        analog = run(conversion.reference, x, list(counts))
        for name, one in found.items():
            error = counts[name] / timesteps - analog[name] / conversion.units[name]
            assert one.mean_square == pytest.approx(float((error**2).mean()), rel=1e-4)
            assert sum(one.means.values()) == pytest.approx(float(error.mean()), abs=1e-5)
            assert (set(one.shares), set(one.own)) == (set(PARTS), set(OWN))
            assert sum(one.own.values()) >= 0


def test_steady_counts_are_those_of_a_simulation() -> None:
    generator = torch.Generator().manual_seed(0)
    for cap, steps in product((1, 2, 3, None), (0, 1, 2, 5, 9)):
        v, z = ((torch.randint(-24, 40, (2000,), generator=generator) / 8).double() for _ in range(2))
        left, sent = v.clone(), torch.zeros_like(v)
        for _ in range(steps):
            left = left + z
            n = left.floor().clamp(0, cap)
            left, sent = left - n, sent + n
        assert torch.equal(steady_count(v, z, steps, cap), sent), (cap, steps)


@pytest.mark.parametrize(("schedule", "levels"), [("layered", 4), ("few_spike", 16)])
def test_windows_only_round(schedule: str, levels: int) -> None:
    """Whatever the order of spikes: 0.3 as a level of four, or of sixteen; the layer behind rounds as well."""
    found = split(pair(), [[0.3]], 4, neurons=schedule)
    first = round(0.3 * levels) / levels
    assert means(found["plus"]) == {"rounding": pytest.approx(first - 0.3)}
    assert means(found["gap"]) == {}


def test_signed_spikes_take_unevenness_back() -> None:
    found = split(pair(), [[0.5]], 4, engine="reference", neurons="signed; minus: signed,v_init=0")
    assert means(found["gap"]) == {}


def test_a_bias_per_step_is_part_of_the_current() -> None:
    """A tenth in each step of four makes 0.3 a current of 0.4: two spikes for 1.6, of which the bias is inherited."""
    conversion = sw.convert(relay(), {"a": np.asarray(1.0)})
    node = conversion.spiking["a"].replace(step_bias=np.full((4, 1), 0.1, np.float32))
    data = as_dataset(np.array([[0.3]], np.float32), conversion.spiking.inputs)
    changed = conversion.with_spiking(conversion.spiking.replaced(node))
    found = split_errors(changed, data, RunSettings(), [4]).populations[4]["a"]
    assert means(found) == {"inherited": pytest.approx(0.1), "rounding": pytest.approx(0.1)}
