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
    """Passes over the training text, at most; 0: 20, or 10 over a long text."""
    batch_size: Annotated[int, Field(ge=0), TuneChoice((0, 16, 32, 64))] = 0
    """Streams of text that are read side by side, over all replicas; 0: 32, or fewer of a short
    text."""
    learning_rate: Annotated[float, Field(gt=0), Tune(5e-4, 1e-2, sampling="log")] = 3e-3
    """Adam's step size at its highest."""
    weight_decay: Annotated[float, Field(ge=0), TuneChoice((0.0, 1e-3, 1e-2, 1e-1))] = 1e-2
    """Decoupled weight decay (AdamW)."""
    glob: str = "*.txt"
    """Which files of a folder are read, at any depth."""
    errors: Literal["strict", "replace"] = "strict"
    """What to do with bytes that are not UTF-8: refuse the file, or read them as U+FFFD."""
    newlines: Literal["normalize", "keep"] = "normalize"
    r"""Make \n of each end of a line, or keep \r\n; bytes are kept."""
    tokenizer: Literal["character", "byte", "word"] = "character"
    """What a token is; words take the space before them along."""
    max_tokens: Annotated[int, Field(ge=3)] = 30_000
    """Size of the vocabulary, at most; bytes need 258."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """A character or word seen less often in training is unknown, and never written."""
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Share of the text, behind the training part, that chooses the weights; 0: the last ones."""
    window: Annotated[int, Field(ge=0), TuneChoice((0, 64, 128, 256))] = 0
    """Tokens through which errors are propagated back; the state is carried on beyond them. 0: 128,
    or fewer of a short text. A layer of a transformer sees so many tokens back, 0: 128."""
    embedding_dim: Annotated[int, Field(ge=0), TuneChoice((0, 64, 128, 256))] = 64
    """Width of a token's vector; 0 feeds one-hot vectors."""
    tied: bool = False
    """Use the embedding as the output layer, too."""
    cell: BodyCell = "lstm"
    """The recurrent cell, or transformer."""
    units: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Units of each layer."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 2
    """Recurrent layers, one on the other."""
    residual: bool = False
    """Add each layer's input to its output, where their widths agree."""
    normalization: Literal["none", "layer"] = "none"
    """Normalisation after each recurrent layer."""
    block: Block = "plain"
    """What stands around each recurrent layer; pre_norm, for deep networks: normalisation
    before it, a gate, a feed-forward layer and residual connections."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.2
    """Share of units dropped: of the layers' outputs."""
    embedding_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the embeddings' features dropped."""
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.4, step=0.1)] = 0.0
    """Share of the state's units dropped, the same ones at each step of a window (variational)."""

    ngrams: Annotated[int, Field(ge=0, le=10), TuneChoice((0, 5, 6, 7))] = 6
    """Longest n-gram of the Kneser-Ney model that is mixed with the network; 0 leaves it out."""

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
    """Writes on from prompts, or scores the lines of a file."""

    row_options: ClassVar[tuple[str, ...]] = (
        "length", "temperature", "top_k", "top_p", "repetition_penalty", "stop", "seed",
    )  # fmt: skip
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """The prompts; without any, the lines of standard input."""
    stop: tuple[str, ...] = ()
    """Texts behind which to stop; $'\\n' is the end of a line."""
    beam_width: int = 1
    """Over 1, search for the likeliest text with this many beams instead of sampling."""
    score: Path | None = None
    """Give the bits per character of each line of this file instead."""

    @property
    def threads(self) -> int | None:
        """Threads of an operation: a step of a few texts is too small to be shared by several."""
        return 1 if self.score is None and 0 < len(self.text) < 8 else None


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measures a run on its test part, with an n-gram model and compressors beside it."""

    context: int = 256
    """Also measure windows of so many tokens, each read without what stands before it."""


CONFIG = CharGenConfig
