"""What a reader asks first, in sentences: how few timesteps are enough, whether it pays, what costs most, what next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from spikewright.experiment import Candidate
from spikewright.measures import (
    HeadMeasures,
    Measures,
    costliest_layer,
    enough_timesteps,
    less_energy_up_to,
    losses,
    near_chance,
)
from spikewright.measures.advice import advice
from spikewright.tasks import SCORES
from spikewright.text import energy_text, percent, significant

POINTS = (0.5, 1.0)
"""Percentage points below the trained network that count as near, the harder first."""
HALF = 0.5
"""The part of the energy from which on it is most of it, and the analog input what to think of first."""
GAIN = "spikewright tune … --grid gain=1..9:2 finds how much is enough."
WORTH = 0.9
"""The part of the timesteps up to which running fewer of them is worth saying first."""


def first_answers(candidate: Candidate, settings: Mapping[str, Any]) -> str:
    """The section at the top: sentences about the first candidate, and a command.

    Args:
        candidate: the first one.
        settings: of the page, in which the command stands that made it.
    """
    measures = candidate.measures
    lines = [*timesteps_sentences(measures), *energy_sentences(measures)]
    told = "".join(f"<li>{escape(line)}</li>" for line in lines)
    what, option = next_step(measures)
    command = with_option(settings.get("command"), option)
    shown = f"<pre>{escape(command)}</pre>" if command else ""
    return (
        f'<section class="first"><h2>In short</h2><ul>{told}</ul>'
        f"<p><b>What to try next:</b> {escape(what)}</p>{shown}</section>"
    )


def timesteps_sentences(measures: Measures) -> list[str]:
    """The smallest T within 0.5 and within 1 point of the trained network, a sentence for each output."""
    found = []
    for name, head in measures.heads.items():
        kind = SCORES[head.task.main]
        if kind.percent and head.curves:
            before = "" if len(measures.heads) == 1 else f"{name}: "
            found.append(before + _near(head))
    return found


def _near(head: HeadMeasures) -> str:
    goal = "of the trained network" if head.labelled else "of full agreement with the trained network"
    steps = {points: enough_timesteps(head, points) for points in POINTS}
    half, one = steps.values()
    title = SCORES[head.task.main].title if head.labelled else "agreement"
    if half is not None:
        same = "" if half == one else f" and within 1 point from T = {one}"
        return f"The {title} is within 0.5 points {goal} from T = {half} on{same}."
    if one is not None:
        return (
            f"The {title} is within 1 point {goal} from T = {one} on, and within 0.5 points at no T up to {_end(head)}."
        )
    curve = head.curves[head.task.main]
    level = head.analog.get(head.task.main, 1.0) if head.labelled else 1.0
    lost = 100 * (level - float(curve[-1]))
    return (
        f"The {title} does not come within 1 point {goal} up to T = {_end(head)}: {lost:.1f} points are missing there."
    )


def _end(head: HeadMeasures) -> int:
    return len(head.curves[head.task.main])


def energy_sentences(measures: Measures) -> list[str]:
    """The estimate of energy against the trained network's, up to which T it is less, and what costs most."""
    spiking, analog, steps = measures.energy_spiking, measures.energy_analog, measures.run.mean_steps
    found = []
    if analog:
        upto = less_energy_up_to(spiking, analog, steps)
        less = (
            f"it is less up to T = {min(upto, measures.timesteps)}" if upto else "it is more from the first timestep on"
        )
        if upto >= measures.timesteps:
            less = "it is less at every T of this run"
        found.append(
            f"By an estimate of arithmetic alone a sample takes {energy_text(spiking)} at T = {measures.timesteps}, "
            f"{significant(spiking / analog, 2)} times the {energy_text(analog)} of the trained network; {less}."
        )
    costly = costliest_layer(measures)
    if costly is not None:
        name, what, share = costly
        most = "Most of it" if share >= HALF else "The largest part"
        found.append(f"{most}, {percent(share)} %, goes to {what} in layer '{name}'.")
    return found


def next_step(measures: Measures) -> tuple[str, str]:
    """What to try next, in a sentence, and the option of the command line that does it ("" where there is none)."""
    head, last = measures.head, measures.timesteps
    if near_chance({"": head}, measures.samples):
        return "look at data and preprocessing: the trained network itself knows little of these samples.", ""
    enough = enough_timesteps(head, POINTS[0])
    if enough is not None and enough <= WORTH * last:
        share = f"{100 * enough / last:.2g}"
        steps = f"{enough} timestep{'' if enough == 1 else 's'}"
        return (
            f"{steps} instead of {last}: the same answers to within 0.5 points for about {share} % of the work. It is "
            "read off these samples, so confirm it on others.",
            "" if measures.dt is not None else f"--timesteps {enough}",
        )
    own = [one for one in losses(measures) if one.told]
    if own:
        helps = advice(own[-1].worst, own[-1].timesteps, own[-1].had)
        option = re.search(r"--[a-z-]+ [^\s);]+", helps)
        return f"against {own[-1].worst}, which costs most: {helps}.", option[
            0
        ] if option else f"--timesteps {2 * last}"
    if measures.dt is not None:
        return "a larger gain of the first layer: answers come sooner and finer, for more work. " + GAIN, ""
    costly = costliest_layer(measures)
    if costly is not None and costly[1] == "the analog input" and costly[2] > HALF:
        return "fewer timesteps, since the input costs the same in each of them.", f"--timesteps {max(1, last // 2)}"
    return "fewer timesteps: nothing that is lost here can be told from chance.", f"--timesteps {max(1, last // 2)}"


def with_option(command: Any, option: str) -> str:
    """A command line with an option in it, in place of another value of it; "" where there is no command."""
    if not command or not option:
        return ""
    try:
        words = shlex.split(str(command))
    except ValueError:
        return ""
    name, value = option.split(" ", 1)
    names = {name, "-T"} if name == "--timesteps" else {name}
    for k, word in enumerate(words):
        if word in names and k + 1 < len(words):
            words[k + 1] = value
            return shlex.join(words)
        if word.partition("=")[0] in names and "=" in word:
            words[k] = f"{name}={value}"
            return shlex.join(words)
    return shlex.join([*words, name, value])
