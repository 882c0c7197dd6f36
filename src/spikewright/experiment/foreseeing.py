"""What can be known of a conversion before any data are read: whether it can be made, corrected and run as asked.

Neurons, corrections and timesteps are tried on the network with every λ one. Whatever does not go together is refused
then, not when its turn comes, which may be after hours and when other results were written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from spikewright.calibration import Method
from spikewright.calibration.thresholds.auto import Auto
from spikewright.conversion import Conversion, NeuronsGiven, from_scales, neurons_of
from spikewright.corrections import Corrector
from spikewright.corrections.correcting import check_corrections
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.readout import WindowReadout
from spikewright.engines.windows import check_length
from spikewright.errors import SettingsError, SpikewrightWarning
from spikewright.experiment.automatic import chains
from spikewright.graph import Graph
from spikewright.measures.early_exit import check_free
from spikewright.nodes import Output, ReLU
from spikewright.timesteps import Timesteps


def check_ways(
    folded: Graph,
    methods: Sequence[Method],
    corrections: Sequence[Corrector],
    *,
    neurons: NeuronsGiven = None,
    samples: int | None = None,
    encoder: Encoder | str = "constant",
    timesteps: Timesteps | int | None = None,
    readout_from: int | str = 0,
    early_exit: float | None = None,
    made: dict[str, Conversion] | None = None,
    **options: Any,
) -> None:
    """Refuse ways to convert, correct and run a network that cannot be, with no sample read.

    Args:
        folded: the trained network, prepared.
        methods: what λ will be found by; ``auto`` stands for all that it tries.
        corrections: what is corrected, in order.
        neurons: what the populations are like.
        samples: how many samples corrections look at; None where nobody knows yet: memory is then not looked at.
        encoder: of the runs that are to be good.
        timesteps: T of the runs that follow; None for none.
        readout_from: of these runs.
        early_exit: of these runs.
        made: networks with every λ one that were made for other ways, by their options as text: they are made once.
        options: further keywords of ``convert``: view, readout, answer, leaky.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError, SettingsError: saying what does not go together, and what to do.
    """
    how = named_encoder(encoder) if isinstance(encoder, str) else encoder
    made = {} if made is None else made
    base, last = neurons_of(neurons), Timesteps.of(timesteps).last if timesteps is not None else None
    for method in methods:
        tried: list[tuple[str, Sequence[Corrector]]] = [("", corrections)]
        if isinstance(method, Auto):
            method.timesteps.check_tuned(method)
            tried = list(chains(method))
        for text, chain in tried:
            with _naming(method if text else ""):
                own = {**options, "neurons": base.changed(text)}
            key = " ".join(map(str, own.values()))
            if key not in made:
                made[key] = unscaled(folded, **own)
            known = replace(made[key], calibration=replace(made[key].calibration, method=str(method)))
            check_corrections(known, chain, None, samples, how)
            if isinstance(method, Auto):
                check_length(known.spiking, method.timesteps.last)
            if last is not None:
                check_length(known.spiking, last)
                WindowReadout(known.spiking, readout_from if isinstance(readout_from, int) else 0, last)
                if early_exit is not None:
                    check_free(known.spiking)


@contextmanager
def _naming(what: object) -> Iterator[None]:
    """Say what asked for neurons that cannot be, where that was not whoever converts."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{what}: {error}" if str(what) else str(error)) from error


def unscaled(folded: Graph, **options: Any) -> Conversion:
    """A network converted with every λ one: what its neurons are like, before λ are known.

    Args:
        folded: the trained network, prepared.
        options: keywords of ``convert``: neurons, view, readout, answer, leaky.

    Raises:
        SpikewrightError: as ``from_scales``.
    """
    ones = {node.name: np.ones(()) for node in folded.of_type(ReLU, Output)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikewrightWarning)  # said when it is made
        return from_scales(folded, ones, **options)
