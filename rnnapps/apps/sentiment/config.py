"""The settings of a sentiment classifier. Imports no TensorFlow."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tyro.conf import Positional

from rnnapps.config import (
    Block,
    BodyCell,
    EnsembleOptions,
    PretrainingOptions,
    Purpose,
    TableOptions,
    TextTransformerOptions,
    TrainingConfig,
    Tune,
    TuneChoice,
    VectorOptions,
    check_block,
)


class SentimentConfig(
    EnsembleOptions,
    TextTransformerOptions,
    VectorOptions,
    PretrainingOptions,
    TableOptions,
    TrainingConfig,
):
    """The settings of a sentiment classifier."""

    sections: ClassVar = {
        **TrainingConfig.sections,
        **VectorOptions.sections,
        **TextTransformerOptions.sections,
        **PretrainingOptions.sections,
        "encoding": "tables",
        "text_column": "data",
        "embedding_dim": "model",
    }
    card: ClassVar = Purpose(
        does="It sorts texts into classes: a recurrent network, with a linear classifier of "
        "n-grams beside it, that learned from labelled texts.",
        use="For texts like those that it learned from, in their language. It is not for "
        "other languages or kinds of text, nor to decide on persons by itself.",
        factors="The kind of text, its length, its language and how rare its class is; the "
        "table by class shows the last.",
        limits="Irony, quotations and words that were never seen mislead it. Probabilities are "
        "as calibrated as the calibration error says, on data like the test part only.",
        ethics="It repeats what its labels say, prejudices too. Look at the most confident "
        "mistakes before its answers have consequences.",
    )
    inherited: ClassVar = (
        "tokenizer", "embedding_dim", "cell", "units", "layers", "bidirectional", "residual",
        "normalization", "block", "heads", "positions", "learned_positions",
    )  # fmt: skip

    keeps_last: ClassVar = True

    epochs: Annotated[int, Field(ge=1)] = 5
    """Maximum passes over the training data."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 2e-3
    """Peak learning rate of Adam."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Early stopping: stop after this many epochs without a lower validation loss; 0 turns it off,
    and keeps the last weights, as the validation loss often rises while accuracy still improves
    (probabilities are scaled afterwards)."""
    text_column: str = "text"
    """Column of the text in your file."""
    label_column: str = "label"
    """Column of the label in your file."""
    tokenizer: Literal["auto", "word", "character", "subword"] = "auto"
    """How text is split into tokens; auto is characters for scripts without spaces, else words."""
    max_tokens: Annotated[int, Field(ge=3), TuneChoice((10_000, 20_000, 30_000))] = 30_000
    """Maximum vocabulary size."""
    max_length: Annotated[int, Field(ge=2), TuneChoice((200, 400, 800))] = 400
    """Maximum number of tokens that the network reads of a text; the middle of longer ones is
    dropped."""
    embedding_dim: Annotated[int, Field(ge=1), Tune(32, 256, step=32)] = 128
    """Size of the token embeddings."""
    cell: BodyCell = "gru"
    """Recurrent cell, or transformer."""
    units: Annotated[int, Field(ge=1), Tune(32, 256, step=32)] = 128
    """Units per layer, in each direction."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Number of layers."""
    bidirectional: bool = True
    """Read the input in both directions."""
    residual: bool = False
    """Residual connections: add each layer's input to its output, where the sizes match."""
    normalization: Literal["none", "layer", "batch"] = "none"
    """Normalization after each recurrent layer."""
    block: Block = "plain"
    """Structure around each recurrent layer: plain, or pre_norm for deep networks (normalization
    before it, a gate, a feed-forward layer and residual connections)."""
    pooling: Literal["last", "max", "mean", "max_mean", "attention"] = "max_mean"
    """How the states at all tokens are combined into one vector; attention_lstm always uses
    attention."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.3
    """Dropout rate of the embeddings, between layers, and before the output layer."""
    embedding_dropout: Annotated[float | None, Field(ge=0, lt=1)] = None
    """Dropout rate of the embeddings. By default that of --dropout."""
    word_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.4, step=0.1)] = 0.1
    """Word dropout: share of the words that are hidden from the network in training."""
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of the recurrent state, with one mask for all steps (variational dropout)."""
    weight_drop: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, 0.1, by_name=True)] = 0.0
    """DropConnect: share of the recurrent weights that are dropped, the same ones at all steps."""
    ngrams: Annotated[int | None, Field(ge=0, le=4), TuneChoice((0, 2, 3))] = None
    """Maximum n-gram length of the linear classifier that is combined with the network; 0 for none.
    By default 3, or 2 if tokens are characters."""
    crops: Annotated[float, Field(ge=0, le=1), Tune(0.0, 1.0, 0.25, by_name=True)] = 0.0
    """Share of the training texts of which each epoch also has an excerpt of a few sentences or
    words."""
    adversarial: Annotated[float, Field(ge=0), TuneChoice((0.0, 1.0, 2.0, 5.0), by_name=True)] = 0.0
    """Adversarial training: length of the perturbation of the normalized embeddings; 0 for none.
    Try 2; training takes three times as long."""

    self_training: Annotated[int, Field(ge=0, le=10)] = 0
    """Rounds of self-training, for few labels: n-grams, and the network itself if it starts from a
    language model, label the --unlabelled texts for a network to learn from. Try 2 with --epochs 1,
    and --init-from a language model."""

    @property
    def reach(self) -> tuple[str, int]:
        return "max_length", self.max_length

    @property
    def in_updates(self) -> dict[str, Any]:
        return {**super().in_updates, "self_training": 0}

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        check_block(self)
        if self.cell == "attention_lstm" and self.pooling not in ("attention", "max_mean"):
            raise ValueError(
                f"Expected --pooling=attention with --cell=attention_lstm, which attends by "
                f"itself. Received: {self.pooling!r}."
            )
        if self.weight_drop and self.cell in ("simple_rnn", "mingru"):
            raise ValueError(
                "Expected a --cell with recurrent weights, and of rnnapps itself, with "
                f"--weight-drop, such as 'lstm'. Received: {self.cell!r}."
            )
        return self

    @model_validator(mode="after")
    def _can_be_taught(self) -> Self:
        if not self.self_training:
            return self
        if not self.unlabelled:
            raise ValueError("Expected --unlabelled FILES with --self-training. Received: none.")
        if self.ngrams == 0:
            raise ValueError(
                "Expected --ngrams of at least 1 with --self-training, which n-grams begin. "
                "Received: 0."
            )
        if self.adversarial:
            raise ValueError(
                "Expected --self-training, whose labels are probabilities, or --adversarial, which "
                f"needs classes. Received: both, {self.adversarial!r}."
            )
        return self


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Classifies texts."""

    row_options: ClassVar[tuple[str, ...]] = ()
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """Texts; without any, the lines of standard input."""
    explain: bool = False
    """Print the weight of each word; the network must have attention."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Evaluates a run on its test part, next to baselines trained on the same data."""


CONFIG = SentimentConfig
