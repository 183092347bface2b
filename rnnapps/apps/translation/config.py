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
    """sample, multi30k, ted_hrlr_translate, or your own file: lines with a tab between the two, a
    table, or a translation memory (.tmx)."""
    target_data: Path | None = None
    """The file of the translations, line by line, where --data is that of the texts alone."""
    source_column: str | None = None
    """Column of the texts, in your own file; its name, or its number from 1."""
    target_column: str | None = None
    """Column of the translations, in your own file."""
    source: str = "de"
    """Language to translate from, in data that has several."""
    target: str = "en"
    """Language to translate to, in data that has several."""
    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training data, at most."""
    learning_rate: Annotated[float, Field(gt=0), Tune(1e-4, 1e-2, sampling="log")] = 2e-3
    """Adam's step size at its highest."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without a better validation loss before training stops; 0 never stops."""
    max_length: Annotated[int, Field(ge=2)] = 100
    """Tokens of a text, at most: longer pairs are left out, and longer texts cut off. A transformer
    looks so many tokens back at what it has written."""
    max_ratio: Annotated[float, Field(ge=1)] = 9.0
    """Pairs are left out whose one side has more than so many times the tokens of the other."""
    tokenizer: Literal["unigram", "bpe", "word", "character"] = "unigram"
    """What a token is: a piece of a word (SentencePiece, of either kind), a word or a character."""
    vocabulary: Literal["joint", "separate"] = "joint"
    """One vocabulary for both sides, or one for each."""
    max_tokens: Annotated[int, Field(ge=5), TuneChoice((2_000, 4_000, 8_000))] = 4_000
    """Size of a vocabulary, at most."""
    lowercase: bool = True
    """Read and write lower case only."""
    target_vectors: Path | None = None
    """Word vectors of the translations' language, where --vectors are of the texts'."""
    embedding_dim: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Width of a token's vector."""
    cell: StepBodyCell = "gru"
    """The recurrent cell, or transformer."""
    units: Annotated[int, Field(ge=1), Tune(128, 512, step=64)] = 256
    """Units of the cell, in the decoder and in each direction of the encoder; a transformer's
    width."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Recurrent layers of the encoder; of a transformer's encoder and decoder each."""
    block: Block = "plain"
    """What stands around each layer of the encoder; pre_norm, for deep networks: normalisation
    before it, a gate, a feed-forward layer and residual connections."""
    decoder: Literal["attention", "first_state", "every_step"] = "attention"
    """How the decoder sees the text: it attends to all of it, or one vector that stands for the
    whole is its first state, or is that and its input at every step."""
    score: Literal["additive", "dot", "general", "scaled_dot"] = "additive"
    """The score of attention: Bahdanau's (additive) or one of Luong's."""
    input_feeding: bool = False
    """Let each step of an attending decoder see what it attended to before; slower."""
    tied: bool = True
    """Use the embedding of the decoder's tokens as its output layer, too."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.3
    """Share of embeddings' features dropped."""
    hidden_dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.3
    """Share of units dropped of what is attended to, and before the output layer."""
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the recurrent state's units dropped at each step."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1), TuneChoice((0.0, 0.1, 0.2))] = 0.1
    """Share of each target's probability that goes to all tokens alike."""
    average: Annotated[int, Field(ge=1)] = 5
    """Epochs, up to the last, whose weights are averaged, where that is better than the best's."""
    beam_width: Annotated[int, Field(ge=1)] = 5
    """Translations that the search follows at a time; 1 is greedy."""
    length_penalty: Annotated[float, Field(ge=0), Tune(0.0, 2.0)] = 1.0
    """GNMT's penalty of short translations; 0 for none."""
    coverage_penalty: Annotated[float, Field(ge=0), Tune(0.0, 1.0)] = 0.0
    """GNMT's penalty of leaving a part of the text out; 0 for none."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """Tokens of a translation, at least."""

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
    """The texts; without any, the lines of standard input."""
    n_best: int = 1
    """Translations to print of each text, best first."""
    beam_width: int | None = None
    """Translations that the search follows at a time; by default the run's, and at least n-best."""
    length_penalty: float | None = None
    """By default the run's."""
    coverage_penalty: float | None = None
    """By default the run's."""
    min_length: int | None = None
    """Tokens of a translation, at least; by default the run's."""
    sample: bool = False
    """Draw the translations instead of searching for the likeliest."""
    temperature: float = 1.0
    """With --sample: below 1 likelier tokens become likelier still."""
    seed: int = 0
    """With --sample: the seed of the draws."""
    score: bool = False
    """Print the log-probability of given translations: each text is `source TAB translation`."""
    align: bool = False
    """Print which token of the text each token of the translation attended to most."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measures a run on its test part, with the baseline trained on the same data beside it."""


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
