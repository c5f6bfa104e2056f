"""Images with a class for every pixel: read from folders and ``.npz`` files, checked, and changed at random."""

from edgenas.data.segmentation.legend import VOID
from edgenas.data.segmentation.loading import load_segmentation

__all__ = ["VOID", "load_segmentation"]
