"""The settings of data and training that every application has. Imports no TensorFlow."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rnnapps.config.base import Config
from rnnapps.config.names import TRANSFORMER
from rnnapps.config.purpose import Purpose
from rnnapps.config.ranges import Tune, TuneChoice
from rnnapps.errors import flag


class TrainingConfig(Config):
    """The settings of data and training that every application has."""

    sections: ClassVar[dict[str, str]] = {"data": "data", "epochs": "training"}
    inherited: ClassVar[tuple[str, ...]] = ()
    """What makes a network what it is: a run that starts from another has it from there."""

    card: ClassVar[Purpose] = Purpose()
    """What a model card says of all models of the application."""

    keeps_last: ClassVar[bool] = False
    """Whether a training that never stops keeps its last weights, not those of the lowest loss."""

    data: str = "sample"
    """Name of a data set, or path of your own file or folder."""
    data_dir: Path | None = None
    """Folder with the data sets that are used by name, such as those of tensorflow_datasets."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of the data to use, the same of each part: drawn at random with --seed, of a text
    the beginning, of a single series the last steps."""
    max_examples: Annotated[int | None, Field(ge=1)] = None
    """Maximum number of examples to use, over all parts. Of a text it counts characters, of several
    series the series, of a single series its time steps."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Maximum passes over the training data."""
    batch_size: Annotated[int, Field(ge=1), TuneChoice((32, 64, 128))] = 64
    """Examples per training step, in total over all replicas."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 1e-3
    """Peak learning rate of Adam."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "cosine"
    """How the learning rate decays: constant, exponential (to 1 %), cosine (to 0), or plateau,
    which lowers it whenever the validation loss stops improving."""
    warmup: Annotated[float | None, Field(ge=0, lt=1), Tune(0.0, 0.2, 0.05, by_name=True)] = None
    """Share of the training steps over which the learning rate rises from 0. By default 0.05 with
    --cell=transformer, else 0."""
    weight_decay: Annotated[float, Field(ge=0), TuneChoice((0.0, 1e-4, 1e-2))] = 0.0
    """Decoupled weight decay (AdamW); 0 for none."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Gradient clipping: maximum global norm; 0 for none."""
    ema: Annotated[float, Field(ge=0, lt=1), Tune(0.99, 0.9999, by_name=True)] = 0.0
    """Momentum of an exponential moving average of the weights, which is then evaluated and saved;
    0 for none. Try 0.999 with some thousand training steps."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Early stopping: stop after this many epochs without a lower validation loss; 0 turns it
    off."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Data type of the layers' computations; weights stay float32."""
    strategy: Literal["auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu"] = "auto"
    """Devices to train on. auto is all GPUs, or up to 8 cores of a CPU; mirrored is all devices of
    a kind, cpu and gpu a single one; multi_worker is those of several processes."""
    jit: bool = False
    """Compile the training step with XLA; batches are padded to a few fixed lengths."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Random seed of the splits, the initial weights, the order of examples and dropout."""
    init_from: str | None = None
    """Run directory of the same application to start from: its weights are copied, and its
    network's settings are used."""
    freeze: bool = False
    """Train only the layers above the recurrent ones, and leave the others as they start."""
    unfreeze_gradually: bool = False
    """Train only the top layers in the first epoch, and one more layer below in each epoch after
    that."""
    layer_rate_decay: Annotated[float, Field(gt=0, le=1), Tune(0.3, 1.0, 0.1, by_name=True)] = 1.0
    """Learning rate of each layer, as a share of that of the layer above it; 1 is the same for
    all."""

    @model_validator(mode="after")
    def _starts_somewhere(self) -> Self:
        if self.freeze and self.unfreeze_gradually:
            raise ValueError(
                "Expected --freeze or --unfreeze-gradually. Received: both, which contradict."
            )
        if (self.freeze or self.unfreeze_gradually) and not self.pretrained:
            name = "freeze" if self.freeze else "unfreeze_gradually"
            raise ValueError(f"Expected --init-from RUN with {flag(name)}. Received: none.")
        return self

    @model_validator(mode="after")
    def _falls_only(self) -> Self:
        if self.warmup and self.schedule == "plateau":
            raise ValueError(
                f"Expected no --warmup with --schedule=plateau. Received: {self.warmup}."
            )
        return self

    @property
    def keep_last(self) -> bool:
        """Whether a network keeps its last weights, whatever the validation loss says."""
        return self.keeps_last and not self.patience

    @property
    def rising(self) -> float:
        """The share of the training steps over which the learning rate rises."""
        if self.warmup is None and self.schedule != "plateau":
            return 0.05 if getattr(self, "cell", None) == TRANSFORMER else 0.0
        return self.warmup or 0.0

    @property
    def decided(self) -> dict[str, str]:
        return {} if self.init_from is None else dict.fromkeys(self.inherited, "init_from")

    @property
    def files(self) -> tuple[tuple[str, Path | str], ...]:
        run = [("init_from", self.init_from)] if self.init_from else []
        return (*super().files, ("data", self.data), *run)

    @property
    def in_updates(self) -> dict[str, Any]:
        own = {"strategy": "auto"} if self.strategy == "multi_worker" else {}  # in one process
        return {**super().in_updates, **own}

    @property
    def pretrained(self) -> bool:
        """Whether a network starts from weights that have learned something."""
        return self.init_from is not None
