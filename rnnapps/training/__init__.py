"""What training shares: optimizer and schedules, devices, and runs that survive a kill."""

from rnnapps.training.fitting import fit
from rnnapps.training.optimizer import make_optimizer
from rnnapps.training.resuming import Resume
from rnnapps.training.strategy import make_strategy

__all__ = ["Resume", "fit", "make_optimizer", "make_strategy"]
