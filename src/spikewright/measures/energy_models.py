"""Three estimates of energy beside one another, for the spiking and the analog network: each says what it counts.

None of them is a measurement, and none is of a chip. They differ in what they leave out, and so in who wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2, prod

from spikewright.measures.value import Measures


@dataclass(frozen=True)
class EnergyConstants:
    """What the estimates are made of, in picojoules; every one can be given.

    Attributes:
        weight_access: reading a weight: 32 bits from an on-chip memory of 32 kB at 45 nm (Han et al. 2015, table 1).
        state_access: reading, or writing, a membrane potential or an activation in the same memory.
        integer_multiply: 8 by 8 bits (Horowitz, ISSCC 2014); of b bits by 8 it is taken as b/8 of that.
        integer_add: 32 bits (the same).
        weight_bits: of the quantised networks.
    """

    weight_access: float = 5.0
    state_access: float = 5.0
    integer_multiply: float = 0.2
    integer_add: float = 0.1
    weight_bits: int = 8


@dataclass(frozen=True)
class EnergyEstimate:
    """One estimate, in nanojoules per sample.

    Attributes:
        name: of the model.
        spiking, analog: of the two networks.
        counts: what it counts, in a sentence.
    """

    name: str
    spiking: float
    analog: float
    counts: str


def energy_estimates(measures: Measures, constants: EnergyConstants | None = None) -> tuple[EnergyEstimate, ...]:
    """Arithmetic alone; with the memory traffic of weights and states; against a quantised network of as many levels.

    Args:
        measures: of a conversion; of a spiking graph alone there is nothing to compare, and no estimate.
        constants: of the second and third; those of arithmetic are ``measures.energy``.
    """
    if measures.energy_analog is None:
        return ()
    known, own, steps = constants or EnergyConstants(), measures.energy, measures.run.mean_steps
    spikes = sum(one.spikes for one in measures.synops.values())
    graded = sum(one.relayed + one.input_connections * steps for one in measures.synops.values())
    neurons = sum(prod(one.shape) for one in measures.layers.values())
    macs = 1000 * measures.energy_analog / own.mac
    fetched = known.weight_access + 2 * known.state_access
    read = known.weight_access + known.state_access
    memory = spikes * fetched + graded * read + neurons * steps * 2 * known.state_access
    memory_analog = macs * read + neurons * known.state_access
    bits = max(1, ceil(log2(measures.timesteps + 1)))
    add, multiply = known.integer_add, known.integer_multiply * known.weight_bits / 8
    return (
        EnergyEstimate(
            "arithmetic only",
            measures.energy_spiking,
            measures.energy_analog,
            f"{own.ac:g} pJ an accumulate, {own.mac:g} pJ a multiply-accumulate, of 32-bit floats; no memory",
        ),
        EnergyEstimate(
            "with memory traffic",
            measures.energy_spiking + memory / 1000,
            measures.energy_analog + memory_analog / 1000,
            f"beside these {known.weight_access:g} pJ to read a weight and {known.state_access:g} pJ to read or write "
            "a state: an accumulate reads and writes a potential, a multiply-accumulate reads a value, a neuron reads "
            "and writes its potential in every timestep",
        ),
        EnergyEstimate(
            f"against a quantised network of {bits} bits",
            (spikes * add + graded * (multiply + add)) / 1000,
            macs * (multiply * bits / 8 + add) / 1000,
            f"both in integers, weights of {known.weight_bits} bits: {add:g} pJ an addition, {multiply:g} pJ a product "
            f"of 8 bits; the trained network's activations have {bits} bits, as many levels as T = "
            f"{measures.timesteps} counts; no memory",
        ),
    )
