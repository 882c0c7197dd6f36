"""Trained networks in, spiking networks out.

>>> import spikewright as sw
>>> graph = sw.load(module, shape=(1, 28, 28))
>>> conversion = sw.convert(graph, train, "percentile:99.9,channels")
>>> measures = sw.measure(conversion, test, timesteps=32)
>>> accuracy = measures.accuracy[-1]
>>> comparison = sw.compare(graph, train, test, ["max", "percentile:99.9,channels"], timesteps=64)
>>> page = sw.report("report.html", comparison)
"""

from pkgutil import iter_modules

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_modules = {found.name for found in iter_modules(__path__)}
__all__ = [name for name in __all__ if name not in _modules]
__version__ = "0.1.0"
