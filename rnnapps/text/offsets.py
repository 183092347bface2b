"""Tokens and their positions in a text, in characters."""

import collections
import itertools
from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from rnnapps.text.auto import without_spaces
from rnnapps.text.tokenizer import to_dense, utf8

KINDS = ("word", "treebank", "character")
_CUT = "\x1f"  # between tokens; treated as a space in the input
_BLANK = r"[\s\p{Z}\x1f]*"
# As in WordTokenizer: letters, marks and digits with inner apostrophes; or any character.
_WORD = r"[\p{L}\p{M}\p{N}_]+(?:['’]\p{L}+)*|[^\s\x1f]"
# As in treebanks and NER data sets: do n't, it 's, 3.14, U.S., well-known, @name, ...
_TREEBANK = (
    r"(?:https?://|www\.)[^\s\x1f]+|(?i:['’](?:s|re|ve|ll|d|m)\b)|[@#][\p{L}\p{N}_]+"
    r"|(?:\p{Lu}\.){2,}|\p{N}+(?:[.,:]\p{N}+)+|[\p{L}\p{M}\p{N}_]+(?:[-'’][\p{L}\p{N}]+)*"
    r"|\.{2,}|[^\s\x1f]"
)
_CLITIC = r"(?i)(\p{L})(n['’]t|['’](?:s|re|ve|ll|d|m))([^\p{L}]|$)"


@keras.saving.register_keras_serializable("rnnapps")
class OffsetTokenizer(keras.layers.Layer):
    """Splits texts into tokens with character offsets.

    Args:
        kind: `"word"`, as in `WordTokenizer`; `"treebank"`, which splits contractions and keeps
            numbers, abbreviations and addresses whole, as in most tagged English corpora; or
            `"character"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        texts: String tensor `(batch,)`. Bytes that are not UTF-8 become U+FFFD.

    Output:
        `tokens` (strings), `starts` and `ends` (int32), each `(batch, time)`, padded with `""` and
        0. Ends are exclusive.

    Raises:
        ValueError: If `kind` is unknown.

    Example:
    >>> tokens, starts, ends = OffsetTokenizer()(tf.constant(["Ada met Bob."]))
    >>> tokens.numpy().tolist(), starts.numpy().tolist()
    ([[b'Ada', b'met', b'Bob', b'.']], [[0, 4, 8, 11]])
    """

    def __init__(self, kind: str = "word", **kwargs):
        super().__init__(trainable=False, dtype="int32", **kwargs)
        if kind not in KINDS:
            raise ValueError(f"Expected kind to be {', '.join(KINDS)}. Received: {kind!r}")
        self.kind = kind

    def cut(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Tokens, starts and ends, ragged `(batch, time)`."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        if self.kind == "character":
            pieces = tf.strings.unicode_split(texts, "UTF-8")
        else:
            texts = tf.strings.regex_replace(texts, _CUT, " ")
            if self.kind == "treebank":
                texts = tf.strings.regex_replace(texts, _CLITIC, rf"\1{_CUT}\2\3")
            token = _WORD if self.kind == "word" else _TREEBANK
            texts = tf.strings.regex_replace(texts, f"({token})", rf"{_CUT}\1{_CUT}")
            pieces = tf.strings.split(texts, _CUT)  # (batch, pieces): the whole text
        lengths = tf.strings.length(pieces.flat_values, unit="UTF8_CHAR")
        sums = tf.concat([[0], tf.cumsum(lengths)], axis=0)
        before = tf.gather(tf.gather(sums, pieces.row_starts()), pieces.value_rowids())
        kept = pieces.with_values(~tf.strings.regex_full_match(pieces.flat_values, _BLANK))
        found = (pieces.flat_values, sums[:-1] - before, sums[1:] - before)
        tokens, starts, ends = (tf.ragged.boolean_mask(pieces.with_values(x), kept) for x in found)
        return tokens, starts, ends

    def call(self, texts):
        tokens, starts, ends = self.cut(texts)
        return to_dense(tokens, ""), to_dense(starts, 0), to_dense(ends, 0)

    def compute_output_spec(self, texts):
        shape = (*texts.shape, None)
        return tuple(keras.KerasTensor(shape, dtype) for dtype in ("string", "int32", "int32"))

    def get_config(self):
        return {"name": self.name, "kind": self.kind}


def kind_of_tokens(sentences: Sequence[Sequence[str]]) -> str:
    """Detects the kind of tokenization of given tokens.

    Args:
        sentences: The tokens of each sentence.

    Returns:
        One of `KINDS`.
    """
    counts = collections.Counter(itertools.chain.from_iterable(sentences))
    single = sum(count for token, count in counts.items() if len(token) == 1)
    first = itertools.islice(itertools.chain.from_iterable(sentences), 1000)
    if single > 0.95 * counts.total() and without_spaces([*first]):
        return "character"
    clitics = {"n't", "n’t", "'s", "’s"}
    return "treebank" if clitics & {token.lower() for token in counts} else "word"


def tokenize_texts(
    texts: Iterable[str], kind: str | None = None
) -> list[tuple[list[str], list[int], list[int]]]:
    """The tokens of texts, with character offsets.

    Args:
        texts: The texts.
        kind: One of `KINDS`; `None` for characters if a fifth of the texts is in a script without
            spaces, else words.

    Returns:
        For each text its tokens, their starts and their ends.
    """
    texts = list(texts)
    if kind is None:
        kind = "character" if without_spaces(texts) else "word"
    found = []
    layer = OffsetTokenizer(kind)
    for start in range(0, len(texts), 2048):
        chunk = tf.constant([utf8(text) for text in texts[start : start + 2048]])
        tokens, starts, ends = (one.to_list() for one in layer.cut(chunk))
        words = ([token.decode() for token in row] for row in tokens)
        found += list(zip(words, starts, ends, strict=True))
    return found
