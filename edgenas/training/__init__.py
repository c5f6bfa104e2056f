"""Training and evaluating networks. TensorFlow is imported by the first call, not by this package."""

from edgenas.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from edgenas.training.evaluation import ModelScorer, evaluate
from edgenas.training.runtime import set_determinism
from edgenas.training.settings import TrainingSettings
from edgenas.training.train import TrainingResult, train
from edgenas.training.trainer import Callback, TrainingDivergedError, TrainingProgress

__all__ = [
    "NO_AUGMENTATION",
    "Augmentation",
    "Callback",
    "ModelScorer",
    "TrainingDivergedError",
    "TrainingProgress",
    "TrainingResult",
    "TrainingSettings",
    "augment",
    "evaluate",
    "set_determinism",
    "train",
]
