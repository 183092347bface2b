"""The settings of a translator. Imports no TensorFlow."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tyro.conf import Positional

from rnnapps.config import (
    Block,
    Purpose,
    StepBodyCell,
    TableOptions,
    TextTransformerOptions,
    TrainingConfig,
    Tune,
    TuneChoice,
    VectorOptions,
)
from rnnapps.errors import ConfigError, flag


class TranslationConfig(TextTransformerOptions, VectorOptions, TableOptions, TrainingConfig):
    """The settings of a translator."""

    of_recurrent_layers: ClassVar = {
        **TextTransformerOptions.of_recurrent_layers,
        "decoder": "attention", "score": "additive", "input_feeding": False,
    }  # fmt: skip

    sections: ClassVar = {
        **TrainingConfig.sections,
        **VectorOptions.sections,
        **TextTransformerOptions.sections,
        "encoding": "tables",
        "target_data": "data",
        "target_vectors": "model",
        "dropout": "training",
        "beam_width": "decoding",
    }
    card: ClassVar = Purpose(
        does="It translates sentences: an encoder, and a decoder with attention "
        "over what was read, searched by a beam.",
        use="For sentences like those that it learned from, to be read by a person who can "
        "check. It is not for texts where a wrong word does harm: law, medicine, "
        "safety.",
        factors="The length of a sentence, how rare its words are, and its subject; BLEU by "
        "length shows the first.",
        limits="Sentences are translated one by one, without what stands around them. Names "
        "and numbers can come out wrong, and a translation that reads well can be "
        "wrong.",
        ethics="It repeats what its pairs have, such as the gender of professions.",
    )
    inherited: ClassVar = (
        "tokenizer", "vocabulary", "lowercase", "embedding_dim", "cell", "units", "layers",
        "block", "decoder", "score", "input_feeding", "tied", "heads", "positions",
        "learned_positions",
    )  # fmt: skip

    data: str = "sample"
    """sample, multi30k, ted_hrlr_translate, or your own file: lines with a tab between text and
    translation, a table, or a translation memory (.tmx)."""
    target_data: Path | None = None
    """File with the translations, line by line, if --data has only the texts."""
    source_column: str | None = None
    """Column of the text in your file: a name, or a number from 1."""
    target_column: str | None = None
    """Column of the translation in your file: a name, or a number from 1."""
    source: str = "de"
    """Language to translate from, in data that has several."""
    target: str = "en"
    """Language to translate to, in data that has several."""
    epochs: Annotated[int, Field(ge=1)] = 20
    """Maximum passes over the training data."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 2e-3
    """Peak learning rate of Adam."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Early stopping: stop after this many epochs without a lower validation loss; 0 turns it
    off."""
    max_length: Annotated[int, Field(ge=2)] = 100
    """Maximum number of tokens of a text: longer training pairs are left out, longer texts are cut
    off. It is also how many tokens back a transformer's decoder sees."""
    max_ratio: Annotated[float, Field(ge=1)] = 9.0
    """Leave out pairs of which one side has more than this many times the tokens of the other."""
    tokenizer: Literal["unigram", "bpe", "word", "character"] = "unigram"
    """How text is split into tokens: subwords (unigram or bpe, of SentencePiece), words or
    characters."""
    vocabulary: Literal["joint", "separate"] = "joint"
    """One vocabulary for both languages (joint), or one for each (separate)."""
    max_tokens: Annotated[int, Field(ge=5), TuneChoice((2_000, 4_000, 8_000))] = 4_000
    """Maximum vocabulary size."""
    lowercase: bool = True
    """Convert texts and translations to lower case."""
    target_vectors: Path | None = None
    """File of pretrained word vectors of the target language; --vectors are of the source
    language."""
    embedding_dim: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Size of the token embeddings."""
    cell: StepBodyCell = "gru"
    """Recurrent cell, or transformer."""
    units: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Units per layer, in the decoder and in each direction of the encoder; width of a
    transformer."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Number of layers of the encoder, and of a transformer's decoder."""
    block: Block = "plain"
    """Structure around each recurrent layer: plain, or pre_norm for deep networks (normalization
    before it, a gate, a feed-forward layer and residual connections)."""
    decoder: Literal["attention", "first_state", "every_step"] = "attention"
    """How the decoder sees the source text: attention over all of it, or one vector for the whole
    text, as its first state (first_state) or also as its input at every step (every_step)."""
    score: Literal["additive", "dot", "general", "scaled_dot"] = "additive"
    """Attention score: additive (Bahdanau), or a multiplicative one (Luong)."""
    input_feeding: bool = False
    """Input feeding: each step of a decoder with attention also reads the last attention output;
    slower."""
    tied: bool = True
    """Weight tying: use the decoder's embedding matrix as the output layer, too."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.3
    """Dropout rate of the embeddings."""
    hidden_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.3
    """Dropout rate of the encoder's layers and output, and before the output layer."""
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of the recurrent state, with one mask for all steps (variational dropout)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1), TuneChoice((0.0, 0.1, 0.2))] = 0.1
    """Label smoothing: share of each target's probability that is spread evenly over all tokens."""
    average: Annotated[int, Field(ge=1)] = 5
    """Average the weights of this many last epochs, if that is better than the best epoch."""
    beam_width: Annotated[int, Field(ge=1)] = 5
    """Beam width of the search; 1 is greedy."""
    length_penalty: Annotated[float, Field(ge=0), Tune(0.0, 2.0)] = 1.0
    """GNMT's length penalty: the higher, the longer the translations; 0 for none."""
    coverage_penalty: Annotated[float, Field(ge=0), Tune(0.0, 1.0)] = 0.0
    """GNMT's coverage penalty for leaving out parts of the text; 0 for none."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """Minimum number of tokens of a translation."""

    @property
    def reach(self) -> tuple[str, int]:
        return "max_length", self.max_length

    @property
    def files(self) -> tuple[tuple[str, Path | str], ...]:
        other = [("target_data", self.target_data)] if self.target_data else []
        return (*super().files, *other)

    @property
    def in_updates(self) -> dict[str, Any]:
        return {**super().in_updates, "target_data": None}  # new pairs are in one file

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.input_feeding and self.decoder != "attention":
            raise ValueError(
                f"Expected --decoder=attention with --input-feeding. Received: {self.decoder!r}."
            )
        if self.source == self.target:
            raise ValueError(
                f"Expected --source and --target to differ. Received: {self.source!r} for both."
            )
        if self.vector_files and self.vocabulary == "joint":
            raise ValueError(
                f"Expected --vocabulary=separate with {flag(min(self.vector_files))}, which are of "
                "one language. Received: 'joint'."
            )
        return self


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Translates texts."""

    row_options: ClassVar[tuple[str, ...]] = (
        "beam_width",
        "length_penalty",
        "coverage_penalty",
        "min_length",
    )
    """Those that a table's answers take, too."""

    text: Positional[tuple[str, ...]] = ()
    """Texts; without any, the lines of standard input."""
    n_best: int = 1
    """Number of translations to print for each text, best first."""
    beam_width: int | None = None
    """Beam width of the search; 1 is greedy. By default the run's, and at least --n-best."""
    length_penalty: float | None = None
    """GNMT's length penalty: the higher, the longer the translations; 0 for none. By default the
    run's."""
    coverage_penalty: float | None = None
    """GNMT's coverage penalty for leaving out parts of the text; 0 for none. By default the
    run's."""
    min_length: int | None = None
    """Minimum number of tokens of a translation. By default the run's."""
    sample: bool = False
    """Sample the translations instead of searching for the most likely ones."""
    temperature: float = 1.0
    """Sampling temperature, with --sample: below 1 more conservative, above 1 more random."""
    seed: int = 0
    """Random seed, with --sample."""
    score: bool = False
    """Print the log-probability of given translations; each text is `source TAB translation`."""
    align: bool = False
    """Print for each token of the translation the token of the text that it attended to most."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Evaluates a run on its test part, next to a baseline trained on the same data."""


def check_search(n_best: int, search: dict[str, Any]) -> None:
    """Refuses a search whose numbers are out of their range.

    Args:
        n_best: Translations to return.
        search: The options of the search by name; what is `None` is the run's.

    Raises:
        ConfigError: If a number is out of its range.
    """
    least = {
        "n_best": 1,
        "beam_width": 1,
        "length_penalty": 0,
        "coverage_penalty": 0,
        "min_length": 0,
    }
    for name, value in {"n_best": n_best, **search}.items():
        if value is not None and not least[name] <= value < math.inf:
            raise ConfigError(
                f"Expected {flag(name)} to be at least {least[name]}. Received: {value}."
            )
    width = search.get("beam_width")
    if width is not None and n_best > width:
        raise ConfigError(
            f"Expected --n-best to be at most the --beam-width of {width}. Received: {n_best}."
        )


CONFIG = TranslationConfig
