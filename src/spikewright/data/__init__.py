"""Data sets: arrays, files and folders as batches of float32 samples, channels first."""

from spikewright.data.dataset import ArrayDataset, Dataset, as_dataset
from spikewright.data.load import load_data
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.targets import Targets

__all__ = ["ArrayDataset", "Dataset", "Preprocessing", "Targets", "as_dataset", "load_data"]
