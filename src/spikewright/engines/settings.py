"""How a simulation runs: one small value, or the keywords that build it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.neurons import IntegrateAndFire, NeuronStep
from spikewright.engines.recording import Record
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.settings import check_fields, plain, whole

Engine = Literal["auto", "event", "cuda", "reference"]
ENGINES: tuple[str, ...] = get_args(Engine)
DTYPES = ("float32", "float64", "int16", "int8")

MOST_TIMESTEPS = 2**24
"""Spikes are counted in float32, which holds every whole number up to this one."""


@dataclass(frozen=True)
class RunSettings:
    """How a spiking network runs over a data set.

    Attributes:
        timesteps: T, at least 1 and at most ``MOST_TIMESTEPS``.
        encoder: an encoder or its name.
        batch_size: samples that run side by side, fewer in runs of very many timesteps; changes nothing but speed and
            memory.
        engine: "event" (on a CPU), "cuda" (on a GPU), "reference", or "auto": the one that is foreseen to be fastest
            for the network, T, the batch size and what is recorded; ``Run.engine_reason`` says why.
        device: a torch device: "cpu", "cuda".
        dtype: "float32"; "float64" (reference engine); "int16" (event engine): weights and potentials in 16-bit
            fixed point where a layer allows it, which is faster, and exact only where 16 bits hold every weight; or
            "int8": the network with the weights of all layers that read spikes rounded to 8 bits (``round_weights``),
            all else as in float32, on any engine; where nothing else is asked for on the event engine, which
            multiplies such weights as bytes.
        seed: of an encoder that draws numbers and is given by its name; None for its usual one.
        first_sample: the place of the first sample in its data set, on which random draws and the numbers of samples in
            events depend; None for what the data set says: see ``Dataset.part``.
        dt: the length of a timestep in seconds, for rates, operations and power per second; it changes no result. None
            for what the network says itself (from NIR), or for none.
        readout_from: t₀: the answer at timestep t is read over the steps behind t₀, and up to t₀ over all so far; 0
            reads all steps.
        step: what neurons do in one step: see ``NeuronStep``. Others than the default run on the reference engine.

    Raises:
        SettingsError: naming the setting, what it takes, and what it was given.
    """

    timesteps: int = 64
    encoder: Encoder | str = "constant"
    batch_size: int = 100
    engine: Engine = "auto"
    device: str = "cpu"
    dtype: str = "float32"
    seed: int | None = None
    first_sample: int | None = None
    dt: float | None = None
    readout_from: int = 0
    step: NeuronStep = field(default_factory=IntegrateAndFire)

    def __post_init__(self) -> None:
        limits = {
            "timesteps": (1, MOST_TIMESTEPS),
            "batch_size": (1, None),
            "readout_from": (0, MOST_TIMESTEPS),
            "seed": (0, None),
            "first_sample": (0, 2**62),
        }
        for label, (least, most) in limits.items():
            value = getattr(self, label)
            if value is not None or label in ("timesteps", "batch_size", "readout_from"):
                object.__setattr__(self, label, whole(label, value, least, most))
        object.__setattr__(self, "device", str(self.device))  # torch.device is welcome
        _ = self.chosen_encoder
        check_fields(self)
        if self.dtype not in DTYPES:
            raise SettingsError(f"unknown dtype '{self.dtype}'; choose one of {', '.join(DTYPES)}")
        if self.dt is not None and not self.dt > 0:
            raise SettingsError(f"dt must be a positive number of seconds, not {self.dt}")

    @property
    def float_dtype(self) -> str:
        """The dtype of what stays a floating-point number: samples, and whatever runs beside the event engine."""
        return self.dtype if self.dtype.startswith("float") else "float32"

    @property
    def chosen_encoder(self) -> Encoder:
        """The encoder with its seed, not yet fitted to a network.

        Raises:
            SettingsError: for an encoder that does not exist, or a seed that it has no use for.
        """
        made = self.encoder if isinstance(self.encoder, Encoder) else named_encoder(self.encoder)
        if self.seed is None:
            return made
        if made is self.encoder:
            raise SettingsError(
                "the encoder has settings of its own: give it the seed, or give the encoder by its name"
            )
        if not hasattr(made, "seed"):
            raise SettingsError(
                f"encoder '{self.encoder}' draws no numbers: seed is for those that do, such as poisson"
            )
        return cast(Encoder, replace(cast(Any, made), seed=self.seed))

    def seconds(self, graph: Graph) -> float | None:
        """The length of a timestep of one network; None where nobody says.

        Raises:
            SettingsError: where the network was read with another one.
        """
        own = plain(graph.meta.get("dt"))
        known = float(own) if isinstance(own, int | float) and not isinstance(own, bool) and own > 0 else None
        if known is not None and self.dt not in (None, known):
            raise SettingsError(
                f"the network was read with timesteps of {known:g} s, on which its neurons depend, not {self.dt:g} s: "
                f"load it with dt={self.dt:g}"
            )
        return known if self.dt is None else self.dt

    def __str__(self) -> str:
        """``timesteps=32, encoder=poisson, seed=3``: T and encoder, and whatever else is not the default."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        told = {k: v for k, v in shown.items() if k in ("timesteps", "encoder") or v != getattr(_DEFAULT, k)}
        return ", ".join(f"{label}={value}" for label, value in told.items())


