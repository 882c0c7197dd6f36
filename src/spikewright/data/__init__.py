"""Data sets: arrays, files and folders as batches of float32 samples, with the axes that the network has."""

from spikewright.data.dataset import ArrayDataset, Dataset, sample_digests
from spikewright.data.images import PictureDataset
from spikewright.data.items import as_dataset
from spikewright.data.labels import Targets
from spikewright.data.load import load_data
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.recordings import Recordings
from spikewright.data.sampling import Choice

__all__ = [
    "ArrayDataset",
    "Choice",
    "Dataset",
    "PictureDataset",
    "Preprocessing",
    "Recordings",
    "Targets",
    "as_dataset",
    "load_data",
    "sample_digests",
]
