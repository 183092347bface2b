"""The settings of word vectors and pretraining. Imports no TensorFlow."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from rnnapps.config.base import Config
from rnnapps.config.names import TRANSFORMER
from rnnapps.config.ranges import TuneChoice
from rnnapps.errors import flag


class VectorOptions(Config):
    """Word vectors that an application with a `tokenizer` and an `embedding_dim` starts from."""

    sections: ClassVar[dict[str, str]] = {"vectors": "model"}

    vectors: Path | None = None
    """File of pretrained word vectors, in the format of GloVe or fastText (text) or word2vec
    (binary), also gzipped. It sets --embedding-dim."""
    vectors_frozen: bool = False
    """Do not train the embeddings that start from word vectors, also in updates and with
    --init-from."""

    @property
    def vector_files(self) -> dict[str, Path]:
        names = ("vectors", "target_vectors")  # a translator has two sides
        return {name: path for name in names if (path := getattr(self, name, None))}

    @property
    def frozen_vectors(self) -> tuple[str, ...]:
        return tuple(self.vector_files) if self.vectors_frozen else ()

    @property
    def decided(self) -> dict[str, str]:
        here = {"embedding_dim": "vectors"} if self.vector_files else {}
        return {**super().decided, **here}

    @property
    def files(self) -> tuple[tuple[str, Path | str], ...]:
        return (*super().files, *self.vector_files.items())

    @property
    def in_updates(self) -> dict[str, Any]:
        own = dict.fromkeys(self.vector_files)  # whether they are frozen, the run knows
        return {**super().in_updates, **own, "vectors_frozen": False}

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
    """Texts without labels, to pretrain a language model on: files with a text per line (.txt),
    tables with the text column, folders of .txt files."""
    pretrain_epochs: Annotated[int | None, Field(ge=0), TuneChoice((2, 4, 8), by_name=True)] = None
    """Maximum passes of language-model pretraining over the unlabelled and the training texts. By
    default 4 with --unlabelled (0 with --self-training) or --pretrain-only, else 0."""
    pretrain_only: bool = False
    """Train only the language model, as a run for --init-from."""

    @property
    def passes(self) -> int:
        """Epochs of the language model, at most."""
        if self.pretrain_epochs is not None:
            return self.pretrain_epochs
        taught = getattr(self, "self_training", 0)  # another use of the texts without labels
        return 4 if self.pretrain_only or (self.unlabelled and not taught) else 0

    @property
    def files(self) -> tuple[tuple[str, Path | str], ...]:
        return (*super().files, *(("unlabelled", path) for path in self.unlabelled))

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
