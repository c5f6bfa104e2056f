"""Tasks: what is learned and how it is judged. Importing this package registers those that come with EdgeNAS."""

from edgenas.tasks.audio_classification import AudioClassification
from edgenas.tasks.classification import Classification
from edgenas.tasks.detection import Detection
from edgenas.tasks.registry import get_task, register_task, task_names
from edgenas.tasks.regression import Regression
from edgenas.tasks.segmentation import Segmentation
from edgenas.tasks.tabular_classification import TabularClassification
from edgenas.tasks.task import NoPreprocessing, Task

__all__ = [
    "AudioClassification",
    "Classification",
    "Detection",
    "NoPreprocessing",
    "Regression",
    "Segmentation",
    "TabularClassification",
    "Task",
    "get_task",
    "register_task",
    "task_names",
]
