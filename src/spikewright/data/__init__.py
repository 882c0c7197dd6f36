"""Data sets: arrays, files and folders as batches of float32 samples, channels first."""

from spikewright.data.dataset import ArrayDataset, Dataset, as_dataset
from spikewright.data.labels import Targets
from spikewright.data.load import load_data
from spikewright.data.preprocessing import Preprocessing

__all__ = ["ArrayDataset", "Dataset", "Preprocessing", "Targets", "as_dataset", "load_data"]
