"""``auto``: thresholds, corrections and neurons by the loss that was measured on samples held out of calibration.

The choice falls in rounds. First every threshold method is ranked by what the trained network is when it is rounded to
the levels of T timesteps, which takes no simulation. The best of them are simulated with a correction, since what is
best when only rounded is not when spikes come unevenly too; then the best with all corrections, and other neurons where
these are allowed. What is best on few samples is at last measured on all that are held out. Test data are nowhere.

Rounds are decided by how far answers are from the trained network's (``distance.py``), which tells candidates apart on
few samples, where counting labels does not. Labels decide among those that are close.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Any

from spikewright.calibration import Method, Statistics, calibrate, threshold_method
from spikewright.calibration.thresholds.auto import Auto
from spikewright.conversion import Conversion, NeuronsByPopulation, NeuronsGiven, from_scales, neurons_of
from spikewright.corrections import Corrector, corrector
from spikewright.corrections.correcting import correct
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import SettingsError, SpikewrightWarning
from spikewright.experiment.held_out import HeldOut, expected_inputs, held_out
from spikewright.experiment.scoring import Yardstick, points_text
from spikewright.graph import Graph
from spikewright.tasks import TaskChoice

HELD_OUT = 500
"""How many samples are held out at most: half of them where there are fewer."""
CALIBRATED = 512
"""How many of the others λ are found on while methods are compared."""
FIRST, SECOND = 128, 250
"""How many samples held out thresholds are ranked on, and candidates are measured on before the last round."""
FINALISTS = 3
SIMULATED = 4
"""How many threshold methods are simulated with a correction."""
CORRECTED = "v_init"
"""The correction that threshold methods are compared with."""
CLOSE = 1.15
"""A distance of no more than so many times the least is close: what loses least decides among these."""
THRESHOLDS = (
    *(f"percentile:{p:g},channels" for p in (99.9, 99, 98, 97, 95, 90, 80, 60)),
    *(f"percentile:{p:g},channels,zeros" for p in (99.9, 99)),
    "max,channels",
)
FOR_T = ("mmse:{T},channels", "mmse:{T}")
"""Methods that are made for some T, where they are there."""


@dataclass(frozen=True)
class Recipe:
    """How a network is converted.

    Attributes:
        method: the threshold method.
        corrections: what is corrected, in order.
        neurons: what the populations are like.
    """

    method: Method
    corrections: tuple[Corrector, ...] = ()
    neurons: NeuronsByPopulation = field(default_factory=NeuronsByPopulation)

    def __str__(self) -> str:
        """``mmse:16,channels + v_init:16, neurons signed``."""
        text = " + ".join(map(str, (self.method, *self.corrections)))
        return f"{text}, neurons {self.neurons}" if str(self.neurons) else text


@dataclass(frozen=True, eq=False)
class Automatic:
    """What ``auto`` chose, and what it did not.

    Attributes:
        auto: as it was asked for.
        recipe: what was chosen.
        lost: by recipe, points below the trained network: the mean over the T asked for, on the most samples that it
            was measured on; the chosen one first, then from the best on.
        distance: by recipe, how far its answers are from the trained network's (``distance.py``), on the same samples.
        samples: by recipe, how many of the samples held out that were.
        held_out: which samples, in words.
        labelled: whether labels judged, not the trained network's answers.
        seed: of the draw of the samples held out.
    """

    auto: Auto
    recipe: Recipe
    lost: dict[str, float]
    distance: dict[str, float]
    samples: dict[str, int]
    held_out: str
    labelled: bool
    seed: int = 0

    def __str__(self) -> str:
        """One line: what was chosen, by what, and what was next."""
        chosen = str(self.recipe)
        others = [
            f"{text} {lost:.2f}, {self.distance[text]:.3g} ({self.samples[text]})"
            for text, lost in self.lost.items()
            if text != chosen
        ]
        against = "labels" if self.labelled else "the trained network's answers"
        return (
            f"{chosen}: {points_text(self.lost[chosen])} at T={self.auto.timesteps} by {against}, {self.held_out}, "
            f"distance of answers {self.distance[chosen]:.3g}"
            + (f"; not chosen, points lost and distance (on so many of them): {', '.join(others)}" if others else "")
        )

    @property
    def fact(self) -> str:
        """What a conversion remembers of the choice."""
        return f"{self.auto}, {points_text(self.lost[str(self.recipe)])}, {self.held_out}"


def choose(
    folded: Graph,
    data: Dataset,
    auto: Auto,
    *,
    neurons: NeuronsGiven = None,
    input_scale: Method | str | float = "max",
    task: TaskChoice = None,
    encoder: Encoder | str = "constant",
    seed: int = 0,
    batch_size: int = 100,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Automatic:
    """The recipe that loses least at the T asked for, on calibration samples that are held out.

    Args:
        folded: the trained network, prepared.
        data: to calibrate with.
        auto: T, and what neurons may do.
        neurons: what the populations are like, but for what ``auto`` may choose.
        input_scale: as of ``calibrate``.
        task: what labels mean: see ``measure``.
        encoder: of the runs.
        seed: of what is held out.
        batch_size: samples that run side by side.
        device: a torch device.
        progress: called with (candidates measured, candidates there are).
        options: further keywords of ``convert``: view, readout.

    Raises:
        SpikewrightError: as ``convert``; for fewer than two different samples.
    """
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    parts = held_out(data, seed=seed, most=HELD_OUT)
    few = parts.fitting.sample(CALIBRATED, seed)
    methods = thresholds(auto)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikewrightWarning)  # what is odd is said when all samples are calibrated on
        statistics = calibrate(
            folded,
            expected_inputs(few, how),
            methods,
            input_scale=input_scale,
            task=task,
            one_pass=True,
            device=device,
        )
        yardstick = Yardstick.of(
            folded, parts.held_out, how, auto.timesteps.last, task=task, batch_size=batch_size, device=device
        )
        base = neurons_of(neurons)
        search = _Search(folded, statistics, few, parts, yardstick, auto, how, task, batch_size, device, options)
        return search.found(methods, base, progress)


@dataclass(frozen=True, eq=False)
class Resolved:
    """How a network is converted, once ``auto`` has chosen.

    Attributes:
        recipe: how.
        automatic: what ``auto`` chose; None where somebody said all of it.
    """

    recipe: Recipe
    automatic: Automatic | None = None


def check_automatic(methods: Sequence[Method], corrections: Sequence[Corrector], samples: bool = True) -> None:
    """Refuse ``auto`` where it cannot choose, before any work is done.

    Args:
        methods: what was asked for.
        corrections: what was asked for.
        samples: whether there are samples to choose on.

    Raises:
        SettingsError: where corrections are said too, or there are no samples.
    """
    for method in methods:
        if isinstance(method, Auto) and corrections:
            raise SettingsError(f"{method} chooses corrections itself; leave {corrections[0]} out")
        if isinstance(method, Auto) and not samples:
            raise SettingsError(f"{method} chooses on samples: give data in place of statistics or λ")


def resolved(
    folded: Graph,
    data: Dataset | None,
    methods: Sequence[Method],
    corrections: Sequence[Corrector],
    *,
    neurons: NeuronsGiven = None,
    **how: Any,
) -> tuple[Resolved, ...]:
    """How a network is converted by each of several methods.

    Args:
        folded: the trained network, prepared.
        data: to calibrate with; None where it is not at hand.
        methods: what was asked for.
        corrections: what was asked for; none where a method is ``auto``.
        neurons: what the populations are like.
        how: further keywords of ``choose``.

    Raises:
        SpikewrightError: as ``check_automatic`` and ``choose``.
    """
    check_automatic(methods, corrections, data is not None)
    found = []
    for method in methods:
        if isinstance(method, Auto) and data is not None:
            automatic = choose(folded, data, method, neurons=neurons, **how)
            found.append(Resolved(automatic.recipe, automatic))
        else:
            found.append(Resolved(Recipe(method, tuple(corrections), neurons_of(neurons))))
    return tuple(found)


def thresholds(auto: Auto) -> tuple[Method, ...]:
    """The threshold methods that are compared."""
    from spikewright.calibration import methods

    made = [text.format(T=auto.timesteps) for text in FOR_T if text.partition(":")[0] in methods()]
    return tuple(dict.fromkeys(threshold_method(text) for text in (*THRESHOLDS, *made)))


def chains(auto: Auto) -> list[tuple[str, tuple[Corrector, ...]]]:
    """Neurons, as text, and corrections that are tried with the best thresholds: what needs least of a chip first."""
    from spikewright.corrections import correctors

    steps = auto.timesteps
    static = ((), ("v_init",), ("bias",), ("v_init", "bias"), ("v_init_and_bias",))
    found: list[tuple[str, Sequence[str]]] = [("", names) for names in static]
    more: dict[str, list[tuple[str, Sequence[str]]]] = {
        "step_bias": [("", ("bias:steps",)), ("", ("v_init", "bias:steps"))],
        "signed": [("signed", ()), ("signed", ("v_init",))],
        "bursts": [("spikes=4", ()), ("spikes=4", ("v_init",))],
        "layered": [("layered", ())],
        "few_spike": [("few_spike", ())],
    }
    for contract in auto.contracts:
        found += more[contract]
    known = correctors()
    fitting = [(n, names) for n, names in found if all(name.partition(":")[0] in known for name in names)]
    return [(n, tuple(replace(corrector(name), timesteps=steps) for name in names)) for n, names in fitting]


@dataclass(eq=False)
class _Search:
    """The rounds of one choice, and what they found."""

    folded: Graph
    statistics: Statistics
    few: Dataset
    parts: HeldOut
    yardstick: Yardstick
    auto: Auto
    encoder: Encoder
    task: TaskChoice
    batch_size: int
    device: str
    options: dict[str, Any]
    made: dict[Recipe, Conversion] = field(default_factory=dict)
    lost: dict[Recipe, float] = field(default_factory=dict)
    samples: dict[Recipe, int] = field(default_factory=dict)
    distance: dict[Recipe, float] = field(default_factory=dict)

    def found(
        self, methods: Sequence[Method], base: NeuronsByPopulation, progress: Callable[[int, int], None] | None
    ) -> Automatic:
        """What is chosen when all rounds are done."""
        tried = chains(self.auto)
        ranked = sorted(methods, key=lambda method: self.rounded(Recipe(method, neurons=base)))
        first = next(((text, chain) for text, chain in tried if [one.name for one in chain] == [CORRECTED]), tried[0])
        compared = [Recipe(method, first[1], base.changed(first[0])) for method in ranked[:SIMULATED]]
        total, done = len(compared) + len(tried) + FINALISTS, 0

        def measured(recipe: Recipe, samples: int) -> None:
            nonlocal done
            self.measure(recipe, samples)
            done += 1
            if progress is not None:
                progress(done, total)

        for recipe in compared:
            measured(recipe, SECOND)
        methods = [one.method for one in self.order(compared)]
        recipes = [Recipe(methods[0], chain, base.changed(text)) for text, chain in tried]
        for recipe in recipes:
            measured(recipe, SECOND)
        best = self.order(recipes)[0]
        others = [replace(best, method=method) for method in methods[1:2]]
        for recipe in others:
            measured(recipe, SECOND)
        finalists = self.order([*recipes, *others, *compared])[:FINALISTS]
        for recipe in finalists:
            measured(recipe, len(self.parts.held_out))
        chosen = self.best(finalists)
        if progress is not None:
            progress(total, total)
        left = [one for one in self.order(self.lost) if one not in finalists]
        every = [chosen, *(one for one in self.order(finalists) if one != chosen), *left]
        return Automatic(
            self.auto,
            chosen,
            {str(one): self.lost[one] for one in every},
            {str(one): self.distance[one] for one in every},
            {str(one): self.samples[one] for one in every},
            str(self.parts),
            self.yardstick.labelled,
            self.parts.seed,
        )

    def order(self, recipes: Iterable[Recipe]) -> list[Recipe]:
        """The recipes from the least distance on, where that is not known the least loss; what ties stays in order."""
        return sorted(dict.fromkeys(recipes), key=lambda one: (self.distance[one], self.lost[one]))

    def best(self, recipes: Iterable[Recipe]) -> Recipe:
        """Of the recipes whose distance is close to the least the one that loses least."""
        ranked = self.order(recipes)
        close = [one for one in ranked if self.distance[one] <= CLOSE * self.distance[ranked[0]]]
        return min(close, key=lambda one: self.lost[one])

    def conversion(self, recipe: Recipe) -> Conversion:
        """The network by a recipe, made on few samples."""
        if recipe not in self.made:
            options = {key: value for key, value in self.options.items() if key in ("view", "readout")}
            made = from_scales(
                self.folded, self.statistics.scales(recipe.method, recipe.neurons), neurons=recipe.neurons, **options
            )
            some = min(max(512 // self.auto.timesteps.last, 16), 64)
            self.made[recipe] = correct(
                replace(made, calibration=replace(made.calibration, method=str(recipe.method))),
                self.few,
                recipe.corrections,
                timesteps=self.auto.timesteps,
                samples=some,
                encoder=self.encoder,
                task=self.task,
                device=self.device,
            )
        return self.made[recipe]

    def rounded(self, recipe: Recipe) -> tuple[float, float]:
        """How far the trained network is from itself when it is rounded to what the neurons can count, and what it
        loses, on few samples."""
        few = self.yardstick.some(FIRST, self.parts.seed)
        steps = self.auto.timesteps.values
        return few.rounded(self.conversion(recipe), self.encoder, steps, self.batch_size, self.device)

    def measure(self, recipe: Recipe, samples: int) -> None:
        """Measure what a recipe loses on so many of the samples held out, unless that is known."""
        if self.samples.get(recipe, 0) >= min(samples, len(self.parts.held_out)):
            return
        few, steps = self.yardstick.some(samples, self.parts.seed), self.auto.timesteps
        scored = few.scored(
            self.conversion(recipe),
            self.encoder,
            steps.last,
            batch_size=self.batch_size,
            device=self.device,
            work=False,
        )
        lost = float(scored.lost[[t - 1 for t in steps.values]].mean())
        far = 0.0 if scored.distance is None else float(scored.distance[[t - 1 for t in steps.values]].mean())
        self.lost[recipe] = lost if isfinite(lost) else inf
        self.distance[recipe] = far if isfinite(far) else inf
        self.samples[recipe] = len(few.data)
