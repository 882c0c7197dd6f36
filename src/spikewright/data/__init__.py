"""Data sets: arrays, files and folders as batches of float32 samples, channels first."""

from spikewright.data.dataset import ArrayDataset, Dataset, as_dataset, check_labels
from spikewright.data.load import load_data
from spikewright.data.preprocessing import Preprocessing

__all__ = ["ArrayDataset", "Dataset", "Preprocessing", "as_dataset", "check_labels", "load_data"]
