"""Base class of tokenizers: cleaning, padding, and a vocabulary saved as an asset."""

import collections
import concurrent.futures
import contextlib
import contextvars
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.cores import usable_cores
from rnnapps.progress import so_far

PADDING = 0  # the id of padding
UNKNOWN = 1  # the id of tokens outside the vocabulary
_CHUNK = 2048  # texts tokenized at a time: bounds the memory of adapt() and encode()
_LENGTHS = [2**i for i in range(4, 31)]
_few_lengths = contextvars.ContextVar("few_lengths", default=False)


def utf8(text: str | bytes) -> bytes:
    """Encodes a text as UTF-8.

    Args:
        text: The text; lone surrogates become question marks.

    Returns:
        Its bytes; bytes are returned unchanged.
    """
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def batched(texts: Iterable[Any], size: int) -> Iterator[list]:
    """Yields lists of up to `size` texts; one empty list if there are none."""
    rest = iter(texts)
    chunk = list(itertools.islice(rest, size))
    yield chunk
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


@contextlib.contextmanager
def few_lengths() -> Iterator[None]:
    """Within this context, graphs pad rows to a power of two: XLA recompiles for each length.

    Yields:
        Nothing.
    """
    before = _few_lengths.set(True)
    try:
        yield
    finally:
        _few_lengths.reset(before)


def to_dense(rows: tf.RaggedTensor, filling) -> tf.Tensor:
    """Pads rows to the longest, and to at least one step.

    Args:
        rows: `(batch, time)`.
        filling: The padding value.

    Returns:
        The dense tensor `(batch, time)`.
    """
    dense = rows.to_tensor(filling)
    time = tf.shape(dense)[1]
    least = tf.maximum(time, 1)  # at least 1 for empty batches or texts
    if _few_lengths.get():
        least = tf.gather(_LENGTHS, tf.searchsorted(_LENGTHS, [least]))[0]
    return tf.pad(dense, [[0, 0], [0, least - time]], constant_values=filling)


def _threads() -> int:
    """Number of texts' chunks that are worked on at once: as many threads as TensorFlow has."""
    asked = tf.config.threading
    own = asked.get_inter_op_parallelism_threads() or asked.get_intra_op_parallelism_threads()
    return own or usable_cores()


