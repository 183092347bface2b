"""What all tokenizers share: cleaning, padding, and a vocabulary kept as an asset."""

import collections
import contextlib
import contextvars
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.progress import so_far

PADDING = 0  # the id where there is no token
UNKNOWN = 1  # the id of any token that the vocabulary does not have
_CHUNK = 2048  # texts tokenized at a time: bounds the memory of adapt() and encode()
_LENGTHS = [2**i for i in range(4, 31)]
_few_lengths = contextvars.ContextVar("few_lengths", default=False)


def utf8(text: str | bytes) -> bytes:
    """A text's bytes.

    Args:
        text: The text; half a surrogate pair, which UTF-8 lacks, becomes a question mark.

    Returns:
        Its bytes; bytes stay as they are.
    """
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def batched(texts: Iterable[Any], size: int) -> Iterator[list]:
    """The texts, some at a time; of none, one empty list."""
    rest = iter(texts)
    chunk = list(itertools.islice(rest, size))
    yield chunk
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


@contextlib.contextmanager
def few_lengths() -> Iterator[None]:
    """Graphs made inside fill rows up to a power of two: XLA compiles each length anew.

    Yields:
        Nothing.
    """
    before = _few_lengths.set(True)
    try:
        yield
    finally:
        _few_lengths.reset(before)


def to_dense(rows: tf.RaggedTensor, filling) -> tf.Tensor:
    """Fills rows up to the longest, and to at least one place.

    Args:
        rows: `(batch, time)`.
        filling: What stands where a row has ended.

    Returns:
        The dense tensor `(batch, time)`.
    """
    dense = rows.to_tensor(filling)
    time = tf.shape(dense)[1]
    least = tf.maximum(time, 1)  # an empty batch, or one of empty texts, has none
    if _few_lengths.get():
        least = tf.gather(_LENGTHS, tf.searchsorted(_LENGTHS, [least]))[0]
    return tf.pad(dense, [[0, 0], [0, least - time]], constant_values=filling)


