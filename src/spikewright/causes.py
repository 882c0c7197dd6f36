"""Why a layer has no spiking form, and what to do about it: one advice for each cause, whichever framework wrote it.

Frontends and passes say the cause, and what about it; the advice is said here and nowhere else.
"""

from __future__ import annotations

from enum import Enum


class Cause(Enum):
    """A reason to refuse a layer; its value is the advice."""

    # What a layer computes.
    CURVED = "use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate can follow"
    NEGATIVE_SLOPE = (
        "what is negative has no spikes; leaky='split' (--leaky split) makes two populations of it, one for each sign"
    )
    EQUALITY = "whether a number is exactly another one is what rounding decides: compare with < or >"
    NOT_AT_THE_END = "only the end of a network may have one"
    NORM_OF_SAMPLE = "use a batch norm, whose statistics are fixed after training and fold into the weights"
    PRODUCT = "it multiplies activations with each other, which synapses cannot do"
    QUOTIENT = "it divides by an activation, which synapses cannot do"
    RECURRENT = "only feed-forward networks can be converted"
    DECISION = "only one fixed network can be converted: take that decision out of it"
    RANDOM = (
        "its answer is random: it draws anew each time; take that out of what the network does when it is not trained"
    )
    TRAINING = (
        "it does what it does in training: use the network in evaluation mode (model.eval(), training=False), "
        "and export it anew"
    )
    REPETITION = "it repeats values: use nearest-neighbour upsampling"
    EMBEDDING = "feed the embedded values to a network that starts behind it"
    POSITIONS = "more of it is read than its first result: where the largest stood has no spiking form"
    NO_COUNTERPART = (
        "it has no spiking counterpart: take it out of the network, or train with something else in its place"
    )

    # What it computes with.
    BATCH_AXIS = "samples would mix: keep the batch axis first and apart from the others"
    BATCH_SIZE = "a spiking network leaves the batch size open: take it out of what is computed"
    NOT_FLOATS = "it computes with numbers other than floating-point ones: cast them first"
    ROUNDING = "it rounds to whole numbers: leave that away, or use floor, which is what the count of a neuron does"
    QUANTISED = "give the network as it was before it was quantised, in floats"
    NOT_FINITE = "its constant is infinite, or no number"
    ZERO_DIVISOR = "it divides by zero"
    TOO_LARGE = "its constant value would fill the memory"
    COMPUTED_WEIGHTS = "its weights are computed from activations: only fixed weights can be synapses"

    # Where it comes from.
    OWN_CODE = "it is code of its own, and none is run: write it with layers of the framework"
    MASK = "masks are no part of a fixed network: take it out"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return self.value

    def message(self, detail: str = "") -> str:
        """The advice, behind what about this one layer is the matter."""
        return f"{detail}; {self.advice}" if detail else self.advice
