"""What the configurations of all applications share. Imports no TensorFlow.

A configuration is defined once. Its fields are the constructor's arguments, the command line's
flags, the keys of the TOML file and, where they carry a `Tune` range, the tuner's search space.
"""

import dataclasses
import tomllib
import warnings
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from rnnapps.errors import ConfigError, flag, nearest


@dataclasses.dataclass(frozen=True)
class Tune:
    """The range over which a numeric field is tuned.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Distance between neighbours; `None` for any value in between.
        sampling: `"linear"` or `"log"`.
        by_name: Whether it is tuned only where a search names it.
    """

    low: float
    high: float
    step: float | None = None
    sampling: Literal["linear", "log"] = "linear"
    by_name: bool = False


@dataclasses.dataclass(frozen=True)
class TuneChoice:
    """The values among which a field is tuned.

    Args:
        values: The values to choose from.
        by_name: Whether it is tuned only where a search names it.
    """

    values: tuple[Any, ...]
    by_name: bool = False


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The names that a field takes; unlike those of a `Literal`, others can be added to them.

    Args:
        names: The list to which names are added.
        but: Those of them that the field does not take.
        more: Those that it takes beside them.
    """

    names: list[str]
    but: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The names that the field takes now."""
        return (*(name for name in self.names if name not in self.but), *self.more)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, name: str) -> str:
        if name not in self.values:
            *some, last = map(repr, self.values)
            raise ValueError(f"{', '.join(some)} or {last}")
        return name


# The names of cells; `rnnapps.layers.register` adds to them.
CELLS = [
    "simple_rnn", "lstm", "gru", "mingru", "slstm", "peephole_lstm", "layer_norm_lstm",
    "attention_lstm",
]  # fmt: skip


TRANSFORMER = "transformer"  # which is no cell, and goes by a cell's name where there are layers


