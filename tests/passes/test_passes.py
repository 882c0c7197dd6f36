"""Every pass leaves what a network computes as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from networks import ALL, Builder, norm_after_relu, plain, residual
from random_graphs import anything
from spikewright import passes
from spikewright.conversion import what_became
from spikewright.errors import GraphError, UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import BatchNorm, ChannelAffine, Conv, Identity, Output, ReLU, Softmax
from spikewright.preparation import prepare

EVERY = tuple(step for step in passes.passes().values() if step.verb != "dropped")
"""All that keep what a network computes; what is dropped (``answer="drop"``) is no longer computed."""


def same(before: Graph, after: Graph, x: np.ndarray) -> None:
    old, new = (run(graph, x, dtype="float64") for graph in (before, after))
    assert old.keys() == new.keys()
    for name, values in old.items():
        assert np.abs(values - new[name]).max() <= 1e-5 * max(np.abs(values).max(), 1)


def samples(graph: Graph, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (count, *graph.shapes["input"])).astype(np.float32)


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.name)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_pass_keeps_the_function_of_any_network(step: passes.Pass, seed: int) -> None:
    graph = anything(seed)
    same(graph, step(graph), samples(graph))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
@example(seed=48092)  # rows of two maps one below the other, then max pooling
def test_all_passes_keep_the_function_of_any_network(seed: int) -> None:
    graph = anything(seed)
    folded, _ = prepare(graph, leaky="split")
    same(graph, folded, samples(graph))
    assert not prepare(folded)[1]


def test_a_window_wholly_in_padding_is_not_folded_through() -> None:
    b = Builder(0, (2, 7, 8))
    b.norm()
    b.avg_pool(kernel=2, padding=1, count=False, overhang=1)  # its last row of windows holds no input
    b.flatten()
    b.linear(3)
    same(b.graph(), passes.fold_batch_norm_forwards(b.graph()), samples(b.graph()))


def test_a_map_of_factors_is_not_folded_through_windows() -> None:
    b = Builder(0)
    b.conv(4)
    b.relu()
    scale, bias = b.random.normal(size=(2, 4, 8, 8))
    b.add(ChannelAffine(name="map", inputs=(b.at,), scale=scale, bias=bias))
    b.conv(4)
    b.flatten()
    b.linear(3)
    folded = passes.fold_batch_norm_forwards(b.graph())
    assert "map" in folded
    same(b.graph(), folded, b.samples())


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.name)
@pytest.mark.parametrize("network", ALL)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_pass_keeps_the_function(network: Callable[[int], Builder], step: passes.Pass, seed: int) -> None:
    b = network(seed)
    same(b.graph(), step(b.graph()), b.samples())


@pytest.mark.parametrize("network", ALL)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_all_passes_keep_the_function_and_settle(network: Callable[[int], Builder], seed: int) -> None:
    b = network(seed)
    folded, _ = prepare(b.graph())
    same(b.graph(), folded, b.samples())
    assert not folded.of_type(BatchNorm, Identity)
    again, changes = prepare(folded)
    assert not changes
    same(folded, again, b.samples())


def test_numbers_of_a_backward_fold() -> None:
    """Facts made with SNN Toolbox: one input, two outputs."""
    b = Builder(0, (1,))
    b.linear(2)
    linear = b.nodes[-1].replace(weight=np.array([[2.0], [4.0]]), bias=np.array([1.0, -1.0]))
    norm = BatchNorm(
        name="norm",
        inputs=(linear.name,),
        mean=np.array([0.5, 1]),
        variance=np.array([4, 0.25]),
        gamma=np.array([3, 0.5]),
        beta=np.array([0.1, 0.2]),
        epsilon=0.0,
    )
    graph = Graph([b.nodes[0], linear, norm, Output(name="output", inputs=("norm",))])
    folded = passes.fold_batch_norm_backwards(graph)[linear.name].arrays
    np.testing.assert_allclose(folded["weight"], [[3], [4]], rtol=1e-6)
    np.testing.assert_allclose(folded["bias"], [0.85, -1.8], rtol=1e-6)


def test_a_norm_after_relu_is_never_folded_backwards() -> None:
    graph = norm_after_relu(1).graph()
    folded = passes.fold_batch_norm_backwards(graph)
    norms = [norm.name for norm in graph.of_type(BatchNorm) if isinstance(graph.sources(norm)[0], ReLU)]
    assert norms
    assert all(isinstance(folded[name], BatchNorm | ChannelAffine) for name in norms)


def test_a_forward_fold_across_padding_makes_the_bias_a_map() -> None:
    graph = norm_after_relu(2).graph()
    folded = passes.fold_batch_norm_forwards(graph)
    biases = [conv.bias.ndim for conv in folded.of_type(Conv)]
    assert biases == [3, 3, 3]
    assert not folded.of_type(BatchNorm)


def test_what_cannot_fold_stays_as_an_affine_and_says_so() -> None:
    b = Builder(0)
    start = b.conv(4)
    norm = b.norm()
    b.sum(start, norm)  # the norm shares its layer, and no layer follows
    folded, changes = prepare(b.graph())
    assert isinstance(folded[norm], ChannelAffine)
    assert [change.verb for change in changes if change.node == norm] == ["replaced"]


def test_an_add_then_relu_keeps_its_relu_behind_the_add() -> None:
    folded, _ = prepare(residual(0).graph())
    for relu in folded.of_type(type(folded["relu3"])):
        assert folded[relu.inputs[0]].type in ("Conv", "Add")


def test_a_final_softmax_goes_or_moves_into_the_readout() -> None:
    b = plain(0)
    b.add(Softmax(name="softmax", inputs=(b.at,)))
    dropped, _ = prepare(b.graph(), answer="drop")
    kept, _ = prepare(b.graph())
    x = b.samples()
    before = run(b.graph(), x)["output"]
    np.testing.assert_allclose(run(kept, x)["output"], before, rtol=1e-5)
    np.testing.assert_array_equal(run(dropped, x)["output"].argmax(1), before.argmax(1))


def test_a_softmax_inside_is_refused_by_name() -> None:
    b = plain(0)
    b.add(Softmax(name="attention", inputs=(b.at,)))
    b.linear(2)
    with pytest.raises(UnsupportedModelError, match="Softmax at 'attention': only the end of a network"):
        prepare(b.graph())


def test_a_failing_pass_is_named() -> None:
    broken = passes.Pass("break_it", "folded", lambda graph: graph.without("output"))
    with pytest.raises(GraphError, match=r"pass break_it \(after drop_identities\)"):
        passes.run_passes(plain(0).graph(), (passes.drop_identities, broken))


def test_a_norm_moves_behind_a_max_pool_unless_a_scale_is_negative() -> None:
    for sign, expected in ((1, ("MaxPool", "BatchNorm")), (-1, ("BatchNorm", "MaxPool"))):
        b = Builder(0)
        b.conv(4)
        b.relu()
        norm = b.norm()
        b.nodes[-1] = b.nodes[-1].replace(gamma=np.array([1, 0, 2, 0.5 * sign]))
        pool = b.max_pool()
        b.conv(2)
        after = passes.norm_behind_max_pool(b.graph())
        same(b.graph(), after, b.samples())
        assert tuple(node.type for node in after if node.name in (norm, pool)) == expected


def test_channels_last_leave_no_permutation_before_a_linear_layer() -> None:
    b = Builder(1)
    b.conv(4)
    start = b.permute(1, 2, 0)
    first = b.flatten()
    one = b.linear(3)
    b.at = first
    b.sum(one, b.linear(3))
    after = passes.permutation_into_linear(b.graph())
    same(b.graph(), after, b.samples())
    assert start not in after


def test_rectifiers_in_a_row_are_one() -> None:
    b = Builder(0)
    b.conv(4)
    first = b.relu()
    for ceiling in (2.0, 0.5, None):
        b.relu(ceiling)
    after = passes.merge_rectifiers(b.graph())
    same(b.graph(), after, b.samples())
    assert [(relu.name, relu.ceiling) for relu in after.of_type(ReLU)] == [(first, 0.5)]


def test_leaky_rectifiers_are_refused_or_split() -> None:
    b = Builder(0)
    b.conv(4)
    b.leaky()
    with pytest.raises(UnsupportedModelError, match=r"LeakyReLU at 'leaky2': .*\(--leaky split\) makes two"):
        prepare(b.graph())
    folded, _ = prepare(b.graph(), leaky="split")
    same(b.graph(), folded, b.samples())
    assert len(folded.of_type(ReLU)) == 2


def changed(before: Graph, after: Graph) -> set[str]:
    """The nodes that a pass left in place with other weights, or as another type."""
    pairs = [(node, after[node.name]) for node in before if node.name in after]
    return {
        old.name
        for old, new in pairs
        if old.type != new.type or any(not np.array_equal(a, new.arrays[key]) for key, a in old.arrays.items())
    }


@pytest.mark.parametrize("step", [passes.fold_batch_norm_backwards, passes.fold_batch_norm_forwards])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_a_norm_folded_into_is_what_changed(step: passes.Pass, seed: int) -> None:
    graph = anything(seed)
    after, changes = passes.run_passes(graph, [step])
    assert {name for change in changes for name in change.into} == changed(graph, after)
    assert all(change.into for change in changes if change.verb == "folded")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_leaves_a_network_went_into_something(seed: int) -> None:
    graph = anything(seed)
    folded, changes = prepare(graph, leaky="split")
    into = {change.node: change.into for change in changes}
    for node in graph:
        if node.name not in folded:
            assert into[node.name]
            assert all(name in folded or name in into for name in into[node.name])


def test_norms_say_what_they_folded_into() -> None:
    def found(graph: Graph) -> dict[str, tuple[str, ...]]:
        return {change.node: change.into for change in prepare(graph, leaky="split")[1] if change.verb == "folded"}

    assert found(plain(0).graph()) == {"norm2": ("conv1",), "affine3": ("conv1",), "norm4": ("conv1",)}
    after = found(norm_after_relu(0).graph())
    assert after["norm1"] == ("conv2",)
    assert after["affine5"] == ("norm4",)
    assert after["norm4"] == ("conv6",)


def test_a_norm_that_took_in_another_and_stays_is_replaced() -> None:
    b = Builder(0)
    start = b.norm()
    b.affine()
    b.relu()
    b.flatten()
    b.linear(3)
    graph = b.graph()
    _, changes = prepare(graph, leaky="split")
    assert what_became(graph, changes)[start] == "replaced by ChannelAffine"


def test_a_norm_that_several_layers_read_folds_into_each() -> None:
    b = Builder(0)
    b.conv(4)
    b.relu()
    start = b.norm()
    one = b.conv(4)
    b.at = start
    b.avg_pool()
    two = b.conv(4)
    b.flatten()
    b.linear(3)
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,)), Output(name="other", inputs=(one,))])
    _, changes = passes.run_passes(graph, [passes.fold_batch_norm_forwards])
    assert [(change.node, set(change.into)) for change in changes] == [(start, {one, two})]


def test_dropout_is_absorbed_and_a_softmax_applied_or_dropped() -> None:
    b = Builder(0)
    b.flatten()
    b.linear(3)
    b.dropout()
    b.add(Softmax(name="softmax", inputs=(b.at,)))
    for answer, end in (("keep", ("softmax", "applied", ("output",))), ("drop", ("softmax", "dropped", ("linear2",)))):
        _, changes = prepare(b.graph(), answer=answer)
        assert [(c.node, c.verb, c.into) for c in changes if c.into] == [("dropout3", "absorbed", ("linear2",)), end]
        assert what_became(b.graph(), changes)["softmax"] == (
            "applied to the readout" if answer == "keep" else "dropped"
        )


def test_a_graph_remembers_what_passes_did_to_it() -> None:
    graph = residual(0).graph()
    folded, changes = prepare(graph)
    assert passes.recorded(graph) == ()
    assert passes.recorded(folded) == passes.recorded(prepare(folded)[0]) == changes
    assert passes.Change("norm2", "folded", "fold_batch_norm_backwards", ("conv1",), "BatchNorm") in changes


@pytest.mark.parametrize("record", [5, [1], [{}], [{"node": [], "verb": "folded", "by": "x", "into": ["y"]}]])
def test_a_damaged_record_is_refused(record: object) -> None:
    graph = plain(0).graph()
    with pytest.raises(GraphError, match="the record of what was folded is damaged; convert the network again"):
        passes.recorded(graph.with_nodes(graph, changes=record))
