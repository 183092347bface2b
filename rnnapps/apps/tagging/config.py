"""The settings of a tagger. Imports no TensorFlow."""

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from tyro.conf import Positional

from rnnapps.config import (
    Block,
    EnsembleOptions,
    PretrainingOptions,
    Purpose,
    StepBodyCell,
    TableOptions,
    TextTransformerOptions,
    TrainingConfig,
    Tune,
    TuneChoice,
    VectorOptions,
)


class TaggingConfig(
    EnsembleOptions,
    VectorOptions,
    TextTransformerOptions,
    PretrainingOptions,
    TableOptions,
    TrainingConfig,
):
    """The settings of a tagger."""

    sections: ClassVar = {
        **TrainingConfig.sections,
        **VectorOptions.sections,
        **TextTransformerOptions.sections,
        **PretrainingOptions.sections,
        "encoding": "tables",
        "token_column": "data",
        "embedding_dim": "model",
    }
    card: ClassVar = Purpose(
        does="It finds spans in texts, such as names, or gives each token a tag: a recurrent "
        "network over words and their characters, with a conditional random field.",
        use="For texts like those that it learned from, in their language. It is not proof "
        "that nothing was missed, as in removing names for privacy, without a person "
        "who checks.",
        factors="The kind of text, and names that were never seen; the table by type shows how "
        "rare ones fare.",
        limits="Texts without capitals, of another domain or with other kinds of names are "
        "tagged worse than the test part says.",
        ethics="Names of some origins may be found less often than others: measure it on "
        "yours. Finding persons in texts is subject to their rights.",
    )
    inherited: ClassVar = (
        "tokenizer", "embedding_dim", "character_dim", "character_units", "affix_dim", "pair_dim",
        "cell", "units", "layers", "bidirectional", "block", "heads", "positions",
        "learned_positions",
    )  # fmt: skip

    keeps_last: ClassVar = True

    epochs: Annotated[int, Field(ge=1)] = 20
    """Maximum passes over the training data."""
    batch_size: Annotated[int, Field(ge=1), TuneChoice((16, 32, 64))] = 32
    """Examples per training step, in total over all replicas."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 3e-3
    """Peak learning rate of Adam."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Early stopping: stop after this many epochs without a lower validation loss; 0 turns it off,
    and keeps the last weights, as the validation loss often rises while the tags still improve."""
    token_column: str | None = None
    """Column of the token in your file: a name, or a number from 1. By default the first, or
    CoNLL-U's form."""
    tag_column: str | None = None
    """Column of the tag in your file: a name, or a number from 1. By default the last, or CoNLL-U's
    upos."""
    sentence_column: str | None = None
    """Column with the sentence of each token, in a table with a token per row."""
    text_column: str = "text"
    """Column of the text, in tables to predict for and in tables of unlabelled texts."""
    tokenizer: Literal["auto", "word", "treebank", "character"] = "auto"
    """How raw text is split into tokens; auto follows the training data. treebank splits off n't
    and 's and keeps numbers whole; character is for scripts without spaces."""
    max_tokens: Annotated[int, Field(ge=3), TuneChoice((10_000, 20_000, 50_000))] = 50_000
    """Maximum vocabulary size."""
    max_length: Annotated[int, Field(ge=2)] = 200
    """Maximum number of tokens of a training sentence; longer ones are split."""
    embedding_dim: Annotated[int, Field(ge=1), Tune(50, 300, step=50)] = 100
    """Size of the token embeddings."""
    character_dim: Annotated[int, Field(ge=1)] = 25
    """Size of the character embeddings."""
    character_units: Annotated[int, Field(ge=0), Tune(25, 100, step=25)] = 25
    """Units of the recurrent network over a token's characters, in each direction; 0 for none."""
    affix_dim: Annotated[int, Field(ge=0)] = 25
    """Size of the embeddings of a token's shape and of its first and last 1 to 4 characters; 0 for
    none."""
    pair_dim: Annotated[int | None, Field(ge=0)] = None
    """Size of the embeddings of pairs of neighbouring tokens; 0 for none. By default 50 if tokens
    are characters, else 0."""
    cell: StepBodyCell = "lstm"
    """Recurrent cell, or transformer; with transformer, an LSTM reads the characters."""
    units: Annotated[int, Field(ge=1), Tune(50, 300, step=50)] = 128
    """Units per layer, in each direction."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Number of layers."""
    bidirectional: bool = True
    """Read the input in both directions."""
    block: Block = "plain"
    """Structure around each recurrent layer: plain, or pre_norm for deep networks (normalization
    before it, a gate, a feed-forward layer and residual connections)."""
    output: Literal["crf", "softmax"] = "crf"
    """Predict the tags of a sentence jointly (crf), or each by itself (softmax)."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Dropout rate of the embeddings, between layers, and before the output layer."""
    word_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Word dropout: share of the words that occur once that training replaces by the unknown token,
    so that the network learns from their characters. Of words that occur n times it is about an nth
    of that."""

    @property
    def reach(self) -> tuple[str, int]:
        return "max_length", self.max_length


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Finds spans such as names in texts, or tags their tokens."""

    row_options: ClassVar[tuple[str, ...]] = ("tokens",)
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """Texts; without any, the lines of standard input."""
    tokens: bool = False
    """The texts are already tokenized, with spaces between tokens."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Evaluates a run on its test part, next to baselines trained on the same data."""


CONFIG = TaggingConfig
