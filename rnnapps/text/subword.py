"""Subwords as tokens, by SentencePiece."""

import io
import pathlib
import tempfile
from collections.abc import Iterable, Sequence
from typing import Literal

import keras
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from rnnapps.errors import DataError
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer

BOS, EOS = 2, 3


@keras.saving.register_keras_serializable("rnnapps")
class SubwordTokenizer(Tokenizer):
    """Splits a text of any script into subwords, learned from the training texts.

    Ids 2 and 3 are reserved for the begin and end of a sentence; `call` adds neither. White space
    is always normalized, as pieces include spaces.

    Args:
        max_tokens: Maximum vocabulary size, including the four reserved ids.
        min_count: Ignored: pieces are chosen by likelihood, not by count.
        lower: Whether to lower-case texts.
        algorithm: `"unigram"` or `"bpe"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        texts: String tensor `(batch,)`.

    Output:
        int32 ids `(batch, time)`, padded with 0 on the right; time is at least 1.

    Raises:
        ValueError: If `algorithm` is unknown, or `max_tokens` is under 3.

    Reference:
        - [Kudo and Richardson, 2018](https://arxiv.org/abs/1808.06226)
    """

    def __init__(
        self,
        max_tokens: int = 8_000,
        min_count: int = 1,
        lower: bool = True,
        algorithm: Literal["unigram", "bpe"] = "unigram",
        **kwargs,
    ):
        super().__init__(max_tokens, min_count, lower, **{**kwargs, "tidy": True})
        if algorithm not in ("unigram", "bpe"):
            raise ValueError(f"Expected algorithm to be 'unigram' or 'bpe'. Received: {algorithm}")
        self.algorithm = algorithm

    def adapt(self, texts: Iterable[str | bytes]) -> None:
        model = io.BytesIO()
        try:
            self._train(texts, model)
        except RuntimeError as error:  # sentencepiece's message starts with its source line
            said = str(error).rpartition("] ")[2].strip().rstrip(".")
            raise DataError(
                f"Cannot make subwords with --max-tokens {self.max_tokens}: {said}."
            ) from None
        self._model = model.getvalue()

    def extend(self, vocabulary: Sequence[str]) -> None:
        """Does nothing: pieces are learned together."""

    def _train(self, texts: Iterable[str | bytes], model: io.BytesIO) -> None:
        with tempfile.TemporaryDirectory() as folder:
            # No normalization: SentencePiece's rules turn "，" into "," and remove joiners. U+FFFF
            # occurs in no text; without any rule each load logs a line.
            rules = pathlib.Path(folder, "rules.tsv")
            rules.write_text("FFFF\tFFFD\n", "utf-8")
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(self._cleaned(texts)),
                model_writer=model,
                vocab_size=self.max_tokens,
                model_type=self.algorithm,
                hard_vocab_limit=False,  # a small text may have fewer pieces
                pad_id=PADDING,
                unk_id=UNKNOWN,
                bos_id=BOS,
                eos_id=EOS,
                normalization_rule_tsv=str(rules),
                character_coverage=0.9999,  # the default drops digits if they are rare
                split_digits=True,  # numbers are copied digit by digit
                max_sentence_length=1_000_000,  # bytes
                minloglevel=2,
            )

    def _cleaned(self, texts: Iterable[str | bytes]):
        for chunk in self._chunks(texts, self.clean):
            yield from (text.decode() for text in chunk.numpy())

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        # (batch, time): U+2581 marks the space before a piece
        pieces = self._pieces
        return tf.ragged.map_flat_values(pieces.id_to_string, pieces.tokenize(self.clean(texts)))

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._pieces.tokenize(self.clean(texts))

    def detokenize(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.ragged.boolean_mask(ids, ids != PADDING)
        return self._pieces.detokenize(ids)[: ids.nrows()]  # for no rows it returns one

    @property
    def vocabulary(self) -> list[str]:
        ids = tf.range(self.vocabulary_size)
        return [piece.decode() for piece in self._pieces.id_to_string(ids).numpy()]

    @property
    def vocabulary_size(self) -> int:
        return int(self._pieces.vocab_size())

    @property
    def _pieces(self) -> tf_text.SentencepieceTokenizer:
        """The tokenizer, as a constant of the graph that is being built.

        One created outside belongs to a kernel in TensorFlow's cache, and is lost when that is
        cleared, as by `keras.utils.set_random_seed`.
        """
        return tf_text.SentencepieceTokenizer(model=self._model, out_type=tf.int32)

    def save_assets(self, dir_path: str) -> None:
        pathlib.Path(dir_path, "sentencepiece.model").write_bytes(self._model)

    def load_assets(self, dir_path: str) -> None:
        self._model = pathlib.Path(dir_path, "sentencepiece.model").read_bytes()

    def get_config(self):
        return {**super().get_config(), "algorithm": self.algorithm}
