"""Training and evaluating networks. TensorFlow is imported by the first call, not by this package."""

from edgenas.training.augmentation import NO_AUGMENTATION, Augmentation, augment
from edgenas.training.evaluation import ModelScorer, evaluate
from edgenas.training.runtime import set_determinism
from edgenas.training.settings import TrainingSettings
from edgenas.training.train import TrainingDivergedError, TrainingProgress, TrainingResult, train

__all__ = [
    "NO_AUGMENTATION",
    "Augmentation",
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
