"""The settings of a character generator. Imports no TensorFlow."""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tyro.conf import Positional

from rnnapps.config import (
    TRANSFORMER,
    Block,
    BodyCell,
    GenerationOptions,
    Purpose,
    TextOptions,
    TextTransformerOptions,
    TrainingConfig,
    Tune,
    TuneChoice,
    VectorOptions,
    check_block,
)

WINDOW = 128  # tokens, of a text that is long enough


class CharGenConfig(TextTransformerOptions, VectorOptions, TextOptions, TrainingConfig):
    """The settings of a character generator."""

    renamed: ClassVar = {"unit": "tokenizer"}
    sections: ClassVar = {
        **TrainingConfig.sections,
        **VectorOptions.sections,
        **TextTransformerOptions.sections,
        "encoding": "data",
        "glob": "data",
        "window": "training",
        "embedding_dim": "model",
    }
    card: ClassVar = Purpose(
        does="It goes on with a text, a token at a time: a recurrent language model, with a "
        "model of n-grams beside it.",
        use="For more text in the manner of what it learned from, and for how likely a text "
        "is. What it writes is not to be taken for facts.",
        factors="The prompt, the temperature, top-k and top-p; how like the training text the "
        "prompt is.",
        limits="It may write passages of its training text to the letter, and nonsense that "
        "reads well.",
        ethics="Whose text it learned from is whose manner it has: mind their rights, and say "
        "that a program wrote what it wrote.",
    )
    inherited: ClassVar = (
        "tokenizer", "embedding_dim", "tied", "cell", "units", "layers", "residual",
        "normalization", "block", "heads", "positions", "learned_positions",
    )  # fmt: skip

    epochs: Annotated[int, Field(ge=0)] = 0
    """Maximum passes over the training text; 0 is 20, or 10 for a long text."""
    batch_size: Annotated[int, Field(ge=0), TuneChoice((0, 16, 32, 64))] = 0
    """Streams of text that are read in parallel, in total over all replicas; 0 is 32, or fewer for
    a short text."""
    learning_rate: Annotated[float, Field(gt=0), Tune(5e-4, 1e-2, sampling="log")] = 3e-3
    """Peak learning rate of Adam."""
    weight_decay: Annotated[float, Field(ge=0), TuneChoice((0.0, 1e-3, 1e-2, 1e-1))] = 1e-2
    """Decoupled weight decay (AdamW); 0 for none."""
    glob: str = "*.txt"
    """Pattern of the files to read in a folder, at any depth."""
    errors: Literal["strict", "replace"] = "strict"
    """What to do with bytes that cannot be decoded: refuse the file (strict), or read them as
    U+FFFD (replace)."""
    newlines: Literal["normalize", "keep"] = "normalize"
    r"""Convert all line ends to \n (normalize), or keep \r\n (keep). With --tokenizer=byte they are
    kept."""
    tokenizer: Literal["character", "byte", "word"] = "character"
    """How text is split into tokens; a word includes the space before it."""
    max_tokens: Annotated[int, Field(ge=3)] = 30_000
    """Maximum vocabulary size; bytes need 258."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """Characters or words that occur less often in training are unknown, and are never
    generated."""
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Share of the text, after the training part, on which the best weights are chosen; 0 keeps the
    last weights."""
    window: Annotated[int, Field(ge=0), TuneChoice((0, 64, 128, 256))] = 0
    """Tokens of truncated backpropagation through time; the state is carried on beyond them. 0 is
    128, or fewer for a short text. In a transformer, how many tokens back each layer sees; 0 is
    128."""
    embedding_dim: Annotated[int, Field(ge=0), TuneChoice((0, 64, 128, 256))] = 64
    """Size of the token embeddings; 0 uses one-hot vectors."""
    tied: bool = False
    """Weight tying: use the embedding matrix as the output layer, too."""
    cell: BodyCell = "lstm"
    """Recurrent cell, or transformer."""
    units: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Units per layer."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 2
    """Number of layers."""
    residual: bool = False
    """Residual connections: add each layer's input to its output, where the sizes match."""
    normalization: Literal["none", "layer"] = "none"
    """Normalization after each recurrent layer."""
    block: Block = "plain"
    """Structure around each recurrent layer: plain, or pre_norm for deep networks (normalization
    before it, a gate, a feed-forward layer and residual connections)."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.2
    """Dropout rate of the layers' outputs."""
    embedding_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of the embeddings."""
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.4, step=0.1)] = 0.0
    """Dropout rate of the recurrent state, with one mask for all steps (variational dropout)."""

    ngrams: Annotated[int, Field(ge=0, le=10), TuneChoice((0, 5, 6, 7))] = 6
    """Maximum n-gram length of the Kneser-Ney model that is combined with the network; 0 for
    none."""

    @property
    def reach(self) -> tuple[str, int]:
        return "window", self.window or WINDOW

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        check_block(self)
        if self.tied and not self.embedding_dim:
            raise ValueError("Expected --embedding-dim to be at least 1 with --tied. Received: 0.")
        if self.cell == TRANSFORMER and not self.embedding_dim:
            raise ValueError(
                "Expected --embedding-dim to be at least 1 with --cell=transformer. Received: 0."
            )
        return self


@dataclasses.dataclass(frozen=True)
class PredictOptions(GenerationOptions):
    """Generates text from prompts, or scores the lines of a file."""

    row_options: ClassVar[tuple[str, ...]] = (
        "length", "temperature", "top_k", "top_p", "repetition_penalty", "stop", "seed",
    )  # fmt: skip
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """Prompts; without any, the lines of standard input."""
    stop: tuple[str, ...] = ()
    r"""Stop after one of these texts; $'\n' is a line end."""
    beam_width: int = 1
    """Above 1, search for the most likely text with this beam width instead of sampling."""
    score: Path | None = None
    """Print the bits per character of each line of this file instead."""

    @property
    def threads(self) -> int | None:
        """Threads of an operation: a step of a few texts is too small to be shared by several."""
        return 1 if self.score is None and 0 < len(self.text) < 8 else None


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Evaluates a run on its test part, next to an n-gram model and compressors."""

    context: int = 256
    """Also evaluate windows of this many tokens, each without the text before it."""


CONFIG = CharGenConfig
