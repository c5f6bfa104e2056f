"""Object detection: boxes with classes, from single-shot networks with anchors."""
