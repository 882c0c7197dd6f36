"""The functions of SNN Toolbox's conversion.utils: the numbers of its own network, and the traps that it has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikewright.compat import snntoolbox as st
from spikewright.errors import SettingsError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import Add, BatchNorm, Conv, Input, Linear, Output, ReLU, Softmax

W1, B1 = np.array([[2, -1], [1, 3]], np.float32), np.array([0.5, -0.5], np.float32)
W2, B2 = np.array([[1, 0.5], [0.25, -1]], np.float32), np.array([0, 0.2], np.float32)
W3 = np.array([[1, -1], [-1, 1]], np.float32)
X = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 1], [0, 0]], np.float32)


def linear(name: str, before: str, weight: np.ndarray, bias: np.ndarray) -> Linear:
    """A layer from weights ``(inputs, outputs)``, as Keras has them."""
    return Linear(name=name, inputs=(before,), weight=weight.T, bias=bias)


def mlp(softmax: bool = False) -> Graph:
    nodes = [
        Input(name="x", shape=(2,)),
        linear("l1", "x", W1, B1),
        ReLU(name="r1", inputs=("l1",)),
        linear("l2", "r1", W2, B2),
        ReLU(name="r2", inputs=("l2",)),
    ]
    if softmax:
        nodes += [linear("l3", "r2", W3, np.zeros(2, np.float32)), Softmax(name="s", inputs=("l3",), axis=0)]
    return Graph([*nodes, Output(name="y", inputs=("s" if softmax else "r2",))])


def config(percentile: object = 100, schedule: bool = False) -> dict[str, dict[str, object]]:
    return {"normalization": {"percentile": percentile, "normalization_schedule": schedule}}


def activations(name: str) -> np.ndarray:
    return st.get_activations_layer(mlp(), name, X)


@pytest.mark.parametrize(("percentile", "expected"), [(100, (3.5, 3.875)), (99.9, (3.493, 3.864)), (50, (1.75, 1.45))])
def test_scale_factors_of_activations_that_are_not_zero(percentile: float, expected: tuple[float, float]) -> None:
    for name, factor in zip(("l1", "l2"), expected, strict=True):
        values = activations(name)
        assert st.get_scale_fac(values[values != 0], percentile) == pytest.approx(factor, abs=1e-6)


def test_scale_factors_with_zeros() -> None:
    found = [st.get_scale_fac(activations(name), 50) for name in ("l1", "l2")]
    assert found == pytest.approx([1.5, 1.075], abs=1e-6)


def test_a_scale_factor_is_never_zero_or_negative() -> None:
    assert st.get_scale_fac([-3.0, -1.0], 99.9) == 1.0
    assert st.get_scale_fac([], 99.9) == 1.0
    assert st.get_scale_fac([0.0, 0.0], 100) == 1.0
    assert st.get_scale_fac([-3.0, -2.0, -1.0, 4.0], 50) == 4.0
    with pytest.raises(SettingsError, match="between 0 and 100, not 120"):
        st.get_scale_fac([1.0], 120)
    with pytest.raises(SettingsError, match="not finite"):
        st.get_scale_fac([np.nan], 50)


@pytest.mark.parametrize(("layer", "expected"), [(0, 99.9), (1, 99.88), (46, 98.98)])
def test_the_schedule_is_not_cut_to_whole_numbers(layer: int, expected: float) -> None:
    assert st.apply_normalization_schedule(99.9, layer) == pytest.approx(expected)
    assert st.get_percentile(config(99.9, True), layer) == pytest.approx(expected)
    assert st.get_percentile(config(99.9, True), layer, truncate=True) == (99 if layer < 46 else 98)
    assert st.get_percentile(config(99.9), layer) == 99.9


def test_the_truncation_where_it_is_asked_for() -> None:
    assert [st.apply_normalization_schedule(99.9, i, truncate=True) for i in (0, 45, 46)] == [99, 99, 98]


def test_percentiles_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match=r"get_percentile\(config, i\)"):
        st.get_percentile(config(99.9, True))
    with pytest.raises(SettingsError, match="could not convert string to float"):
        st.get_percentile(config("high"))
    with pytest.raises(SettingsError, match="no such file"):
        st.get_percentile("nowhere.ini")
    assert st.get_percentile({}) == 99.9


def test_activations_layer_by_layer_with_the_samples_that_are_left_over() -> None:
    hidden = np.maximum(X @ W1 + B1, 0)
    np.testing.assert_allclose(st.get_activations_layer(mlp(), "l1", X, batch_size=2), hidden, rtol=1e-6)
    np.testing.assert_allclose(st.get_activations_layer(mlp(), "r1", X), hidden, rtol=1e-6)
    with pytest.raises(SettingsError, match="no layer 'l9'; there are l1, l2"):
        st.get_activations_layer(mlp(), "l9", X)


def test_activations_of_a_batch_have_the_kind_of_each_layer() -> None:
    found = st.get_activations_batch(mlp(softmax=True), X)
    assert [label for _, label in found] == ["Dense", "Dense", "Dense"]
    np.testing.assert_allclose(found[1][0], activations("l2"), rtol=1e-6)
    np.testing.assert_allclose(found[2][0].sum(1), 1, rtol=1e-6)  # behind the softmax


def test_activations_are_stored_and_reloaded_only_for_the_same_weights_and_samples(tmp_path: Path) -> None:
    first = st.try_reload_activations("l1", mlp(), X, 2, tmp_path)
    assert first is not None
    held = np.load(tmp_path / "l1.npz")
    np.testing.assert_array_equal(held["arr_0"], first)
    written = (tmp_path / "l1.npz").stat().st_mtime_ns
    np.testing.assert_array_equal(st.try_reload_activations("l1", mlp(), X, None, tmp_path), first)
    np.testing.assert_array_equal(st.try_reload_activations("l1", mlp(), None, None, tmp_path), first)
    assert (tmp_path / "l1.npz").stat().st_mtime_ns == written

    other = mlp()
    other = other.replaced(other["l1"].replace(weight=2 * W1.T))
    assert st.try_reload_activations("l1", other, None, None, tmp_path) is None
    np.testing.assert_allclose(
        st.try_reload_activations("l1", other, X, 2, tmp_path), np.maximum(2 * X @ W1 + B1, 0), rtol=1e-6
    )
    np.testing.assert_allclose(
        st.try_reload_activations("l1", other, 2 * X, 2, tmp_path), np.maximum(4 * X @ W1 + B1, 0), rtol=1e-6
    )


def test_activations_of_another_program_are_computed_anew(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "l1.npz", np.full((5, 2), 7.0))
    assert st.try_reload_activations("l1", mlp(), None, 2, tmp_path) is None
    found = st.try_reload_activations("l1", mlp(), X, 2, tmp_path)
    assert found is not None
    assert found.max() == pytest.approx(3.5)
    (tmp_path / "l1.npz").write_bytes(b"damaged")
    assert st.try_reload_activations("l1", mlp(), X, 2, tmp_path) is not None


def test_normalised_parameters() -> None:
    found = st.normalize_parameters(mlp(), config(), x_norm=X)
    by_name = found.by_name
    np.testing.assert_allclose(
        by_name["l1"].arrays["weight"].T, [[0.571429, -0.285714], [0.285714, 0.857143]], atol=1e-6
    )
    np.testing.assert_allclose(
        by_name["l2"].arrays["weight"].T, [[0.903226, 0.451613], [0.225806, -0.903226]], atol=1e-6
    )
    np.testing.assert_allclose(by_name["l2"].arrays["bias"], [0, 0.0516129], atol=1e-6)


def test_a_softmax_keeps_its_scale() -> None:
    found = st.normalize_parameters(mlp(softmax=True), config(), x_norm=X).by_name["l3"]
    np.testing.assert_allclose(found.arrays["weight"].T, 3.875 * W3, atol=1e-6)
    np.testing.assert_array_equal(found.arrays["bias"], [0, 0])


def test_a_linear_output_that_is_all_negative_keeps_its_scale() -> None:
    graph = Graph(
        [
            Input(name="x", shape=(2,)),
            linear("l1", "x", W1, B1),
            ReLU(name="r1", inputs=("l1",)),
            linear("l2", "r1", -np.abs(W2), -np.ones(2, np.float32)),
            Output(name="y", inputs=("l2",)),
        ]
    )
    found = st.normalize_parameters(graph, config(99.9), x_norm=X)
    np.testing.assert_allclose(run(found, X)["y"], run(graph, X)["y"], rtol=1e-5)
    np.testing.assert_allclose(found["l2"].arrays["bias"], [-1, -1])


def test_scale_factors_that_were_found_before_give_the_same_parameters(tmp_path: Path) -> None:
    found = st.normalize_parameters(mlp(), config(), x_norm=X, path=tmp_path)
    factors = json.loads((tmp_path / "100.json").read_text())
    assert factors == {"x": 1.0, "l1": 3.5, "l2": 3.875}
    again = st.normalize_parameters(mlp(), config(), scale_facs=factors)
    for name in ("l1", "l2"):
        np.testing.assert_array_equal(again[name].arrays["weight"], found[name].arrays["weight"])
    with pytest.raises(SettingsError, match="the layer 'l2' has none"):
        st.normalize_parameters(mlp(), config(), scale_facs={"l1": 3.5})


def test_what_normalisation_writes(tmp_path: Path) -> None:
    st.normalize_parameters(mlp(), config(), dataflow=X, path=tmp_path)
    folder = tmp_path / "activations"
    assert {path.name for path in folder.iterdir()} == {"weights.npz", "sparsity.npz", "l1.npz", "l2.npz"}
    np.testing.assert_allclose(np.load(folder / "weights.npz")["l1"].T, W1)
    np.testing.assert_allclose(np.load(folder / "sparsity.npz")["sparsity"], [0.2, 0.1])


def test_nothing_is_written_without_a_folder_and_statistics_of_other_weights_are_not_reused(tmp_path: Path) -> None:
    st.normalize_parameters(mlp(), config(), x_norm=X)
    assert not list(tmp_path.iterdir())
    st.normalize_parameters(mlp(), config(), x_norm=X, path=tmp_path)
    other = mlp()
    other = other.replaced(other["l1"].replace(weight=2 * W1.T))
    st.normalize_parameters(other, config(), x_norm=X, path=tmp_path)
    assert json.loads((tmp_path / "100.json").read_text())["l1"] == pytest.approx(6.5)


def test_the_schedule_holds_layer_by_layer() -> None:
    plain = st.normalize_parameters(mlp(), config(99.9), x_norm=X)
    lowered = st.normalize_parameters(mlp(), config(99.9, True), x_norm=X)
    cut = st.normalize_parameters(mlp(), config(99.9, True), x_norm=X, truncate=True)
    np.testing.assert_array_equal(plain["l1"].arrays["weight"], lowered["l1"].arrays["weight"])
    first, second = (activations(name) for name in ("l1", "l2"))
    for graph, percentiles in ((lowered, (99.9, 99.88)), (cut, (99, 99))):
        factors = [np.percentile(a[a > 0], p) for a, p in zip((first, second), percentiles, strict=True)]
        np.testing.assert_allclose(graph["l1"].arrays["weight"], W1.T / factors[0], rtol=1e-5)
        np.testing.assert_allclose(graph["l2"].arrays["weight"], W2.T * factors[0] / factors[1], rtol=1e-5)


def test_batch_norm_is_folded_as_in_the_table() -> None:
    graph = Graph(
        [
            Input(name="x", shape=(1,)),
            linear("l", "x", np.array([[2, 4]], np.float32), np.array([1, -1], np.float32)),
            BatchNorm(
                name="bn",
                inputs=("l",),
                mean=np.array([0.5, 1]),
                variance=np.array([4, 0.25]),
                gamma=np.array([3, 0.5]),
                beta=np.array([0.1, 0.2]),
                epsilon=0.0,
            ),
            ReLU(name="r", inputs=("bn",)),
            Output(name="y", inputs=("r",)),
        ]
    )
    found = st.normalize_parameters(graph, config(), scale_facs={"l": 1})
    np.testing.assert_allclose(found["l"].arrays["weight"].T, [[3, 4]], atol=1e-6)
    np.testing.assert_allclose(found["l"].arrays["bias"], [0.85, -1.8], atol=1e-6)


def test_norms_behind_rectifiers_residual_sums_and_shared_layers_keep_the_function() -> None:
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(3, 3, 1, 1)).astype(np.float32), np.ones(3, np.float32)
    one = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    graph = Graph(
        [
            Input(name="x", shape=(3, 2, 2)),
            Conv(name="c1", inputs=("x",), weight=weight, bias=bias, **one),
            ReLU(name="r1", inputs=("c1",)),
            BatchNorm(
                name="bn",
                inputs=("r1",),
                mean=np.array([0.5, 1, 2]),
                variance=np.ones(3),
                gamma=np.array([1, -2, 3]),
                beta=np.zeros(3),
                epsilon=0.0,
            ),
            Conv(name="shared", inputs=("bn",), weight=weight, bias=bias, **one),
            Add(name="sum", inputs=("shared", "r1")),
            ReLU(name="r2", inputs=("sum",)),
            Conv(name="again", inputs=("r2",), weight=weight, bias=bias, **one),
            Output(name="y", inputs=("again",)),
        ]
    )
    x = random.uniform(0, 1, (20, 3, 2, 2)).astype(np.float32)
    found = st.normalize_parameters(graph, config(99.9), x_norm=x)
    np.testing.assert_allclose(run(found, x)["y"], run(graph, x)["y"], rtol=1e-4, atol=1e-4)


def test_what_normalising_needs() -> None:
    with pytest.raises(SettingsError, match="needs samples: x_norm="):
        st.normalize_parameters(mlp(), config())
    with pytest.raises(SettingsError, match="has no 'xnorm'"):
        st.normalize_parameters(mlp(), config(), xnorm=X)