def _cell(but: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Any:
    """The type of a field that names a cell, any but some, or something more."""
    return Annotated[str, OneOf(CELLS, but, more)]


Cell = _cell()
BodyCell = _cell(more=(TRANSFORMER,))  # of what `rnnapps.layers.make_body` makes
# Those whose output at a step is its own: attention_lstm has one output for a whole sequence.
StepCell = _cell(but=("attention_lstm",))
StepBodyCell = _cell(but=("attention_lstm",), more=(TRANSFORMER,))
Block = Literal["plain", "pre_norm"]  # what stands around each recurrent layer


@dataclasses.dataclass(frozen=True)
class GenerationOptions:
    """How a text is written on, token by token."""

    length: int = 400
    """Tokens to write, at most."""
    temperature: float = 0.8
    """Over 1 bolder than the model, under 1 more careful."""
    top_k: int = 0
    """Choose among this many of the likeliest tokens: 1 is greedy, 0 is all."""
    top_p: float = 1.0
    """Choose among the likeliest tokens that together have this probability."""
    repetition_penalty: float = 1.0
    """Over 1, tokens that were written before become less likely."""
    seed: int = 0
    """Seed of the first text; the next ones have the next seeds."""


GENERATION = GenerationOptions()  # the defaults, wherever a text is written


class Config(BaseModel):
    """A frozen set of named values that refuses unknown names and values out of range."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    renamed: ClassVar[dict[str, str]] = {}
    """The fields' names by those that earlier versions had, which are taken with a note."""
    gone: ClassVar[tuple[str, ...]] = ()
    """Fields that a saved run may have and that meant nothing."""
    sections: ClassVar[dict[str, str]] = {}
    """The headings of `--help`: data, model or training, each by the first field under it."""

    @property
    def decided(self) -> dict[str, str]:
        """The fields that nothing can vary, each by the one that decides it."""
        return {}

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are named: paths, patterns of paths, and data sets, which are none."""
        return ()

    @property
    def vector_files(self) -> dict[str, Path]:
        """The files of word vectors that are named, each by its setting."""
        return {}

    @property
    def in_updates(self) -> dict[str, Any]:
        """What an update sets otherwise: what the weights have learned is not learned again."""
        return {}

    def __init__(self, /, **values: Any):
        for old in self.renamed.keys() & values.keys():
            said = f"{flag(old)} is now {flag(self.renamed[old])}."
            warnings.warn(said, FutureWarning, stacklevel=2)
        try:
            super().__init__(**self.renew(values))
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def renew(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Values under the fields' present names, such as those of an earlier version's run."""
        return {cls.renamed.get(name, name): value for name, value in values.items()}

    @classmethod
    def of_run(cls, values: dict[str, Any]) -> Self:
        """The configuration of a saved run, also of an earlier version's."""
        kept = cls.renew(values)
        return cls(**{name: value for name, value in kept.items() if name not in cls.gone})

    @model_validator(mode="before")
    @classmethod
    def _one_of_several(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Takes a word by itself, `target="load"`, where several may be given."""
        for name, field in cls.model_fields.items():
            if get_origin(field.annotation) is tuple and isinstance(values.get(name), str):
                values = {**values, name: (values[name],)}
        return values

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Reads a configuration from a TOML file.

        Args:
            path: The file; its keys are field names, and `application`, which a run's names too.

        Returns:
            The configuration; a field that the file leaves out has its default.

        Raises:
            ConfigError: If the file is missing or not TOML, or a key or value is not valid.
        """
        settings = read_toml(path)
        settings.pop("application", None)
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values of TOML and JSON; those that are `None` are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def differences(self, other: "Config") -> list[str]:
        """Says in which fields two configurations differ, as `name (this value, that value)`."""
        mine, theirs = self.model_dump(), other.model_dump()
        names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        names = [name for name in names if name not in other.decided]
        return [f"{name} ({mine.get(name)!r}, {theirs.get(name)!r})" for name in names]


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What a model card says of all models of an application.

    Args:
        does: What it does.
        use: What it is for, and what not.
        factors: What its answers depend on.
        limits: What to mind.
        ethics: Whom it may harm.
    """

    does: str = ""
    use: str = ""
    factors: str = ""
    limits: str = ""
    ethics: str = ""


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
    def rising(self) -> float:
        """The share of the training steps over which the learning rate rises."""
        if self.warmup is None and self.schedule != "plateau":
            return 0.05 if getattr(self, "cell", None) == TRANSFORMER else 0.0
        return self.warmup or 0.0

    @property
    def decided(self) -> dict[str, str]:
        return {} if self.init_from is None else dict.fromkeys(self.inherited, "init_from")

    @property
    def files(self) -> tuple[str, ...]:
        return (*super().files, self.data)

    @property
    def pretrained(self) -> bool:
        """Whether a network starts from weights that have learned something."""
        return self.init_from is not None


def check_block(config: Config) -> None:
    """Raises unless a block has no residual connections or normalization beside its own."""
    for name, none in (("residual", False), ("normalization", "none")):
        value = getattr(config, name, none)
        if getattr(config, "block", "plain") != "plain" and value != none:
            raise ValueError(
                f"Expected no {flag(name)} with --block=pre_norm, which has its own. "
                f"Received: {value!r}."
            )


class TransformerOptions(Config):
    """What an application whose `cell` may be a Transformer says of it."""

    of_recurrent_layers: ClassVar[dict[str, Any]] = {
        "residual": False, "block": "plain", "recurrent_dropout": 0.0, "weight_drop": 0.0,
    }  # fmt: skip
    """Settings that say nothing of a Transformer, each with the value that is none."""
    sections: ClassVar[dict[str, str]] = {"heads": "model"}
    heads: Annotated[int, Field(ge=1), TuneChoice((2, 4, 8), by_name=True)] = 4
    """Heads of each layer, with --cell=transformer."""
    positions: Literal["rotary", "sinusoidal", "learned", "none"] = "rotary"
    """How a transformer tells where steps stand: by turning what its heads compare, or by what is
    added to the steps' vectors."""

    @model_validator(mode="after")
    def _is_a_transformer(self) -> Self:
        settings = self.model_dump()
        if settings["cell"] != TRANSFORMER:
            return self
        for name, none in self.of_recurrent_layers.items():
            value = settings.get(name, none)
            if value != none:
                raise ValueError(
                    f"Expected no {flag(name)} with --cell=transformer, which is not recurrent and "
                    f"has its own normalisation, connections and attention. Received: {value!r}."
                )
        units, rotary = settings["units"], self.positions == "rotary"
        if units % (self.heads * (1 + rotary)):
            what = "heads of an even width, which --positions=rotary wants," if rotary else "heads"
            raise ValueError(
                f"Expected --heads to divide --units={units} into {what} with --cell=transformer. "
                f"Received: {self.heads}."
            )
        if self.positions == "sinusoidal" and units % 2:
            raise ValueError(
                f"Expected --units to be even with --positions=sinusoidal. Received: {units}."
            )
        return self


class TextTransformerOptions(TransformerOptions):
    """What an application of texts whose `cell` may be a Transformer says of it."""

    of_recurrent_layers: ClassVar[dict[str, Any]] = {
        **TransformerOptions.of_recurrent_layers,
        "normalization": "none",
    }
    learned_positions: Annotated[int, Field(ge=1)] = 512
    """Positions that are learned, with --positions=learned."""

    @property
    def reach(self) -> tuple[str, int]:
        """The setting that says over how many tokens it looks, and how many these are."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _has_positions(self) -> Self:
        if getattr(self, "cell", None) != TRANSFORMER:
            return self
        name, reach = self.reach
        if self.positions == "learned" and reach > self.learned_positions:
            raise ValueError(
                f"Expected {flag(name)} to be at most as many as there are --learned-positions "
                f"({self.learned_positions}). Received: {reach}."
            )
        return self


class TextOptions(Config):
    """How the characters of a user's files are written."""

    encoding: str | None = None
    """Encoding of your own files, such as cp1252 or gb18030; by default UTF-8, or as the file's
    byte order mark says."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except LookupError:
            raise ValueError("an encoding that Python knows, such as cp1252 or gb18030") from None
        return encoding


_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " ", "\\t": "\t"}


class TableOptions(TextOptions):
    """How a user's tables are written; saved with a run, so that all commands read alike."""

    gone: ClassVar[tuple[str, ...]] = ("decimal", "thousands", "time_format", "day_first")
    sections: ClassVar[dict[str, str]] = {"separator": "tables"}

    separator: str | None = None
    """What stands between a table's columns: comma, semicolon, tab, pipe, space or any character;
    by default found."""
    strict: bool = False
    """Refuse a table of which rows would be left out."""

    @field_validator("separator")
    @classmethod
    def _character(cls, separator: str | None) -> str | None:
        if separator is None:
            return None
        separator = _SEPARATORS.get(separator, separator)
        if len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"one character, or {', '.join(_SEPARATORS)}")
        return separator


class SeriesOptions(TableOptions):
    """How the numbers and times of a user's tables are written, too."""

    gone: ClassVar[tuple[str, ...]] = ()

    decimal: str | None = None
    """The decimal mark, . or ,; by default a point, or a comma where nothing else can be meant."""
    thousands: str | None = None
    """What stands between the thousands of a number: , . ' or a space; by default nothing."""
    time_format: str | None = None
    """How times are written, in the letters of strftime (%d.%m.%Y %H:%M); by default found."""
    day_first: bool = False
    """Read 01/02/2014 as 1 February; by default the reading decides whose steps are regular."""

    @field_validator("decimal", "thousands")
    @classmethod
    def _mark(cls, mark: str | None, info: ValidationInfo) -> str | None:
        marks = ".," if info.field_name == "decimal" else ",.' "
        if mark is not None and (len(mark) != 1 or mark not in marks):
            raise ValueError(f"one of {' '.join(map(repr, marks))}")
        return mark

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.thousands is not None and self.thousands == (self.decimal or "."):
            raise ValueError(
                f"Expected --thousands to differ from --decimal. Received: {self.thousands!r} for "
                "both."
            )
        return self


class VectorOptions(Config):
    """Word vectors that an application with a `tokenizer` and an `embedding_dim` starts from."""

    sections: ClassVar[dict[str, str]] = {"vectors": "model"}

    vectors: Path | None = None
    """Word vectors to start from: a file as GloVe and fastText (text) or word2vec (binary) write
    it, gzipped or not, whose width --embedding-dim then is."""
    vectors_frozen: bool = False
    """Leave the embedding as the vectors are."""

    @property
    def vector_files(self) -> dict[str, Path]:
        names = ("vectors", "target_vectors")  # a translator has two sides
        return {name: path for name in names if (path := getattr(self, name, None))}

    @property
    def decided(self) -> dict[str, str]:
        here = {"embedding_dim": "vectors"} if self.vector_files else {}
        return {**super().decided, **here}

    @property
    def files(self) -> tuple[str, ...]:
        return (*super().files, *map(str, self.vector_files.values()))

    @property
    def in_updates(self) -> dict[str, Any]:
        return {**super().in_updates, **dict.fromkeys(self.vector_files)}

    @model_validator(mode="after")
    def _are_of_words(self) -> Self:
        if self.vectors_frozen and not self.vector_files:
            raise ValueError("Expected --vectors with --vectors-frozen. Received: none.")
        if self.vector_files and getattr(self, "init_from", None):
            raise ValueError(
                f"Expected {flag(next(iter(self.vector_files)))} or --init-from, whose run has its "
                "vectors. Received: both."
            )
        tokenizer = getattr(self, "tokenizer", "word")
        for name in self.vector_files:
            if tokenizer not in ("word", "treebank", "auto"):
                raise ValueError(
                    f"Expected --tokenizer=word with {flag(name)}, which are of words. Received: "
                    f"{tokenizer!r}."
                )
        return self


class PretrainingOptions(Config):
    """What an application with an embedding and a `cell` over it can learn before its labels."""

    sections: ClassVar[dict[str, str]] = {"unlabelled": "pretraining"}

    unlabelled: tuple[str, ...] = ()
    """Texts without labels, of which a language model is learned first: files with a text a line
    (.txt), tables with the text column, folders of .txt files."""
    pretrain_epochs: Annotated[int | None, Field(ge=0)] = None
    """Passes of the language model over the unlabelled and the training texts; by default 4 with
    --unlabelled or --pretrain-only, else none."""
    pretrain_only: bool = False
    """Make a run of the language model alone, for --init-from."""

    @property
    def passes(self) -> int:
        """Epochs of the language model, at most."""
        if self.pretrain_epochs is not None:
            return self.pretrain_epochs
        taught = getattr(self, "self_training", 0)  # another use of the texts without labels
        return 4 if self.pretrain_only or (self.unlabelled and not taught) else 0

    @property
    def files(self) -> tuple[str, ...]:
        return (*super().files, *self.unlabelled)

    @property
    def in_updates(self) -> dict[str, Any]:
        return {**super().in_updates, "unlabelled": (), "pretrain_epochs": 0}

    @property
    def pretrained(self) -> bool:
        """Whether there are layers that have learned something before."""
        return self.passes > 0 or getattr(super(), "pretrained", False)

    @model_validator(mode="after")
    def _can_be_pretrained(self) -> Self:
        cell = getattr(self, "cell", None)
        if self.passes and cell in ("attention_lstm", TRANSFORMER):
            raise ValueError(
                f"Expected a --cell other than {cell}, which sees the whole text, with "
                "pretraining (--unlabelled, --pretrain-epochs or --pretrain-only)."
            )
        taught = getattr(self, "self_training", 0)
        if not self.passes and not taught and (self.unlabelled or self.pretrain_only):
            name = "unlabelled" if self.unlabelled else "pretrain_only"
            raise ValueError(f"Expected --pretrain-epochs of at least 1 with {flag(name)}.")
        return self


def read_toml(path: Path | str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.

    Returns:
        Its keys and values.

    Raises:
        ConfigError: If the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}.") from None


def _sentence(config_class: type[Config], error: ValidationError) -> str:
    """The first complaint of pydantic, in one sentence that names the flag."""
    first = error.errors(include_url=False)[0]
    where, received = str(next(iter(first["loc"]), "")), first["input"]  # not a list's index
    if first["type"] == "extra_forbidden":
        fields = [flag(name) for name in config_class.model_fields]
        return f"Unknown setting {flag(where)}.{nearest(flag(where), fields)}"
    if not where:  # a validator that looks at several fields writes its own sentence
        return first["msg"].removeprefix("Value error, ")
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"Expected {flag(where)} to be {expected}. Received: {received!r}."
