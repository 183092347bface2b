"""What training shares: optimizer and schedules, devices, and runs that survive a kill."""

from rnnapps.training.averaging import KeepWeights, average_if_better
from rnnapps.training.fitting import Diverged, compile_model, fit, precision, static_lengths
from rnnapps.training.gradients import GradientNorms
from rnnapps.training.optimizer import make_optimizer
from rnnapps.training.resuming import Resume
from rnnapps.training.strategy import make_strategy

__all__ = [
    "Diverged",
    "GradientNorms",
    "KeepWeights",
    "Resume",
    "average_if_better",
    "compile_model",
    "fit",
    "make_optimizer",
    "make_strategy",
    "precision",
    "static_lengths",
]
