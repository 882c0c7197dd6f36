"""A torch module of a conversion, and a conversion of a trained module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikewright.conversion import Conversion, spiking_graph
from spikewright.errors import Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.nodes import IF
from spikewright.settings import whole
from spikewright.training.memory import BUDGET
from spikewright.training.slopes import SpikeGradient
from spikewright.training.surrogates import InThresholds, Surrogate
from spikewright.training.surrogates import surrogate as surrogate_of

if TYPE_CHECKING:
    from spikewright.training.spiking_module import SpikingModule

SURROGATE = "atan"
"""What stands for the slope of spikes unless somebody says otherwise."""


def module(
    conversion: Conversion | Graph,
    surrogate: Surrogate | str = SURROGATE,
    *,
    detach_reset: bool = False,
    biases: bool = True,
    thresholds: bool = False,
    budget: int = BUDGET,
) -> SpikingModule:
    """The spiking network of a conversion as an ordinary ``nn.Module``, which begins where conversion ended.

    Its answers are those of ``simulate``, for whole sequences (``net(x, timesteps=8)``, ``net(frames)``) and step by
    step (``net.step(x, state)``). ``net.trained`` has the parameters by node and field.

    Args:
        conversion: whose spiking network is trained; or a spiking graph.
        surrogate: what stands for the slope of spikes, or its text; potentials count in units of the threshold.
        detach_reset: whether gradients take the reset for a constant.
        biases: whether biases are trained, or only weights.
        thresholds: whether thresholds are trained too.
        budget: bytes of activations that are kept for the way back; beyond it they are computed again.

    Raises:
        UnsupportedModelError: for layered and few-spike networks, whose neurons add up a window before they send.
        SettingsError: for a surrogate that does not exist, or what is no conversion.
    """
    if not isinstance(conversion, Conversion | Graph):
        raise SettingsError(f"a conversion is trained, as convert(...) gives it, not a {type(conversion).__name__}")
    graph = spiking_graph(conversion)
    if not graph.populations:
        raise SettingsError("the network has no spiking populations: convert it first")
    windows = [node for node in graph.of_type(IF) if node.schedule != "free"]
    if windows:
        raise UnsupportedModelError(
            [
                Problem(
                    f"{windows[0].schedule} neurons",
                    f"'{windows[0].name}'",
                    "they add up a window and send in the next, so that their counts are those of the rounded network: "
                    "train that, or convert with neurons that run freely",
                )
            ]
        )
    from spikewright.training.spiking_module import SpikingModule

    how = SpikeGradient(InThresholds(surrogate_of(surrogate)), detach_reset)
    return SpikingModule(conversion, how, biases=biases, thresholds=thresholds, budget=whole("budget", budget, 1))


def conversion(module: Any) -> Conversion:
    """The conversion of a trained module: every engine runs it spike for spike as the module does.

    It stays the conversion that it was, with other weights: the trained network, λ and what it was calibrated on are
    kept, and ``changed`` names the layers that learned.

    Args:
        module: from ``sw.training.module``; one that wraps it, as ``DataParallel`` and ``torch.compile`` do, is taken
            for it.

    Raises:
        SettingsError: for another module.
        NotFiniteError: for parameters that are no finite numbers.
        GraphError: for thresholds that are not positive.
    """
    from spikewright.training.spiking_module import SpikingModule

    found = module
    while not isinstance(found, SpikingModule) and (inner := _within(found)) is not None:
        found = inner
    if not isinstance(found, SpikingModule):
        raise SettingsError(f"a module of sw.training.module is given back, not a {type(found).__name__}")
    if not isinstance(found.source, Conversion):
        raise SettingsError(
            "the module was made of a spiking graph, not of a conversion: module.spiking() gives it back"
        )
    return found.source.with_spiking(found.spiking())


def _within(module: Any) -> Any:
    """The module that one wraps; None where it wraps none."""
    kept = vars(module).get("_modules", {}) if hasattr(module, "__dict__") else {}
    return next((kept[label] for label in ("module", "_orig_mod") if label in kept), None)
