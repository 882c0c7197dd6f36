"""What is varied, and by which rule one point is chosen: texts, their errors, and the choices."""

from __future__ import annotations

import numpy as np
import pytest

from spikewright.conversion import Neurons, NeuronsByPopulation
from spikewright.errors import SettingsError
from spikewright.experiment.scoring import Scored
from spikewright.experiment.tuning import Grid, Point, Row, Rule, Tried
from spikewright.experiment.tuning.result import pareto_front
from spikewright.timesteps import Timesteps


def tried(gain: int, lost: list[float], synops: float, rate: float = 0.1) -> Tried:
    curve = np.array(lost)
    return Tried(Point((("gain", str(gain)),)), Scored(curve, 0.9 - curve / 100, rate, synops))


@pytest.mark.parametrize(
    "text",
    ["fewest synops within 0.5 points", "smallest T within 1 point", "lowest rate within 2 points at T=8..16", "best",
     "best at T=16"],
)  # fmt: skip
def test_rules_are_what_they_say(text: str) -> None:
    assert str(Rule.parse(text)) == text
    assert Rule.parse(text.upper()) == Rule.parse(text) == Rule.parse(f"  {text.replace(' ', '  ')} ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "no rule is written 'nonsense'; write one like"),
        ("", "no rule is written ''"),
        ("fewest synops", "write 'fewest synops within 0.5 points'"),
        ("best within 1 point", "the best is within none: leave that away"),
        ("smallest t within one points", "within how many points\\? a number like 0.5, not 'one'"),
        ("smallest t within -1 points", "within how many points"),
        ("smallest t within nan points", "within how many points"),
        ("best at T=0", "timesteps must be 1 or more"),
        ("best at T=x", "no rule is written"),
    ],
)
def test_what_is_no_rule(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Rule.parse(text)


def test_choices() -> None:
    steps = Timesteps(2, 4)
    points = [
        tried(1, [60, 30, 4.0, 0.9], 400, 0.1),
        tried(2, [40, 3.0, 0.5, 0.2], 800, 0.2),
        tried(3, [20, 0.4, 0.5, 0.1], 1200, 0.3),
    ]

    def chosen(text: str) -> tuple[str, int, bool]:
        found = Rule.parse(text).choose(points, steps)
        return found.row.point["gain"], found.row.timesteps, found.met

    assert chosen("fewest synops within 1 point") == ("1", 4, True)  # 400 operations against 600 of gain 2 at T = 3
    assert chosen("fewest synops within 0.5 points") == ("3", 2, True)  # gain 2 at T = 3 takes as many and loses more
    assert chosen("smallest T within 1 point") == ("3", 2, True)
    assert chosen("smallest T within 30 points") == ("3", 2, True)
    assert chosen("lowest rate within 1 point") == ("1", 4, True)
    assert chosen("best") == ("3", 4, True)
    assert chosen("best at T=3") == ("2", 3, True)  # what ties goes to what was tried first
    assert chosen("fewest synops within 0.05 points") == ("3", 4, False)  # nothing is: the nearest
    with pytest.raises(SettingsError, match=r"the rule .best at T=8. is of a T that is not looked at: T is 2\.\.4"):
        chosen("best at T=8")


def test_a_score_that_does_not_exist_is_never_chosen() -> None:
    points = [tried(1, [np.nan, np.nan], 1), tried(2, [5.0, 5.0], 9)]
    assert Rule.parse("best").choose(points, Timesteps(1, 2)).row.point["gain"] == "2"


def test_the_front() -> None:
    rows = [Row.of(tried(k, [lost], synops), 1) for k, (lost, synops) in enumerate([(5, 1), (6, 2), (1, 3), (1, 4)], 1)]
    assert [row.point["gain"] for row in pareto_front(rows)] == ["1", "3"]


def test_grids_multiply() -> None:
    grid = Grid.parse(["method=max", "method=p99.9,channels", "gain=1..3", "method=max"])
    assert len(grid) == 6
    assert str(grid.points[0]) == "method=max gain=1"
    assert str(grid.points[-1]) == "method=percentile:99.9,channels gain=3"
    assert str(grid) == "method=max method=percentile:99.9,channels gain=1 gain=2 gain=3"
    assert Grid.parse(str(grid).split(" ")) == grid
    assert grid.drawn(4, seed=1) == grid.drawn(4, seed=1) != grid.drawn(4, seed=2)
    assert sorted(map(str, grid.drawn(99))) == sorted(map(str, grid.points))
    assert [dict(p.settings)["v_init"] for p in Grid.parse("v_init=0..1:0.25").points] == [
        "0",
        "0.25",
        "0.5",
        "0.75",
        "1",
    ]
    assert len(Grid.parse(["gain=1..10"])) == 10


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("gain", "a setting is written NAME=VALUE, as in gain=1..10, not 'gain'"),
        ("=3", "a setting is written NAME=VALUE"),
        ("gian=3", "nothing is called 'gian' that could be varied; there are method, correct, gain"),
        ("gain=0", "gain takes a number above 0, or a range like 1..10, not '0'"),
        ("gain=x", "gain takes a number above 0"),
        ("gain=nan", "gain takes a number above 0"),
        ("gain=10..1", "gain: a range is written 1..10, or with its step"),
        ("gain=1..2:0", "a range is written"),
        ("gain=1..inf", "a range is written"),
        ("gain=1..1e9", "a range of 1,000,000,000 values is too long"),
        ("method=magic", "magic"),
        ("correct=magic", "unknown corrector 'magic'"),
        ("spikes=0", "spikes takes single, multi, or a cap"),
        ("leak=2", "leak must be in"),
        ("reset=up", "reset takes subtract or zero, not 'up'"),
        ("view=x", "view takes weights or thresholds"),
        ("neurons=frob=1", "unknown setting 'frob=1'"),
    ],
)
def test_what_cannot_be_varied(word: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Grid.parse([word])


def test_a_grid_has_an_end() -> None:
    with pytest.raises(SettingsError, match="a grid of 1,000,000 points is too large"):
        Grid.parse(["gain=1..1000", "v_init=1..1000"])


def test_points_are_settings_and_words() -> None:
    point = Point.parse("method=max v_init=0 spikes=3 'neurons=conv*: spikes=2' gain=2")
    assert Point.parse(str(point)) == point
    assert point.neurons == NeuronsByPopulation(
        Neurons(max_spikes=3, v_init=0), (("conv*", Neurons(max_spikes=2, v_init=0)),)
    )
    assert list(map(str, point.corrections)) == ["gain:2"]
    assert point.words == [
        *("--method", "max", "--correct", "gain:2", "--neurons", "conv*: spikes=2", "--spikes", "3", "--v-init", "0")
    ]
    assert Point().words == ["--method", "percentile:99.9"]
    corrected = Point.parse("correct=v_init+v_init:2,rounds=1").fitted(Timesteps(4, 16))
    assert str(corrected) == "correct=v_init:4..16+v_init:2,rounds=1"
    assert corrected.words[2:] == ["--correct", "v_init:4..16", "--correct", "v_init:2,rounds=1"]
    with pytest.raises(SettingsError, match="a point has gain twice"):
        Point.parse("gain=1 gain=2")
    with pytest.raises(SettingsError, match="a point is a text like"):
        Point.parse("gain='1")
