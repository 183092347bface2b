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
    """Passes over the training data, at most."""
    batch_size: Annotated[int, Field(ge=1), TuneChoice((16, 32, 64))] = 32
    """Sentences per training step, over all replicas."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 3e-3
    """Adam's step size at its highest."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Epochs without a better validation loss before training stops; 0 never stops, and keeps the
    last weights: the loss rises while the tags still become better."""
    token_column: str | None = None
    """Column of the token, in your own file: a name, or a number from 1; by default the first, or
    CoNLL-U's form."""
    tag_column: str | None = None
    """Column of the tag: a name, or a number from 1; by default the last, or CoNLL-U's upos."""
    sentence_column: str | None = None
    """Column that says which sentence a token is of, for a table with a token a row."""
    text_column: str = "text"
    """Column of the text, in tables of texts to answer and of unlabelled ones."""
    tokenizer: Literal["auto", "word", "treebank", "character"] = "auto"
    """How a raw text is cut into tokens; auto goes by the training data's: treebank has n't and 's
    apart and numbers whole, character is for scripts without spaces."""
    max_tokens: Annotated[int, Field(ge=3), TuneChoice((10_000, 20_000, 50_000))] = 50_000
    """Size of the vocabulary, at most."""
    max_length: Annotated[int, Field(ge=2)] = 200
    """Tokens of a training sentence; a longer one is learned in pieces."""
    embedding_dim: Annotated[int, Field(ge=1), Tune(50, 300, step=50)] = 100
    """Width of a token's vector."""
    character_dim: Annotated[int, Field(ge=1)] = 25
    """Width of a character's vector."""
    character_units: Annotated[int, Field(ge=0), Tune(25, 100, step=25)] = 25
    """Units of the recurrent network over a token's characters, in each direction; 0 for none."""
    affix_dim: Annotated[int, Field(ge=0)] = 25
    """Width of the vectors of a token's shape and its first and last 1 to 4 characters; 0 for
    none."""
    pair_dim: Annotated[int | None, Field(ge=0)] = None
    """Width of the vector of a token and its neighbour together; 0 for none; by default 50 where
    tokens are characters, else 0."""
    cell: StepBodyCell = "lstm"
    """The recurrent cell, or transformer, beside which an LSTM reads the characters."""
    units: Annotated[int, Field(ge=1), Tune(50, 300, step=50)] = 128
    """Units of the cell, in each direction."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Recurrent layers, one on the other."""
    bidirectional: bool = True
    """Read the sentence in both directions."""
    block: Block = "plain"
    """What stands around each recurrent layer; pre_norm, for deep networks: normalisation
    before it, a gate, a feed-forward layer and residual connections."""
    output: Literal["crf", "softmax"] = "crf"
    """Choose the tags of a sentence together (crf), or each by itself."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Share of units dropped: of embeddings, between layers, and before the last one."""
    word_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Share of the words seen once that training reads as unknown, so that their characters are
    learned from; of those seen n times, about an nth of it."""

    @property
    def reach(self) -> tuple[str, int]:
        return "max_length", self.max_length


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Finds the names in texts, or tags their tokens."""

    row_options: ClassVar[tuple[str, ...]] = ("tokens",)
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """The texts; without any, the lines of standard input."""
    tokens: bool = False
    """Take texts that are tokenised already, with spaces between tokens."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measures a run on its test part, with baselines trained on the same data beside it."""


CONFIG = TaggingConfig
