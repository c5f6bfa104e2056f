"""Images with boxes: read from COCO, Pascal VOC, YOLO and packed files, checked, and changed at random."""

from edgenas.data.detection.loading import load_detection

__all__ = ["load_detection"]
