"""How far answers are from the trained network's, and that it ranks where counting labels does not."""

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration.thresholds.auto import Auto
from spikewright.data import as_dataset
from spikewright.encoders.constant import Constant
from spikewright.experiment import automatic
from spikewright.experiment.automatic import choose
from spikewright.experiment.distance import distances
from spikewright.experiment.scoring import Yardstick
from spikewright.tasks import Answer
from spikewright.timesteps import Timesteps

pytestmark = pytest.mark.filterwarnings("ignore::spikewright.SpikewrightWarning")  # few samples, a random network


def test_divergences_of_classes() -> None:
    """Σ p log(p/q) of the softmax of both; a number added to all classes changes nothing."""
    expected, answers = np.log([[[0.5, 0.25, 0.25]]]), np.log([[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]]]) + 3
    found = distances(answers, expected, Answer("y", (3,)))
    np.testing.assert_allclose(found, [[0.5 * np.log(2) - 0.25 * np.log(2), 0]], atol=1e-12)
    said = distances(np.exp(answers - 3), np.exp(expected), Answer("y", (3,), "softmax"))
    np.testing.assert_allclose(said, found, atol=1e-12)


def test_squared_errors_of_numbers() -> None:
    found = distances(np.array([[[3.0], [1.0]]]), np.array([[[1.0]]]), Answer("y", (1,)))
    np.testing.assert_allclose(found, [[4, 0]])


def test_of_a_simulation_it_is_that_of_its_answers() -> None:
    b = plain(7)
    graph, x = b.graph(), b.samples(60)
    folded = sw.prepare(graph)[0]
    made = sw.convert(graph, x[:30], "max")
    yard = Yardstick.of(folded, as_dataset(x[30:], graph.inputs), Constant(), 4)
    found = yard.some(20, 1).scored(made, Constant(), 4, batch_size=7)
    assert found.distance is not None
    few = yard.some(20, 1)
    outputs = sw.simulate(made, few.data, 4).output
    by_hand = distances(outputs, few.answers["output"][:, None], Answer("output", outputs.shape[2:])).mean(axis=0)
    np.testing.assert_allclose(found.distance, by_hand, rtol=1e-6)
    alone = few.scored(made, Constant(), 4, batch_size=7, work=False)  # what is lost does not depend on what is counted
    assert (alone.lost == found.lost).all()
    assert (alone.distance == found.distance).all()
    assert np.isnan([alone.firing_rate, alone.synops]).all()
    far, lost = yard.rounded(made, Constant(), [4])
    assert 0 < far < found.distance[3]
    assert lost >= 0


def test_labels_decide_only_among_the_close() -> None:
    """With the same answers, labels that prefer the far candidate change nothing."""
    b = plain(7)
    graph, x = b.graph(), b.samples(120)
    folded = sw.prepare(graph)[0]
    random = np.random.default_rng(0).integers(0, 3, 120)
    found = choose(folded, as_dataset((x, random), graph.inputs), Auto(Timesteps(4, 4)))
    assert found.labelled
    best = min(found.distance.values())
    assert found.distance[str(found.recipe)] <= automatic.CLOSE * best
    close = {text for text, far in found.distance.items() if far <= automatic.CLOSE * best}
    most = max(found.samples.values())
    assert found.lost[str(found.recipe)] == min(found.lost[text] for text in close if found.samples[text] == most)
