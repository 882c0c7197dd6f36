"""The native plan takes nothing on trust: whatever it is told, it refuses or runs, and never crashes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.engines.event import is_built

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native

NONE = np.zeros(0, np.float32)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def population(plan: Any, channels: int = 2) -> int:
    made: int = plan.neurons(1, channels, floats(1.0), floats(0.0), NONE, 1.0, True, 0.0, 1)
    return made


def conv(plan: Any, **changes: Any) -> None:
    """A convolution of two channels over five positions, with some of its settings changed."""
    chosen = {
        "target": 1,
        "source": 0,
        "remap": np.zeros(0, np.int32),
        "lengths": [1, 1, 5],
        "channels": 2,
        "kernel": [1, 1, 3],
        "stride": [1, 1, 1],
        "low": [0, 0, 0],
        "dilation": [1, 1, 1],
        "outputs": [1, 1, 3],
        "groups": 1,
        "weight": np.ones(2 * 3 * 4, np.float32),
        **changes,
    }
    plan.conv(*chosen.values())


def two_layers() -> Any:
    plan = _native.Plan()
    plan.input(5, 2)
    plan.neurons(3, 4, floats(1.0), floats(0.0), NONE, 1.0, True, 0.0, 1)
    return plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": 7}, "no such target layer"),
        ({"source": 1}, "its source must come before its target"),
        ({"source": -1}, "its source must come before its target"),
        ({"remap": np.full(10, 10, np.int32)}, "remap points outside the grid"),
        ({"remap": np.full(10, -2, np.int32)}, "remap points outside the grid"),
        ({"remap": np.zeros(3, np.int32)}, "an entry for each source neuron"),
        ({"lengths": [1, 1, 6]}, "takes 12 values, its source has 10"),
        ({"lengths": [1, 5]}, "every setting needs three axes"),
        ({"channels": 0}, "channels do not divide into the groups"),
        ({"groups": 3}, "channels do not divide into the groups"),
        ({"stride": [1, 1, 0]}, "must be positive"),
        ({"kernel": [1, 1, -3]}, "must be positive"),
        ({"dilation": [1, 1, 2**40]}, "an axis too long"),
        ({"kernel": [1, 1, 2**16], "dilation": [1, 1, 2**16 + 1]}, "an axis reaches too far"),
        ({"dilation": [2**21, 1, 1], "kernel": [2**10, 1, 3]}, "an axis reaches too far"),
        ({"stride": [1, 1, 2**22], "outputs": [1, 1, 1025]}, "an axis reaches too far"),
        ({"outputs": [1, 1, 4]}, "its output does not fit the target layer"),
        ({"outputs": [2**20, 2**20, 2**20]}, "the grid is too large"),
        ({"weight": np.ones(23, np.float32)}, "weights do not fit"),
        ({"weight": np.full(24, np.nan, np.float32)}, "not finite"),
    ],
)
def test_malformed_convolutions(changes: dict[str, Any], message: str) -> None:
    plan = two_layers()
    with pytest.raises(_native.PlanError, match=message):
        conv(plan, **changes)
    conv(plan)  # what was refused left nothing behind
    plan.finish("", True)
    counts = np.zeros((2, 12), np.float32)
    plan.run(2, 3, 1, 8, [(0, "frames", np.ones((2, 3, 10), np.float32))], [(1, "counts", counts)])
    assert (counts == 3).all()


def test_malformed_layers_and_runs() -> None:
    plan = _native.Plan()
    refused = [
        (lambda: plan.input(0, 1), "at least one position"),
        (lambda: plan.input(2**20, 2**20), "more than 2\\^30 values"),
        (lambda: plan.neurons(1, 2, floats(0.0), floats(0.0), NONE, 1.0, True, 0.0, 1), "threshold is not positive"),
        (lambda: plan.neurons(1, 2, floats(1, 1, 1), floats(0.0), NONE, 1.0, True, 0.0, 1), "one for each neuron"),
        (lambda: plan.neurons(1, 2, floats(1.0), NONE, NONE, 1.0, True, 0.0, 1), "v_init must have one value"),
        (lambda: plan.neurons(1, 2, floats(1.0), floats(0.0), NONE, 1.0, True, 0.0, -1), "the cap is negative"),
        (lambda: plan.run(1, 1, 1, 1, [], []), "finish the plan"),
        (lambda: plan.finish("mmx", True), "does not exist or does not run here"),
    ]
    for call, message in refused:
        with pytest.raises(_native.PlanError, match=message):
            call()
    assert plan.input(1, 2) == 0  # the first that was taken
    assert population(plan) == 1
    windows = [
        ([0, 1, 2], [0, 1], "reaches outside"),
        ([0, 0, 1], [0], "a window is empty"),
        ([0, 1], [0, 0], "do not fit"),
    ]
    for start, index, message in windows:
        with pytest.raises(_native.PlanError, match=message):
            plan.pool(0, len(start) - 1, 2, "count_max", 1, np.array(start), np.array(index))
    with pytest.raises(_native.PlanError, match="its source has other channels"):
        plan.pool(0, 1, 1, "count_max", 1, np.array([0, 1]), np.array([0]))
    joins = [
        ([], [], [], "sources do not fit"),
        ([0], [[0]], [[0], [1]], "sources do not fit"),
        ([9], [[0]], [[0]], "no such source"),
        ([0], [[0, 1]], [[0]], "has one place"),
        ([0], [[2]], [[0]], "lies outside its source"),
        ([0], [[0]], [[2]], "not there, or taken"),
        ([0, 1], [[0], [0]], [[1], [1]], "not there, or taken"),
    ]
    for sources, read, placed, message in joins:
        with pytest.raises(_native.PlanError, match=message):
            plan.join(1, 2, sources, *([np.array(part, np.int32) for part in parts] for parts in (read, placed)))
    with pytest.raises(_native.PlanError, match="unknown pooling policy 'mean'"):
        plan.pool(0, 1, 2, "mean", 1, np.array([0, 1]), np.array([0]))
    with pytest.raises(_native.PlanError, match="a column lies outside the target"):
        plan.sparse(1, 0, np.array([0, 1, 1]), np.array([2]), floats(1.0))
    plan.finish("", True)
    for call in (lambda: plan.finish("", True), lambda: plan.input(1, 1)):
        with pytest.raises(_native.PlanError, match="the plan is finished"):
            call()
    short = np.zeros(3, np.float32)
    for inputs, outputs in (([(0, "frames", short)], []), ([], [(1, "counts", short)]), ([(9, "base", short)], [])):
        with pytest.raises(_native.PlanError, match=r"layer \d|no layer 9"):
            plan.run(2, 3, 1, 8, inputs, outputs)
    for layers, message in (([0], "layer 0: has no events"), ([1, 1], "gives them already"), ([2], "no layer 2")):
        with pytest.raises(_native.PlanError, match=message):
            plan.run(2, 3, 1, 8, [], [], layers)
    with pytest.raises(_native.PlanError, match="must be 1 or more"):
        plan.run(2, 0, 1, 8, [], [])


small = st.integers(-1, 4)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_random_calls_are_refused_or_run(data: st.DataObject) -> None:
    """Layers and operators with settings from anywhere, then a run of what was accepted."""
    plan = _native.Plan()
    sizes: list[int] = []

    def draw(strategy: st.SearchStrategy[Any]) -> Any:
        return data.draw(strategy)

    def array(length: int, low: int, high: int, kind: type) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(low, high), min_size=length, max_size=length)), kind)

    def some(size: int, low: int, high: int, kind: type) -> np.ndarray:
        return array(max(0, size + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))), low, high, kind)

    def call(method: str, *arguments: Any) -> bool:
        try:
            getattr(plan, method)(*arguments)
        except _native.PlanError:
            return False
        return True

    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["input", "relay", "output", "neurons", "pool", "join", "conv", "dense", "sparse"]))
        target, source = draw(st.integers(-1, len(sizes))), draw(st.integers(-1, len(sizes)))
        positions, channels = draw(small), draw(small)
        to = sizes[target] if 0 <= target < len(sizes) else 1
        of = sizes[source] if 0 <= source < len(sizes) else 1
        if kind in ("input", "relay", "output"):
            if call(kind, positions, channels, *([draw(st.integers(-1, 3))] if kind == "input" else [])):
                sizes.append(positions * channels)
        elif kind == "neurons":
            neurons = (some(1, 0, 3, np.float32), floats(0.0), some(0, -2, 0, np.float32), 1.0, draw(st.booleans()))
            memory = (draw(st.booleans()), draw(st.booleans()))
            table, after = (some(size, -2, 2, np.float32) for size in (2 * channels, channels))
            biases = draw(st.sampled_from([(None, None), (table, None), (table, after), (None, after)]))
            if call(kind, positions, channels, *neurons, 0.0, draw(small), *memory, *biases):
                sizes.append(positions * channels)
        elif kind == "pool":
            windows = np.arange(max(0, positions) + 1)
            index = some(max(0, positions), -1, of, np.int64)
            policy = draw(st.sampled_from(["count_max", "avg_max", "exp_max", "fir_max", "none"]))
            if call(kind, source, positions, channels, policy, draw(small), windows, index):
                sizes.append(positions * channels)
        elif kind == "join":
            parts = [draw(st.integers(-1, len(sizes))) for _ in range(draw(st.integers(0, 3)))]
            most = [sizes[part] if 0 <= part < len(sizes) else 1 for part in parts]
            places = draw(st.permutations(range(-1, max(0, positions * channels) + 1)))
            counted = [draw(st.integers(0, 2)) for _ in parts]
            read = [array(count, 0, size, np.int32) for count, size in zip(counted, most, strict=True)]
            placed = [np.array([places.pop() for _ in range(min(count, len(places)))], np.int32) for count in counted]
            if call(kind, positions, channels, parts, read, placed):
                sizes.append(positions * channels)
        elif kind == "conv":
            axes = [[1, 1, draw(small)] for _ in range(5)]
            volume = max(0, channels * axes[1][2] * to)
            remap = some(draw(st.sampled_from([0, of])), -2, of, np.int32)
            weight = some(volume, -2, 2, np.float32)
            call(
                kind,
                target,
                source,
                remap,
                axes[0],
                channels,
                axes[1],
                axes[2],
                [0, 0, draw(small)],
                axes[3],
                axes[4],
                draw(small),
                weight,
            )
        elif kind == "dense":
            inputs = draw(st.sampled_from([of, draw(small)]))
            remap = some(draw(st.sampled_from([0, of])), -2, inputs, np.int32)
            call(kind, target, source, remap, inputs, some(max(0, inputs * to), -2, 2, np.float32))
        else:
            call(
                kind,
                target,
                source,
                some(of + 1, 0, 2, np.int64),
                some(2, -1, to, np.int64),
                some(2, -2, 2, np.float32),
            )
    isa = draw(st.sampled_from(["", "wide", "portable"]))
    plan.finish(isa, draw(st.booleans()))
    wanted = [(k, "counts", np.zeros((2, size), np.float32)) for k, size in enumerate(sizes)]
    for entry in wanted:
        try:
            plan.run(2, 5, 2, draw(st.integers(1, 6)), [], [entry])
        except _native.PlanError as error:
            assert "cannot give" in str(error)  # noqa: PT017
    for layer in range(len(sizes)):
        try:
            plan.run(2, 5, 2, draw(st.integers(1, 6)), [], [], [layer])
        except _native.PlanError as error:
            assert "has no events to give" in str(error)  # noqa: PT017


def with_input() -> Any:
    plan = _native.Plan()
    plan.input(2, 2)
    plan.output(1, 4)
    plan.dense(1, 0, np.zeros(0, np.int32), 4, np.eye(4, dtype=np.float32).ravel())
    plan.finish("", True)
    return plan


def given_events(start: list[int], index: list[int], value: list[float]) -> tuple[Any, ...]:
    return 0, np.array(start, np.int64), np.array(index, np.int32), np.array(value, np.float32)


def test_given_events_and_lengths() -> None:
    """Two samples over three steps, the second with one step of its own."""
    totals = np.zeros((2, 3, 4), np.float32)
    given_lists = given_events([0, 2, 2, 3, 3, 4, 5, 5], [0, 3, 2, 1, 1], [1, 2, 5, 7, 9])
    lengths = np.array([3, 1], np.int64)
    with_input().run(2, 3, 1, 64, [], [(1, "totals", totals)], [], [given_lists], lengths)
    assert totals[0].tolist() == [[1, 0, 0, 2], [1, 0, 0, 2], [1, 0, 5, 2]]
    assert totals[1].tolist() == [[0, 7, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("start", "index", "value", "lengths", "message"),
    [
        ([0, 1], [0], [1.0], None, "need where each step begins"),
        ([0, 1, 1, 1], [0], [], None, "an index and a value"),
        ([0, 2, 2, 2], [0], [1.0], None, "lie where none are"),
        ([-1, 1, 1, 1], [0], [1.0], None, "lie where none are"),
        ([1, 0, 1, 1], [0], [1.0], None, "lie where none are"),
        ([0, 1, 1, 1], [4], [1.0], None, "do not rise"),
        ([0, 1, 1, 1], [-1], [1.0], None, "do not rise"),
        ([0, 2, 2, 2], [1, 1], [1.0, 1.0], None, "do not rise"),
        ([0, 1, 1, 1], [0], [1.0], [4], "one for each sample"),
        ([0, 1, 1, 1], [0], [1.0], [0], "one for each sample"),
        ([0, 1, 1, 1], [0], [1.0], [1, 1], "one for each sample"),
    ],
)
def test_given_events_that_cannot_be(
    start: list[int], index: list[int], value: list[float], lengths: list[int] | None, message: str
) -> None:
    own = None if lengths is None else np.array(lengths, np.int64)
    with pytest.raises(ValueError, match=message):
        with_input().run(1, 3, 1, 64, [], [], [], [given_events(start, index, value)], own)
    with pytest.raises(ValueError, match="takes no events"):
        with_input().run(1, 3, 1, 64, [], [], [], [(1, *given_events(start, index, value)[1:])], None)