_DEFAULT = RunSettings()


class _Unsaid(int):
    """A number that stands where nobody gave one: it is told from an equal one that was given."""


TIMESTEPS = _Unsaid(_DEFAULT.timesteps)
"""The default of ``timesteps`` as a keyword."""


class SettingsKeywords(TypedDict, total=False):
    """The keywords that build RunSettings; ``timesteps`` stands before them."""

    encoder: Encoder | str
    batch_size: int
    engine: Engine
    device: str
    dtype: str
    seed: int | None
    first_sample: int | None
    dt: float | None
    readout_from: int
    step: NeuronStep


class RunKeywords(SettingsKeywords, total=False):
    """The same, and those that build a Record around the names of what is recorded."""

    events_to: Path | str | None
    force: bool
    keep_outputs: bool


_RECORD = {"events_to": "folder", "force": "force", "keep_outputs": "outputs"}
"""Keywords of a run that belong to what is recorded: by keyword the field of Record."""


def given_settings(
    settings: RunSettings | None, timesteps: int, record: Record | Collection[str], keywords: Mapping[str, Any]
) -> tuple[RunSettings, Record]:
    """The settings of a run and what to record, from values or from keywords: either form, never both.

    Args:
        settings: as a value, or None.
        timesteps: as a keyword; ``TIMESTEPS`` where it was not given.
        record: as a value, or names of what is recorded.
        keywords: those of ``RunKeywords`` that were given.

    Raises:
        SettingsError: for both forms at once, a keyword that does not exist, or a setting that cannot be.
    """
    known = {**SettingsKeywords.__annotations__, **_RECORD}
    for label in keywords:
        if label not in known:
            raise SettingsError(f"there is no setting '{label}'; choose from timesteps, {', '.join(known)}")
    own = {label: value for label, value in keywords.items() if label not in _RECORD}
    own |= {} if timesteps is TIMESTEPS else {"timesteps": timesteps}
    of_record = {_RECORD[label]: value for label, value in keywords.items() if label in _RECORD}
    if settings is not None and not isinstance(settings, RunSettings):
        raise SettingsError(f"settings must be RunSettings, not {settings!r:.60}")
    if settings is not None and own:
        raise SettingsError(f"give settings=RunSettings(...) or {', '.join(own)}, not both: put them into RunSettings")
    if isinstance(record, Record):
        if of_record:
            also = ", ".join(label for label in keywords if label in _RECORD)
            raise SettingsError(f"give record=Record(...) or {also}, not both: Record has folder, force and outputs")
        return settings or RunSettings(**own), record
    names = (record,) if isinstance(record, str) else record
    return settings or RunSettings(**own), Record(cast(Any, names), **of_record)