class Tokenizer(keras.layers.Layer):
    """A layer that maps strings to ids with stock TensorFlow ops.

    Subclasses define how to split a text into tokens (`split`) and how to join them (`join`). Id 0
    is padding; id 1 is any token outside the vocabulary.

    Args:
        max_tokens: Maximum vocabulary size, including padding and unknown.
        min_count: Minimum count in `adapt` for a token to enter the vocabulary.
        lower: Whether to lower-case texts.
        verbatim: Whether joined tokens restore the text except for case: they keep HTML line breaks
            and, with words, the spaces between them. For models that generate text.
        tidy: Whether to collapse white space to single spaces and strip it at the ends.
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

    # Defined by subclasses.

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Splits clean texts `(batch,)` into tokens `(batch, time)`."""
        raise NotImplementedError

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Joins tokens `(batch, time)` to texts `(batch,)`."""
        raise NotImplementedError

    # Shared by all.

    @property
    def vocabulary(self) -> list[str]:
        """The tokens by id; the first two are padding and unknown."""
        return ["", "[UNK]", *self._vocabulary]

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, including padding and unknown."""
        return len(self._vocabulary) + 2

    def adapt(self, texts: Iterable[str | bytes]) -> None:
        """Sets the vocabulary to the most frequent tokens of these texts."""

        def counted(part):
            return tf.unique_with_counts(self.tokens(part).flat_values)

        counts: collections.Counter[bytes] = collections.Counter()
        for tokens, _, count in self._chunks(texts, counted):
            counts.update(dict(zip(tokens.numpy(), count.numpy().tolist(), strict=True)))
        self.adapt_tokens(counts)

    def adapt_tokens(self, counts: Mapping[bytes, int]) -> None:
        """Sets the vocabulary to the most frequent of these tokens."""
        frequent = [(-n, token) for token, n in counts.items() if n >= self.min_count]
        best = sorted(frequent)[: self.max_tokens - 2]
        self._set_vocabulary([token.decode() for _, token in best])

    def extend(self, vocabulary: Sequence[str]) -> None:
        """Appends tokens to the vocabulary, up to `max_tokens`.

        Args:
            vocabulary: Another tokenizer's vocabulary; the first two are padding and unknown.
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
        """The ids of tokens, of any shape."""
        return self._to_id.lookup(tokens)

    def call(self, texts):
        return to_dense(self.ids(texts), PADDING)  # (batch, time)

    def compute_output_spec(self, texts):
        return keras.KerasTensor((*texts.shape, None), dtype="int32")

    def detokenize(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Maps ids `(batch, time)` to texts `(batch,)`, without padding."""
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.ragged.boolean_mask(ids, ids != PADDING)
        tokens = tf.constant(self.vocabulary)
        return self.join(tf.ragged.map_flat_values(lambda flat: tf.gather(tokens, flat), ids))

    def encode(self, texts: Iterable[str | bytes]) -> tf.RaggedTensor:
        """The ids of any number of texts."""
        return tf.concat(list(self.encode_parts(texts)), axis=0)

    def encode_parts(self, texts: Iterable[str | bytes]) -> Iterator[tf.RaggedTensor]:
        """The ids of any number of texts, in chunks, with bounded memory."""
        yield from self._chunks(texts, self.ids)

    def clean(self, texts: tf.Tensor) -> tf.Tensor:
        """Replaces invalid UTF-8, removes HTML line breaks, normalizes spaces, lower-cases."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        if not self.verbatim:
            texts = tf.strings.regex_replace(texts, r"(?i)<br\s*/?>", " ")
        if self.tidy:
            texts = tf.strings.strip(tf.strings.regex_replace(texts, r"[\s\p{Z}]+", " "))
        return tf.strings.lower(texts, encoding="utf-8") if self.lower else texts

    def _chunks(self, texts: Iterable[str | bytes], function) -> Iterator[Any]:
        signature = [tf.TensorSpec((None,), tf.string)]
        function = tf.function(function, input_signature=signature, autograph=False)
        compiled = function.get_concrete_function()

        def run(chunk):  # in a thread, which makes no graph where the caller makes one
            return compiled(tf.constant(chunk, tf.string))

        begun, threads = collections.deque[concurrent.futures.Future](), _threads()
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            for start, chunk in enumerate(batched(texts, _CHUNK)):
                if isinstance(texts, Sequence):
                    so_far(start * _CHUNK, len(texts), "texts")
                begun.append(pool.submit(run, chunk))
                if len(begun) > threads:  # in the order of the texts
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()

    def _set_vocabulary(self, tokens: Iterable[str]) -> None:
        self._vocabulary = np.array(list(tokens), dtype=object)
        with tf.init_scope():
            known = {token: i for i, token in enumerate(self._vocabulary, 2)}
            known = known or {"": UNKNOWN}  # a table must not be empty
            initializer = tf.lookup.KeyValueTensorInitializer(
                tf.constant([*known], tf.string), tf.constant([*known.values()], tf.int32)
            )
            self._to_id = tf.lookup.StaticHashTable(initializer, UNKNOWN)

    # The vocabulary is an asset in the `.keras` archive, one token per line.

    def save_assets(self, dir_path: str) -> None:
        lines = [token.replace("\\", "\\\\").replace("\n", "\\n") for token in self._vocabulary]
        text = "".join(line + "\n" for line in lines)
        pathlib.Path(dir_path, "vocabulary.txt").write_bytes(text.encode())

    def load_assets(self, dir_path: str) -> None:
        text = pathlib.Path(dir_path, "vocabulary.txt").read_bytes().decode()
        lines = text.split("\n")[:-1]  # splitlines() would also split at U+2028 etc.
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
