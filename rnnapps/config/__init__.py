"""What the configurations of all applications share. Imports no TensorFlow.

A configuration is defined once. Its fields are the constructor's arguments, the command line's
flags, the keys of the TOML file and, where they carry a `Tune` range, the tuner's search space.
"""

from rnnapps.config.base import Config, read_toml
from rnnapps.config.generation import GENERATION, GenerationOptions
from rnnapps.config.names import (
    CELLS,
    TRANSFORMER,
    Block,
    BodyCell,
    Cell,
    OneOf,
    StepBodyCell,
    StepCell,
)
from rnnapps.config.networks import (
    EnsembleOptions,
    TextTransformerOptions,
    TransformerOptions,
    check_block,
)
from rnnapps.config.purpose import Purpose
from rnnapps.config.ranges import Tune, TuneChoice
from rnnapps.config.starting import PretrainingOptions, VectorOptions
from rnnapps.config.tables import SeriesOptions, TableOptions, TextOptions
from rnnapps.config.training import TrainingConfig
