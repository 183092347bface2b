"""Batches of tagged sentences: a row for each token that differs, looked up as batches are made."""

import itertools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rnnapps.data.batching import BatchesByLength
from rnnapps.data.cache import cached
from rnnapps.data.input_pipeline import InPlace
from rnnapps.data.stored import StoredRows, read_ids, write_ids
from rnnapps.data.tagged import Tagged
from rnnapps.files import write
from rnnapps.text import TokenEncoder

NO_TAG = -1  # where there is no token, or none whose tag is known
_CHUNK = 4096  # sentences that are encoded at a time


class Forms(NamedTuple):
    """What a network sees of each token that differs. The first row is of no token.

    Args:
        ids: int32 `(forms,)`.
        characters: int32 `(forms, characters)`; `None` where the network sees none.
        affixes: int32 `(forms, affixes)`; `None` where the network sees none.
    """

    ids: tf.Tensor
    characters: tf.Tensor | None
    affixes: tf.Tensor | None = None


class TaggedBatches(BatchesByLength):
    """Sentences with tags: `(inputs, tags, weights)` of each batch. See `BatchesByLength`.

    The inputs are ids `(batch, time)`, and as far as there are such, characters `(batch, time,
    characters)`, affixes `(batch, time, affixes)` and pairs `(batch, time)`.

    Args:
        tokens: int32 rows of `forms`, ragged `(sentences, time)`.
        tags: int32 tags, ragged `(sentences, time)`.
        forms: What the network sees of each.
        batch_size: Rows of a batch.
        boundaries: See `BatchesByLength`.
        seed: Seed of the order.
        pairs: int32 ids of each token and the one behind it, ragged `(sentences, time)`.
    """

    def __init__(
        self,
        tokens: tf.RaggedTensor,
        tags: tf.RaggedTensor,
        forms: Forms,
        batch_size: int,
        boundaries: Sequence[int] = (),
        seed: int = 0,
        pairs: tf.RaggedTensor | None = None,
    ):
        super().__init__(tokens.row_lengths(), batch_size, boundaries, seed)
        self.tokens, self.tags, self.forms = InPlace(tokens), InPlace(tags), forms
        self.pairs = None if pairs is None else InPlace(pairs)

    def _batch(self, indices: tf.Tensor) -> tuple:
        rows, real = tf.maximum(indices, 0), (indices >= 0)[:, None]
        tokens = self._pad(tf.where(real, tf.gather(self.tokens(), rows).to_tensor(), 0))
        tags = tf.where(real, tf.gather(self.tags(), rows).to_tensor(NO_TAG), NO_TAG)
        missing = tf.shape(tokens)[1] - tf.shape(tags)[1]
        tags = tf.pad(tags, [[0, 0], [0, missing]], constant_values=NO_TAG)
        inputs = [tf.gather(self.forms.ids, tokens)]  # (batch, time)
        if self.forms.characters is not None:
            characters = tf.gather(self.forms.characters, tokens)  # (batch, time, characters)
            if not self.boundaries:
                used = tf.reduce_any(characters != 0, axis=(0, 1))
                characters = characters[
                    :, :, : tf.maximum(1, tf.reduce_sum(tf.cast(used, tf.int32)))
                ]
            inputs.append(characters)
        if self.forms.affixes is not None:
            inputs.append(tf.gather(self.forms.affixes, tokens))
        if self.pairs is not None:
            inputs.append(self._pad(tf.where(real, tf.gather(self.pairs(), rows).to_tensor(), 0)))
        tags = tf.ensure_shape(tags, (self.batch_size, None))
        fed = tuple(inputs) if len(inputs) > 1 else inputs[0]
        return fed, tags, tf.cast(indices >= 0, tf.float32)


def encode_tagged(
    tagged: Tagged, encoder: TokenEncoder, names: Sequence[str], longest: int
) -> tuple[Forms, dict[str, tf.RaggedTensor]]:
    """Turns sentences into numbers: those of stored sentences are stored, too.

    Args:
        tagged: The sentences.
        encoder: The adapted encoder of tokens.
        names: The tags' names; others are `NO_TAG`.
        longest: Tokens of a sentence; of a longer one pieces are taken.

    Returns:
        What a network sees of each token that differs; and `tokens`, `tags` and, where the encoder
        makes such, `pairs`, as `TaggedBatches` takes them.
    """
    rows = {"": 0}  # of each token that differs
    place = {name: i for i, name in enumerate(names)}

    def parts() -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        pieces = in_pieces(tagged, longest)
        for some in iter(lambda: [*itertools.islice(pieces, _CHUNK)], []):
            flat = [token for tokens, _ in some for token in tokens]
            tags = [place.get(tag, NO_TAG) for _, tags in some for tag in tags]
            found = {"tokens": [rows.setdefault(token, len(rows)) for token in flat], "tags": tags}
            if encoder.pair_buckets:
                behind = [token for tokens, _ in some for token in (*tokens[1:], "")]
                two = (tf.constant(column, tf.string) for column in (flat, behind))
                found["pairs"] = encoder.pairs(*two)
            yield (
                [len(one) for one, _ in some],
                {k: np.asarray(v, np.int32) for k, v in found.items()},
            )

    def make(folder: pathlib.Path) -> None:
        write_ids(folder, parts())
        write(folder / "forms.json", json.dumps([*rows]))

    if isinstance(tagged.tokens, StoredRows) and isinstance(tagged.tags, StoredRows):
        keys = (tagged.tokens.key, tagged.tags.key, tagged.scheme, longest)
        folder = cached(make, "tagged ids", *keys, *names, encoder.pair_buckets)
        every = json.loads((folder / "forms.json").read_text("utf-8"))
        kinds = ("tokens", "tags", *["pairs"] * bool(encoder.pair_buckets))
        columns = {kind: read_ids(folder, kind, "int32") for kind in kinds}
    else:
        lengths, found = zip(*parts(), strict=True)
        ends = np.append(0, np.cumsum(np.concatenate(lengths)))
        columns = {
            name: tf.RaggedTensor.from_row_splits(
                np.concatenate([one[name] for one in found]), ends
            )
            for name in found[0]
        }
        every = [*rows]
    forms = tf.constant(every, tf.string)
    spelled = encoder.spell(forms) if encoder.max_characters else None
    affixes = encoder.affixes(forms) if encoder.affix_buckets else None
    return Forms(tf.where(forms == "", 0, encoder.words.lookup(forms)), spelled, affixes), columns


def in_pieces(tagged: Tagged, longest: int) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The tokens and tags of sentences, where those that are too long are cut, and spans with them.

    Args:
        tagged: The sentences.
        longest: Tokens of a piece, at most.
    """
    for words, tags in zip(tagged.tokens, tagged.tags, strict=True):
        for start in range(0, len(words), longest):
            piece = tags[start : start + longest]
            whole = len(piece) == len(tags)
            yield words[start : start + longest], piece if whole else tagged.scheme.mended(piece)
