"""Data sets: loading, checking and splitting labelled images. No TensorFlow, except to download with Keras."""

from edgenas.data.bundled import BUNDLED_NAMES
from edgenas.data.dataset import Dataset, Split
from edgenas.data.loading import DATA_DIR_VARIABLE, load_dataset

__all__ = ["BUNDLED_NAMES", "DATA_DIR_VARIABLE", "Dataset", "Split", "load_dataset"]
