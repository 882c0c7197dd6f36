"""One number of timesteps, or a range of them."""

from __future__ import annotations

import pytest

from spikewright.errors import SettingsError
from spikewright.timesteps import Timesteps


@pytest.mark.parametrize(
    ("text", "values"),
    [("1", (1,)), ("16", (16,)), ("4..32", (4, 8, 16, 32)), ("3..10", (3, 6, 10)), ("5..5", (5,)), ("1..2", (1, 2))],
)
def test_values_of_a_text(text: str, values: tuple[int, ...]) -> None:
    found = Timesteps.parse(text)
    assert found.values == values
    assert Timesteps.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "0", "0..4", "8..4", "4...8", "4..", "..4", "4.5", "-4", "a", "9" * 40])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"timesteps") as error:
        Timesteps.parse(text)
    assert len(str(error.value)) < 200


def test_what_lies_within() -> None:
    assert [t for t in range(1, 40) if t in Timesteps(4, 32)] == list(range(4, 33))
