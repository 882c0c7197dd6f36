"""sinabs' words: ``from_model.from_torch``, ``utils.normalize_weights``, ``synopcounter.SNNAnalyzer``.

>>> from spikewright.compat.sinabs.from_model import from_torch
>>> network = from_torch(ann, input_shape=(1, 28, 28), batch_size=10)
>>> spikes = network(raster)

torch is imported with the files.
"""
