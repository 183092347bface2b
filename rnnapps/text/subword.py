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
    """Cuts a text into pieces of words learned from the text itself, whatever its script.

    The ids 2 and 3 are reserved for the begin and the end of a sentence; `call` adds neither. White
    space is always made tidy, as spaces stand in the pieces.

    Args:
        max_tokens: Largest size of the vocabulary, the four reserved ids included.
        min_count: Kept for uniformity; pieces are chosen by likelihood, not by count.
        lower: Whether texts are lower-cased.
        algorithm: `"unigram"` or `"bpe"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        texts: String tensor `(batch,)`.

    Output:
        int32 ids `(batch, time)`, padded with 0 on the right; time is at least 1.

    Raises:
        ValueError: If `algorithm` is something else, or `max_tokens` under 3.

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
        except RuntimeError as error:  # what sentencepiece says begins with its own source line
            said = str(error).rpartition("] ")[2].strip().rstrip(".")
            raise DataError(
                f"Cannot make subwords with --max-tokens {self.max_tokens}: {said}."
            ) from None
        self._model = model.getvalue()

    def extend(self, vocabulary: Sequence[str]) -> None:
        """Takes no others: pieces are learned together."""

    def _train(self, texts: Iterable[str | bytes], model: io.BytesIO) -> None:
        with tempfile.TemporaryDirectory() as folder:
            # Characters stay as they are written: SentencePiece's rules make "，" a ",", and take
            # joiners away. U+FFFF stands in no text; without any rule each load logs a line.
            rules = pathlib.Path(folder, "rules.tsv")
            rules.write_text("FFFF\tFFFD\n", "utf-8")
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(self._cleaned(texts)),
                model_writer=model,
                vocab_size=self.max_tokens,
                model_type=self.algorithm,
                hard_vocab_limit=False,  # a small text has fewer pieces than were asked for
                pad_id=PADDING,
                unk_id=UNKNOWN,
                bos_id=BOS,
                eos_id=EOS,
                normalization_rule_tsv=str(rules),
                character_coverage=0.9999,  # the default leaves out the digits of texts with few
                split_digits=True,  # numbers are to be copied digit by digit
                max_sentence_length=1_000_000,  # bytes
                minloglevel=2,
            )

    def _cleaned(self, texts: Iterable[str | bytes]):
        for chunk in self._chunks(texts, self.clean):
            yield from (text.decode() for text in chunk.numpy())

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        # (batch, time): U+2581 stands for the space before a piece
        pieces = self._pieces
        return tf.ragged.map_flat_values(pieces.id_to_string, pieces.tokenize(self.clean(texts)))

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._pieces.tokenize(self.clean(texts))

    def detokenize(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.ragged.boolean_mask(ids, ids != PADDING)
        return self._pieces.detokenize(ids)[: ids.nrows()]  # of no rows it makes one

    @property
    def vocabulary(self) -> list[str]:
        ids = tf.range(self.vocabulary_size)
        return [piece.decode() for piece in self._pieces.id_to_string(ids).numpy()]

    @property
    def vocabulary_size(self) -> int:
        return int(self._pieces.vocab_size())

    @property
    def _pieces(self) -> tf_text.SentencepieceTokenizer:
        """The tokenizer, as a constant of whichever graph is being built.

        One that is made once, outside, belongs to a kernel in TensorFlow's cache, and is gone when
        that is cleared, as `keras.utils.set_random_seed` does.
        """
        return tf_text.SentencepieceTokenizer(model=self._model, out_type=tf.int32)

    def save_assets(self, dir_path: str) -> None:
        pathlib.Path(dir_path, "sentencepiece.model").write_bytes(self._model)

    def load_assets(self, dir_path: str) -> None:
        self._model = pathlib.Path(dir_path, "sentencepiece.model").read_bytes()

    def get_config(self):
        return {**super().get_config(), "algorithm": self.algorithm}
