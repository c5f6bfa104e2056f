"""Tasks: what is learned and how it is judged. Importing this package registers those that come with EdgeNAS."""

from edgenas.tasks.audio_classification import AudioClassification
from edgenas.tasks.classification import Classification
from edgenas.tasks.detection import Detection
from edgenas.tasks.registry import get_task, register_task, task_names
from edgenas.tasks.segmentation import Segmentation
from edgenas.tasks.task import NoPreprocessing, Task

__all__ = [
    "AudioClassification",
    "Classification",
    "Detection",
    "NoPreprocessing",
    "Segmentation",
    "Task",
    "get_task",
    "register_task",
    "task_names",
]
