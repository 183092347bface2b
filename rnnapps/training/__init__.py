"""What training shares: optimizer and schedules, devices, and resuming."""

from rnnapps.training.checkpoint import Checkpoint, SaveEvery, spent
from rnnapps.training.encoder import build_encoder
from rnnapps.training.gradient_flow import gradient_flow
from rnnapps.training.gradients import GradientNorms
from rnnapps.training.layerwise import GradualUnfreezing, LayerwiseAdam
from rnnapps.training.loop import (
    Diverged,
    EpochSeconds,
    compile_model,
    fit,
    precision,
    static_lengths,
)
from rnnapps.training.losses import SmoothedCrossentropy
from rnnapps.training.members import members
from rnnapps.training.optimizer import make_optimizer
from rnnapps.training.perturbation import PerturbedNetwork
from rnnapps.training.pretraining import pretrain
from rnnapps.training.softmax import SampledSoftmax
from rnnapps.training.strategy import make_strategy, share_cores, strategy_of, use_cores
from rnnapps.training.streamed import StreamedNetwork
from rnnapps.training.time_limit import TimeLimit
from rnnapps.training.transfer import Rows, transfer
from rnnapps.training.weight_averaging import KeepWeights, average_if_better

__all__ = [
    "Checkpoint",
    "Diverged",
    "EpochSeconds",
    "GradientNorms",
    "GradualUnfreezing",
    "KeepWeights",
    "LayerwiseAdam",
    "PerturbedNetwork",
    "Rows",
    "SampledSoftmax",
    "SaveEvery",
    "SmoothedCrossentropy",
    "StreamedNetwork",
    "TimeLimit",
    "average_if_better",
    "build_encoder",
    "compile_model",
    "fit",
    "gradient_flow",
    "make_optimizer",
    "make_strategy",
    "members",
    "precision",
    "pretrain",
    "share_cores",
    "spent",
    "static_lengths",
    "strategy_of",
    "transfer",
    "use_cores",
]
