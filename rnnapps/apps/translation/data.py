"""Loads a translator's pairs."""

import functools
import itertools
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.data import (
    Pairs,
    Splits,
    StoredTexts,
    check_known,
    clean_pairs,
    columns_given,
    encode_texts,
    load_registered,
    load_tfds,
    make_dates,
    read_pairs,
    splits,
    stratified_split,
    text_of,
)
from rnnapps.errors import DataError
from rnnapps.files import check_there
from rnnapps.progress import say, tracked
from rnnapps.text import CharacterTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

_WHOLE = {"word": WordTokenizer, "character": CharacterTokenizer}
_MOST = 2**24  # bytes of stored texts from which pieces of words are learned
_MOST_HELD = 10_000  # pairs in each part that is set aside: to translate more says no more
_CHARACTERS = 1_000  # of the texts, that there have to be for each piece of a word
NAMED = ("sample", "multi30k", "ted_hrlr_translate")


def load_splits(config: TranslationConfig) -> Splits[Pairs]:
    """Loads the configuration's data and divides it.

    A data set's own parts stay as they are. Otherwise validation and test are a twentieth each, at
    most 10,000 pairs each, and all pairs of one text are in the same part.

    Args:
        config: Its `data`, `target_data`, `data_dir`, `source`, `target`, their columns, `seed` and
            how the file is written are read.

    Returns:
        The parts.

    Raises:
        DataError: If the data cannot be read, or lacks one of the languages.
    """
    if (registered := load_registered(config.data)) is not None:
        return Splits(*split(as_pairs(registered), (0.9, 0.05, 0.05), config.seed))
    if config.data == "multi30k":
        from rnnapps.data.multi30k import LANGUAGES  # and registers the data set

        _check_languages(config, LANGUAGES)
        return _load_named("multi30k", config)
    if config.data == "ted_hrlr_translate":
        return _load_named(f"ted_hrlr_translate/{_ted_config(config)}", config)
    if config.data == "sample":
        return Splits(*split(Pairs(*make_dates()), (0.9, 0.05, 0.05), config.seed))
    check_known(config.data, NAMED, "a file")
    if config.target_data is not None:
        check_there(config.target_data, "target_data")
    path = pathlib.Path(config.data)
    columns = (config.source_column, config.target_column)
    languages = (config.source, config.target)
    pairs = read_pairs(path, config.target_data, columns, languages, config)
    return Splits(*split(pairs, (0.9, 0.05, 0.05), config.seed), pairs.said)


def given_splits(config: TranslationConfig, **given: Any) -> Splits[Pairs]:
    """Divides a person's own pairs.

    Args:
        config: The configuration.
        **given: `train`, `validation` and `test`, each as `as_pairs` takes it or `None`.

    Returns:
        The parts: `test` alone where it is given.

    Raises:
        DataError: If the pairs cannot be read.
    """
    divide = functools.partial(split, fractions=(0.9, 0.1), seed=config.seed)
    return splits.given_splits(as_pairs, divide, **given)


def split(pairs: Pairs, fractions: Sequence[float], seed: int) -> list[Pairs]:
    """Divides pairs into parts, all pairs of one text in the same.

    Args:
        pairs: The pairs.
        fractions: The share of each part; they sum to 1. Of the parts behind the first none has
            over 10,000 pairs (more by a text with several translations); the first has the rest.
        seed: Seed of the division.

    Returns:
        The parts.
    """
    held = [min(fraction, _MOST_HELD / max(1, len(pairs))) for fraction in fractions[1:]]
    fractions = (1 - sum(held), *held)
    parts = stratified_split(pairs.sources, [""] * len(pairs), fractions, seed)
    return [pairs.take(part) for part in parts]


def check_parts(parts: Splits[Pairs], where: str) -> None:
    """Refuses data with too few texts to split.

    Args:
        parts: The parts.
        where: Names the data in the message.
    """
    splits.check_divided(parts, "texts", where)


def as_pairs(given: Any) -> Pairs:
    """Pairs from what a person has at hand.

    Args:
        given: `Pairs`; two lists, of the texts and of their translations; a DataFrame whose first
            two columns they are, or the path of such a table; or a `tf.data.Dataset` of such
            pairs, one at a time or in batches.

    Returns:
        The pairs.

    Raises:
        DataError: If there are more texts than translations, or fewer.
    """
    if isinstance(given, Pairs):
        return given
    if isinstance(given, pathlib.Path):
        return read_pairs(given)
    sources, targets = columns_given(given, (None, None), "targets")
    return Pairs([text_of(x) for x in sources], [text_of(x) for x in targets])


def fingerprint(*parts: Pairs) -> str:
    """What tells these pairs from any others: a run is only evaluated beside its own."""
    contents = (splits.json_pieces(part.sources, part.targets) for part in parts)
    return splits.fingerprint("pairs", *zip(parts, contents, strict=True))


