"""A conversion as a value: the trained network, λ, the neurons, the spiking network, and what it comes from."""

from spikewright.conversion.became import what_became
from spikewright.conversion.contract import Contract, contract_of
from spikewright.conversion.facts import CalibrationFacts, Correction
from spikewright.conversion.making import from_scales
from spikewright.conversion.neurons import Neurons, NeuronsByPopulation, NeuronsGiven, neurons_of, spikes_of
from spikewright.conversion.spiking import (
    Readout,
    View,
    check_countable,
    read_out,
    scales_in_use,
    spiking_of,
)
from spikewright.conversion.value import Conversion, spiking_graph

__all__ = [
    "CalibrationFacts",
    "Contract",
    "Conversion",
    "Correction",
    "Neurons",
    "NeuronsByPopulation",
    "NeuronsGiven",
    "Readout",
    "View",
    "check_countable",
    "contract_of",
    "from_scales",
    "neurons_of",
    "read_out",
    "scales_in_use",
    "spikes_of",
    "spiking_graph",
    "spiking_of",
    "what_became",
]
