"""Data sets: arrays, files and folders as batches of float32 samples, with the axes that the network has."""

from spikewright.data.columns import Columns
from spikewright.data.dataset import ArrayDataset, Dataset, sample_digests
from spikewright.data.images import PictureDataset
from spikewright.data.in_hand import as_dataset
from spikewright.data.labels import Targets
from spikewright.data.load import load_data
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.recordings import Recordings
from spikewright.data.sampling import Choice
from spikewright.data.streamed import StreamedDataset

__all__ = [
    "ArrayDataset",
    "Choice",
    "Columns",
    "Dataset",
    "PictureDataset",
    "Preprocessing",
    "Recordings",
    "StreamedDataset",
    "Targets",
    "as_dataset",
    "load_data",
    "sample_digests",
]