def make_tokenizers(pairs: Pairs, config: TranslationConfig) -> tuple[Tokenizer, Tokenizer]:
    """Makes the tokenizers of both sides, and adapts them.

    Args:
        pairs: The training pairs.
        config: The configuration.

    Returns:
        The tokenizers of the texts and of their translations; with a joint vocabulary the same.
    """
    if config.vocabulary == "joint":
        return (_make([pairs.sources, pairs.targets], "tokenizer", config),) * 2
    sides = (([pairs.sources], "source_tokenizer"), ([pairs.targets], "target_tokenizer"))
    return tuple(_make(*side, config) for side in sides)


def _make(sides: list[Sequence[str]], name: str, config: TranslationConfig) -> Tokenizer:
    size, options = config.max_tokens, {"lower": config.lowercase, "tidy": True, "name": name}
    if config.tokenizer in _WHOLE:  # verbatim, so that tokens give the text's spaces back
        tokenizer = _WHOLE[config.tokenizer](size, verbatim=True, **options)
    else:  # few texts have few pieces that are seen often
        sides = [_some(side, name) for side in sides]
        length, characters = 0, set()
        for text in itertools.chain(*sides):
            length += len(text)
            characters.update(text)
        size = min(size, max(length // _CHARACTERS, len(characters) + 100))
        if size < config.max_tokens and "max_tokens" in config.model_fields_set:
            print(
                f"{name}: {size:,} subwords instead of --max-tokens {config.max_tokens:,}, for "
                f"which {length:,} characters are too few",
                file=sys.stderr,
            )
        tokenizer = SubwordTokenizer(size, algorithm=config.tokenizer, **options)
    tokenizer.adapt(tracked(itertools.chain(*sides), "texts", sum(map(len, sides))))
    return tokenizer


def _some(texts: Sequence[str], name: str) -> Sequence[str]:
    """Of stored texts as many as pieces of words are learned from in bounded memory."""
    if not isinstance(texts, StoredTexts):
        return texts
    step = max(1, -(-int(texts.sizes.sum()) // _MOST))
    if step > 1:
        say([f"{name}: subwords are learned from one text in {step}"])
    return texts.take(range(0, len(texts), step))


def encode(
    pairs: Pairs,
    tokenizers: tuple[Tokenizer, Tokenizer],
    config: TranslationConfig,
    part: str = "",
) -> tuple[tuple[tf.RaggedTensor, tf.RaggedTensor], np.ndarray, dict[str, int]]:
    """Turns pairs into ids, finds those from which something can be learned, and says how many.

    Args:
        pairs: The pairs.
        tokenizers: The tokenizers of both sides.
        config: Its `max_length` and `max_ratio` are read.
        part: What the pairs are called in what is printed.

    Returns:
        The ids of both sides, ragged `(pairs, time)`; and what `data.clean_pairs` returns.

    Raises:
        DataError: If no pair is left.
    """
    texts = (pairs.sources, pairs.targets)
    ids = tuple(encode_texts(one, side) for one, side in zip(tokenizers, texts, strict=True))
    kept, found = clean_pairs(*ids, config.max_length, config.max_ratio)
    if out := found["pairs"] - len(kept):
        print(
            f"{part}pairs: {found['pairs']:,}, of which {out:,} left out ({found['empty']:,} with "
            f"an empty side, {found['long']:,} of over {config.max_length} tokens, "
            f"{found['uneven']:,} with one side over {config.max_ratio:g} times as long)",
            file=sys.stderr,
        )
    if not len(kept):
        raise DataError(
            f"Expected {part}pairs to learn from. Received: {found['pairs']:,}, all left out; see "
            "--max-length and --max-ratio."
        )
    return ids, kept, found


def _load_named(name: str, config: TranslationConfig) -> Splits[Pairs]:
    parts = load_tfds(name, ("train", "validation", "test"), config.data_dir)
    return Splits(*(
        Pairs(*([row[x].decode() for row in rows] for x in (config.source, config.target)))
        for rows in parts
    ))  # fmt: skip


def _check_languages(config: TranslationConfig, languages: Sequence[str]) -> None:
    for name in ("source", "target"):
        if getattr(config, name) not in languages:
            raise DataError(
                f"Expected --{name} to be a language of {config.data}: {', '.join(languages)}. "
                f"Received: {getattr(config, name)!r}."
            )


def _ted_config(config: TranslationConfig) -> str:
    """The tfds configuration that holds both languages, in either order."""
    import tensorflow_datasets as tfds

    known = tfds.builder_cls("ted_hrlr_translate").builder_configs
    names = [f"{one}_to_{other}" for one, other in
             ((config.source, config.target), (config.target, config.source))]  # fmt: skip
    for name in names:
        if name in known:
            return name
    pairs = ", ".join(sorted(name.replace("_to_", " and ") for name in known))
    raise DataError(
        f"Expected --source and --target to be languages of ted_hrlr_translate: {pairs}. "
        f"Received: {config.source!r} and {config.target!r}."
    )
