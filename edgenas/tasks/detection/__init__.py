"""Object detection: boxes with classes, from single-shot networks with anchors."""

from edgenas.tasks.detection.task import Detection

__all__ = ["Detection"]
