"""From tokens to network inputs: ids of words, characters and affixes."""

import collections
from collections.abc import Iterable

import keras
import tensorflow as tf

from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.tokenizer import to_dense, utf8
from rnnapps.text.word import WordTokenizer

AFFIXES = 9  # ids per token: prefixes, suffixes and shape


@keras.saving.register_keras_serializable("rnnapps")
class TokenEncoder(keras.layers.Layer):
    """Maps tokens, and optionally their characters, affixes and bigrams, to ids. Case-sensitive.

    Args:
        max_tokens: Maximum vocabulary size.
        max_characters: Maximum characters per token; longer tokens lose their middle. 0 disables
            character ids.
        affix_buckets: Number of hash buckets for prefixes, suffixes and shapes; 0 disables them.
        pair_buckets: Number of hash buckets for token bigrams; 0 disables them.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        tokens: Strings `(batch, time)`, padded with `""`.

    Output:
        int32 token ids `(batch, time)`, 0 for padding and 1 for unknown tokens. If more is enabled,
        a list: the token ids; character ids `(batch, time, characters)`; affix ids `(batch, time,
        AFFIXES)`; ids of the bigrams of each token and the next `(batch, time)`.
    """

    def __init__(
        self,
        max_tokens: int = 30_000,
        max_characters: int = 20,
        affix_buckets: int = 0,
        pair_buckets: int = 0,
        **kwargs,
    ):
        super().__init__(trainable=False, dtype="int32", **kwargs)
        self.max_tokens, self.max_characters = max_tokens, max_characters
        self.affix_buckets, self.pair_buckets = affix_buckets, pair_buckets
        self.words = WordTokenizer(max_tokens, lower=False)
        self.characters = CharacterTokenizer(lower=False)
        self.built = True

    def adapt(self, tokens: Iterable[str]) -> None:
        """Sets the vocabulary to the most frequent tokens, and to all their characters."""
        counts = collections.Counter(map(utf8, tokens))
        self.words.adapt_tokens(counts)
        single: collections.Counter[bytes] = collections.Counter()
        for token, count in counts.items():
            for character in token.decode("utf-8", "replace"):
                single[character.encode()] += count
        self.characters.adapt_tokens(single)

    def call(self, tokens):
        found = [tf.where(tokens == "", 0, self.words.lookup(tokens))]
        if self.max_characters:
            found.append(self.spell(tokens))
        if self.affix_buckets:
            found.append(self.affixes(tokens))
        if self.pair_buckets:
            following = tf.pad(tokens[:, 1:], [[0, 0], [0, 1]], constant_values="")
            found.append(self.pairs(tokens, following))
        return found if len(found) > 1 else found[0]

    def affixes(self, tokens: tf.Tensor) -> tf.Tensor:
        """Ids of prefixes, suffixes and shapes `(..., AFFIXES)`.

        Prefixes and suffixes are the first and last 1 to 4 characters, in lower case. The shape is
        `Xxx` for Paris and `XX-00` for AB-12; runs of four and more are cut to three.
        """
        lower = tf.strings.lower(tokens, encoding="utf-8")
        sizes = tf.strings.length(lower, unit="UTF8_CHAR")
        found = []
        for n in range(1, 5):
            length = tf.fill(tf.shape(sizes), n)
            first = tf.zeros_like(sizes), length
            last = tf.maximum(sizes - n, 0), length
            found += [tf.strings.substr(lower, *one, unit="UTF8_CHAR") for one in (first, last)]
        shape = tokens
        for pattern, one in ((r"\p{Ll}", "x"), (r"\p{Lu}", "X"), (r"\p{N}", "0")):
            shape = tf.strings.regex_replace(shape, pattern, one)
            shape = tf.strings.regex_replace(shape, f"{one}{{4,}}", one * 3)
        named = [tf.strings.join([f"{i}=", one]) for i, one in enumerate([*found, shape])]
        every = tf.stack(named, axis=-1)  # (..., AFFIXES)
        ids = 1 + tf.strings.to_hash_bucket_fast(every, self.affix_buckets - 1)
        return tf.where((tokens == "")[..., tf.newaxis], 0, tf.cast(ids, tf.int32))

    def pairs(self, tokens: tf.Tensor, following: tf.Tensor) -> tf.Tensor:
        """Ids of bigrams of tokens and their successors, of any shape; 0 for padding."""
        both = tf.strings.join([tokens, following], "\x1f")
        ids = tf.strings.to_hash_bucket_fast(both, self.pair_buckets - 1)
        return tf.where(tokens == "", 0, 1 + tf.cast(ids, tf.int32))

    def spell(self, tokens: tf.Tensor) -> tf.Tensor:
        """The character ids of tokens `(..., characters)`."""
        head, tail = (self.max_characters + 1) // 2, self.max_characters // 2
        flat = tf.reshape(tokens, (-1,))
        sizes = tf.strings.length(flat, unit="UTF8_CHAR")
        first = tf.strings.substr(flat, 0, head, unit="UTF8_CHAR")
        places = tf.maximum(sizes - tail, 0)
        last = tf.strings.substr(flat, places, tf.fill(tf.shape(places), tail), unit="UTF8_CHAR")
        short = tf.where(sizes > self.max_characters, tf.strings.join([first, last]), flat)
        characters = to_dense(self.characters.ids(short), 0)
        shape = tf.concat([tf.shape(tokens), [tf.shape(characters)[1]]], axis=0)
        return tf.reshape(characters, shape)

    def compute_output_spec(self, tokens):
        shapes = [tokens.shape]
        shapes += [(*tokens.shape, None)] if self.max_characters else []
        shapes += [(*tokens.shape, AFFIXES)] if self.affix_buckets else []
        shapes += [tokens.shape] if self.pair_buckets else []
        found = [keras.KerasTensor(shape, "int32") for shape in shapes]
        return found if len(found) > 1 else found[0]

    def get_config(self):
        return {
            "name": self.name,
            "max_tokens": self.max_tokens,
            "max_characters": self.max_characters,
            "affix_buckets": self.affix_buckets,
            "pair_buckets": self.pair_buckets,
        }