class Tokenizer(keras.layers.Layer):
    """A layer that turns strings into ids with stock TensorFlow ops.

    A subclass says how a text falls into tokens (`split`) and how tokens make a text (`join`). The
    id 0 is padding and 1 is any token outside the vocabulary.

    Args:
        max_tokens: Largest size of the vocabulary, padding and unknown included.
        min_count: A token seen less often in `adapt` stays outside the vocabulary.
        lower: Whether texts are lower-cased.
        verbatim: Whether tokens keep everything but case, so that joined they give the text back:
            HTML line breaks, and with words the spaces between them. For models that write.
        tidy: Whether one space stands for several, or for other white space, and none for those at
            a text's ends.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        texts: String tensor `(batch,)`. Bytes that are not UTF-8 become U+FFFD.

    Output:
        int32 ids `(batch, time)`, padded with 0 on the right; time is at least 1.

    Raises:
        ValueError: If `max_tokens` is under 3.
    """

    def __init__(
        self,
        max_tokens: int = 30_000,
        min_count: int = 1,
        lower: bool = True,
        verbatim: bool = False,
        tidy: bool = False,
        **kwargs,
    ):
        super().__init__(trainable=False, dtype="int32", **kwargs)
        if max_tokens < 3:
            raise ValueError(f"Expected max_tokens to be at least 3. Received: {max_tokens}")
        self.max_tokens, self.min_count = max_tokens, min_count
        self.lower, self.verbatim, self.tidy = lower, verbatim, tidy
        self._vocabulary = np.array([], dtype=object)
        self.built = True

    # What a subclass says.

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Cuts clean texts `(batch,)` into tokens `(batch, time)`."""
        raise NotImplementedError

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Makes texts `(batch,)` of tokens `(batch, time)`."""
        raise NotImplementedError

    # What all of them do.

    @property
    def vocabulary(self) -> list[str]:
        """The tokens by id; the first two stand for padding and unknown."""
        return ["", "[UNK]", *self._vocabulary]

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, padding and unknown included."""
        return len(self._vocabulary) + 2

    def adapt(self, texts: Iterable[str | bytes]) -> None:
        """Takes the most frequent tokens of these texts as the vocabulary."""
        counts: collections.Counter[bytes] = collections.Counter()
        for tokens in self._chunks(texts, self.tokens):
            counts.update(tokens.flat_values.numpy().tolist())
        self.adapt_tokens(counts)

    def adapt_tokens(self, counts: Mapping[bytes, int]) -> None:
        """Takes the most frequent ones of tokens that are cut already as the vocabulary."""
        frequent = [(-n, token) for token, n in counts.items() if n >= self.min_count]
        best = sorted(frequent)[: self.max_tokens - 2]
        self._set_vocabulary([token.decode() for _, token in best])

    def extend(self, vocabulary: Sequence[str]) -> None:
        """Takes tokens behind those that it has, as far as there is room.

        Args:
            vocabulary: Another tokenizer's, whose first two stand for padding and unknown.
        """
        tokens = dict.fromkeys([*self._vocabulary, *vocabulary[2:]])
        self._set_vocabulary([*tokens][: self.max_tokens - 2])

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The tokens of texts `(batch,)` as strings `(batch, time)`."""
        return self.split(self.clean(texts))

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of texts `(batch,)`, ragged `(batch, time)`."""
        return tf.ragged.map_flat_values(self.lookup, self.tokens(texts))

    def lookup(self, tokens: tf.Tensor) -> tf.Tensor:
        """The ids of tokens that are cut already, of any shape."""
        return self._to_id.lookup(tokens)

    def call(self, texts):
        return to_dense(self.ids(texts), PADDING)  # (batch, time)

    def compute_output_spec(self, texts):
        return keras.KerasTensor((*texts.shape, None), dtype="int32")

    def detokenize(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Turns ids `(batch, time)` into texts `(batch,)`; padding is left out."""
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.ragged.boolean_mask(ids, ids != PADDING)
        tokens = tf.constant(self.vocabulary)
        return self.join(tf.ragged.map_flat_values(lambda flat: tf.gather(tokens, flat), ids))

    def encode(self, texts: Iterable[str | bytes]) -> tf.RaggedTensor:
        """The ids of any number of texts."""
        return tf.concat(list(self.encode_parts(texts)), axis=0)

    def encode_parts(self, texts: Iterable[str | bytes]) -> Iterator[tf.RaggedTensor]:
        """The ids of any number of texts, some texts at a time, in bounded memory."""
        yield from self._chunks(texts, self.ids)

    def clean(self, texts: tf.Tensor) -> tf.Tensor:
        """Mends bytes that are not UTF-8, takes out HTML line breaks and spaces, lower-cases."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        if not self.verbatim:
            texts = tf.strings.regex_replace(texts, r"(?i)<br\s*/?>", " ")
        if self.tidy:
            texts = tf.strings.strip(tf.strings.regex_replace(texts, r"[\s\p{Z}]+", " "))
        return tf.strings.lower(texts, encoding="utf-8") if self.lower else texts

    def _chunks(self, texts: Iterable[str | bytes], function) -> Iterator[tf.RaggedTensor]:
        signature = [tf.TensorSpec((None,), tf.string)]
        function = tf.function(function, input_signature=signature, autograph=False)
        compiled = function.get_concrete_function()
        for start, chunk in enumerate(batched(texts, _CHUNK)):
            if isinstance(texts, Sequence):
                so_far(start * _CHUNK, len(texts), "texts")
            yield compiled(tf.constant(chunk, tf.string))

    def _set_vocabulary(self, tokens: Iterable[str]) -> None:
        self._vocabulary = np.array(list(tokens), dtype=object)
        with tf.init_scope():
            known = {token: i for i, token in enumerate(self._vocabulary, 2)}
            known = known or {"": UNKNOWN}  # a table must hold something
            initializer = tf.lookup.KeyValueTensorInitializer(
                tf.constant([*known], tf.string), tf.constant([*known.values()], tf.int32)
            )
            self._to_id = tf.lookup.StaticHashTable(initializer, UNKNOWN)

    # The vocabulary travels as an asset, one token a line, in the `.keras` archive.

    def save_assets(self, dir_path: str) -> None:
        lines = [token.replace("\\", "\\\\").replace("\n", "\\n") for token in self._vocabulary]
        text = "".join(line + "\n" for line in lines)
        pathlib.Path(dir_path, "vocabulary.txt").write_bytes(text.encode())

    def load_assets(self, dir_path: str) -> None:
        text = pathlib.Path(dir_path, "vocabulary.txt").read_bytes().decode()
        lines = text.split("\n")[:-1]  # not splitlines(), which also cuts at U+2028 and the like
        self._set_vocabulary(
            "\\".join(part.replace("\\n", "\n") for part in line.split("\\\\")) for line in lines
        )

    def get_config(self):
        config = super().get_config()
        for name in ("trainable", "dtype"):  # fixed for every tokenizer
            config.pop(name)
        return {
            **config,
            "max_tokens": self.max_tokens,
            "min_count": self.min_count,
            "lower": self.lower,
            "verbatim": self.verbatim,
            "tidy": self.tidy,
        }
