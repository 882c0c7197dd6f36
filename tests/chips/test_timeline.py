"""Events and ticks on one line of time: what happens before what, beside a plain list of everything in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.chips.simulation.timeline import EventTrain, timeline

SHAPES = {"a": (2, 3, 4), "b": (1, 3, 4)}


def train(random: np.random.Generator, name: str, count: int) -> EventTrain:
    channels, rows, columns = SHAPES[name]
    places = [random.integers(0, end, count) for end in (rows, columns, channels)]
    return EventTrain(random.integers(0, 12, count), *places)


@pytest.mark.parametrize("together", [False, True])
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 20), st.integers(0, 5), st.lists(st.integers(0, 14), max_size=4))
def test_turns_are_those_of_a_sorted_list(together: bool, seed: int, first: int, second: int, ticks: list[int]) -> None:
    random = np.random.default_rng(seed)
    trains = {"a": train(random, "a", first), "b": train(random, "b", second)}
    events = sorted(
        (time, 1 + k, (y, x, c))
        for k, sent in enumerate(trains.values())
        for time, y, x, c in zip(sent.time, sent.y, sent.x, sent.channel, strict=True)
    )
    line = sorted([*events, *((time, 0, (0, 0, 0)) for time in set(ticks))])  # a tick comes first
    found = timeline(trains, SHAPES, ticks, together)
    if together:
        moments = sorted({time for time, *_ in line})
        turn_of = {entry: moments.index(entry[0]) for entry in line}
        assert found.time.tolist() == moments
        assert found.tick.tolist() == [time in ticks for time in moments]
    else:
        assert found.time.tolist() == [time for time, *_ in line]
        assert found.tick.tolist() == [place == 0 for _, place, _ in line]
    for k, name in enumerate(SHAPES):
        own = [(turn, entry) for turn, entry in enumerate(line) if entry[1] == 1 + k]
        assert found.neurons[name].tolist() == [list(entry[2]) for _, entry in own]
        assert found.turns[name].tolist() == [turn_of[entry] if together else turn for turn, entry in own]
