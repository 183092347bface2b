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
    """A data set's name, or the path of your own file or folder."""
    data_dir: Path | None = None
    """Where tensorflow_datasets keeps prepared data."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the data to take, drawn by the seed, and the same of each part; of a text and of a
    single series what stands together."""
    max_examples: Annotated[int | None, Field(ge=1)] = None
    """Examples to take, at most, of all parts together; of a text characters, of several series
    series, of one its steps."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training data, at most."""
    batch_size: Annotated[int, Field(ge=1), TuneChoice((32, 64, 128))] = 64
    """Examples per training step, over all replicas."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 1e-3
    """Adam's step size at its highest."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "cosine"
    """How the learning rate falls: not at all; to 1 %; along a cosine to 0; or, with plateau, each
    time that the validation loss stands still."""
    warmup: Annotated[float | None, Field(ge=0, lt=1), Tune(0.0, 0.2, 0.05, by_name=True)] = None
    """Share of the training steps over which the learning rate rises from 0; by default 0.05 with
    --cell=transformer, else none."""
    weight_decay: Annotated[float, Field(ge=0), TuneChoice((0.0, 1e-4, 1e-2))] = 0.0
    """Decoupled weight decay (AdamW)."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Largest global norm of the gradients; 0 does not clip."""
    ema: Annotated[float, Field(ge=0, lt=1), Tune(0.99, 0.9999, by_name=True)] = 0.0
    """Momentum of a moving average of the weights over the training steps, which is then what is
    measured and kept: 0.999 is a good one of some thousand steps; 0 for none."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Epochs without a better validation loss before training stops; 0 never stops."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Arithmetic of the layers; weights stay float32."""
    strategy: Literal["auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu"] = "auto"
    """Devices to train on; `multi_worker`: those of several processes, on one machine or more."""
    jit: bool = False
    """Compile the training step with XLA, on batches of a few fixed lengths."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the splits, the weights, the order of examples and dropout."""
    init_from: str | None = None
    """A run of this application whose weights to start from, and whose network's settings hold."""
    freeze: bool = False
    """Train the layers above the recurrent ones alone, and leave the others as they start."""
    unfreeze_gradually: bool = False
    """Train the top layers alone in the first epoch, and those below from one epoch more each."""
    layer_rate_decay: Annotated[float, Field(gt=0, le=1), Tune(0.3, 1.0, 0.1, by_name=True)] = 1.0
    """Learning rate of a layer, as a share of that of the layer above it."""

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
