"""Loads a tagger's sentences, and encodes them."""

import dataclasses
import functools
import itertools
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import tensorflow as tf

from rnnapps.apps.tagging.config import TaggingConfig
from rnnapps.data import (
    Splits,
    Table,
    TagColumns,
    Tagged,
    TaggedBatches,
    Unlabelled,
    check_known,
    encode_tagged,
    from_long_table,
    load_registered,
    make_names,
    make_tagged,
    read_tagged,
    read_unlabelled,
    splits,
    stratified_split,
    texts_given,
)
from rnnapps.errors import DataError
from rnnapps.spans import scheme_of
from rnnapps.text import OffsetTokenizer, TokenEncoder, tokenize_texts, utf8
from rnnapps.training import static_lengths

PREPARED = ("ud_english_ewt", "wnut17", "resume_ner")
NAMED = ("sample", *PREPARED)
MOST_CHARACTERS = 20  # per token
BY_KIND = ("character_units", "affix_dim", "pair_dim")  # set by the kind of tokenization
_PARTS = {  # by words in the file name
    "train": ("train",),
    "validation": ("dev", "valid", "testa"),
    "test": ("test", "testb"),
}


def load_splits(config: TaggingConfig) -> Splits[Tagged]:
    """Loads the configuration's data and splits it.

    Predefined parts of the data are kept. Otherwise validation and test are a tenth each.

    Args:
        config: The configuration: `data`, `data_dir`, columns, `seed` and table format.

    Returns:
        The parts.

    Raises:
        DataError: If the data cannot be read.
    """
    parts = _load(config)
    whole = parts.get("all") or parts["train"]
    divide = functools.partial(split, seed=config.seed)
    train, validation, test = splits.named_splits(parts, divide)
    notes = [*whole.notes]
    if "all" not in parts:
        notes += [note for name in ("validation", "test") if name in parts
                  for note in parts[name].notes]  # fmt: skip
    return Splits(train, validation, test, whole.said, tuple(notes))


def given_splits(config: TaggingConfig, **given: Any) -> Splits[Tagged]:
    """Splits a user's own sentences.

    Args:
        config: The configuration.
        **given: `train`, `validation` and `test`, each as for `as_tagged`, or `None`.

    Returns:
        The parts: only `test` if that is given.

    Raises:
        DataError: If the sentences cannot be read.
    """
    parts = splits.given_splits(
        functools.partial(as_tagged, config=config),
        functools.partial(split, fractions=(0.9, 0.1), seed=config.seed),
        **given,
    )
    if parts.train is not None:
        held = parts.validation.written_as(parts.train.scheme)
        parts = dataclasses.replace(parts, validation=held)
    found = (part for part in (parts.train, parts.validation, parts.test) if part is not None)
    notes = tuple(dict.fromkeys(note for part in found for note in part.notes))
    return dataclasses.replace(parts, notes=notes)


def split(tagged: Tagged, fractions: Sequence[float], seed: int) -> list[Tagged]:
    """Splits sentences into parts; duplicates go to the same part."""
    # Not stratified: there are too many combinations of tags.
    parts = stratified_split(tagged.keys, [""] * len(tagged), fractions, seed)
    first, *others = (tagged.take(part) for part in parts)
    return [dataclasses.replace(first, said=tagged.said, notes=tagged.notes), *others]


def as_tagged(given: Any, config: TaggingConfig) -> Tagged:
    """Converts a user's sentences.

    Args:
        given: A pair of tokens and tags, each with one list per sentence; a DataFrame with one
            token per row and the configuration's `sentence_column`; the path of a file that
            `read_tagged` reads; or `Tagged`.
        config: The configuration.

    Returns:
        The sentences.

    Raises:
        DataError: If it is anything else, or tokens and tags differ in number.
    """
    if isinstance(given, Tagged):
        return given
    if isinstance(given, pathlib.Path):
        return read_tagged(given, columns_of(config), config)
    if isinstance(given, pd.DataFrame):
        return from_long_table(Table(given), columns_of(config))
    if not isinstance(given, tuple | list) or len(given) != 2 or len(given[0]) != len(given[1]):
        raise DataError(
            "Expected a pair of tokens and tags, each with one list per sentence; a DataFrame with "
            f"one token per row; or a Path. Received: a {type(given).__name__}."
        )
    columns = [[list(map(_text, sentence)) for sentence in column] for column in given]
    return dataclasses.replace(make_tagged(*columns), said=())


def _text(value: Any) -> str:
    """A token or tag as valid Unicode text."""
    return utf8(str(value)).decode()


def columns_of(config: TaggingConfig) -> TagColumns:
    """Where the tokens and tags are in the configuration's files."""
    return TagColumns(config.token_column, config.tag_column, config.sentence_column)


def tag_names(tagged: Tagged) -> list[str]:
    """The tags: O first, then in alphabetical order."""
    names = {tag for tags in tagged.tags for tag in tags}
    return sorted(names, key=lambda name: (name != "O", name))


def fingerprint(*parts: Tagged) -> str:
    """A hash of the sentences: a run is only evaluated on its own data."""
    contents = (splits.json_pieces(part.tokens, part.tags) for part in parts)
    return splits.fingerprint("sentences", *zip(parts, contents, strict=True))


def known_words(
    train: Tagged | None, config: TaggingConfig, vocabulary: Iterable[str]
) -> set[str] | None:
    """The words of the labelled training set; `None` if only a larger vocabulary is known.

    Args:
        train: The training set, if available.
        config: The configuration: with `unlabelled` or `init_from` the vocabulary has more words.
        vocabulary: The network's vocabulary.
    """
    if train is not None:
        return {word for words in train.tokens for word in words}
    return None if config.unlabelled or config.init_from else set(vocabulary)


def unlabelled(parts: Splits[Tagged], config: TaggingConfig) -> Unlabelled:
    """The configuration's unlabelled texts, except those in any part of the data."""
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    texts = {name: map(" ".join, part.tokens) for name, part in named.items() if part is not None}
    return read_unlabelled(config.unlabelled, config.text_column, config, **texts)


def decided(config: TaggingConfig, kind: str) -> TaggingConfig:
    """Fills in settings that depend on the kind of tokenization.

    Args:
        config: The configuration.
        kind: The kind, as in `OffsetTokenizer`.

    Returns:
        The configuration; tokens that are characters have bigrams, but no characters or affixes.
    """
    alone = kind == "character"
    pairs = config.pair_dim if config.pair_dim is not None else 50 if alone else 0
    found = {"pair_dim": pairs}
    if alone:
        found |= {"character_units": 0, "affix_dim": 0}
    return config.model_copy(update=found)


def batches(
    tagged: Tagged, encoder: TokenEncoder, names: Sequence[str], config: TaggingConfig
) -> TaggedBatches:
    """Batches sentences by length, split into pieces of `max_length`.

    Args:
        tagged: The sentences.
        encoder: The adapted token encoder.
        names: The tag names; other tags are masked.
        config: The configuration.

    Returns:
        The batches.
    """
    forms, columns = encode_tagged(tagged, encoder, names, config.max_length)
    bounds = static_lengths(config, config.max_length)
    options = (config.batch_size, bounds, config.seed)
    tokens, tags, pairs = (columns.get(name) for name in ("tokens", "tags", "pairs"))
    return TaggedBatches(tokens, tags, forms, *options, pairs)


def check_parts(parts: Splits[Tagged], where: str) -> None:
    """Refuses data with a single tag, or with too few sentences to split.

    Args:
        parts: The parts.
        where: Names the data in the message.
    """
    names = tag_names(parts.train)
    if len(names) < 2:
        raise DataError(
            f"Expected at least two tags. Received: the training part{where}, with only "
            f"{', '.join(names)}; name another --tag-column."
        )
    splits.check_divided(parts, "sentences", where)


def _load(config: TaggingConfig) -> dict[str, Tagged]:
    if (registered := load_registered(config.data)) is not None:
        return {"all": as_tagged(registered, config)}
    if config.data == "sample":
        tokens, tags = make_names()
        return {"all": Tagged(tokens, tags, scheme=scheme_of(tags))}
    if config.data in PREPARED:
        return _from_folder(_prepared(config), config)
    check_known(config.data, NAMED, "a file or folder")
    path = pathlib.Path(config.data)
    if path.is_dir():
        return _from_folder(path, config)
    return {"all": read_tagged(path, columns_of(config), config)}


def _prepared(config: TaggingConfig) -> pathlib.Path:
    """The folder of the named data set."""
    root = pathlib.Path(config.data_dir or ".")
    if not (root / config.data).is_dir():
        raise DataError(
            f"{config.data} is not prepared: expected a folder {root / config.data} with training, "
            "development and test files; name the folder that holds it with --data-dir, or train "
            "on --data=sample."
        )
    return root / config.data


def _from_folder(folder: pathlib.Path, config: TaggingConfig) -> dict[str, Tagged]:
    """A file for each part, by words in its name."""
    found: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if name.startswith(".") or path.is_dir():
            continue
        part = next((p for p, words in _PARTS.items() if any(w in name for w in words)), None)
        if part in found:
            raise DataError(
                f"Expected one file per part in {folder}. Received: {found[part].name} and "
                f"{path.name}; name a file."
            )
        if part:
            found[part] = path
    if "train" not in found:
        raise DataError(f"Expected a file with train in its name in {folder}. Received: none.")
    parts = {name: read_tagged(path, columns_of(config), config) for name, path in found.items()}
    said = tuple(line for part in parts.values() for line in part.said)
    train = dataclasses.replace(parts.pop("train"), said=said)
    return {"train": train, **{name: p.written_as(train.scheme) for name, p in parts.items()}}


def notes_on(parts: Splits[Tagged], names: Sequence[str], config: TaggingConfig) -> list[str]:
    """Notes about the sentences for the user, before training."""
    notes, longest = [], config.max_length
    long = [len(tokens) for tokens in parts.train.tokens if len(tokens) > longest]
    if long:
        notes.append(
            f"{len(long):,} training sentences have over {longest:,} tokens (up to {max(long):,}), "
            "and are split (--max-length)"
        )
    unknown = sorted(set(tag_names(parts.validation)) - set(names))
    if unknown:
        notes.append(
            "the validation part has tags that training lacks, which val_loss ignores: "
            f"{', '.join(unknown)}"
        )
    return notes


def word_ids(sentences: Sequence[Sequence[str]], encoder: TokenEncoder) -> tf.RaggedTensor:
    """The words' ids, ragged `(sentences, time)`."""
    flat = tf.constant([token for tokens in sentences for token in tokens], tf.string)
    return tf.RaggedTensor.from_row_lengths(encoder.words.lookup(flat), [len(s) for s in sentences])


def cut(texts: Sequence[str], tokenizer: OffsetTokenizer) -> list[list[str]]:
    """The tokens of texts, without texts that have none."""
    found = (words for words, _, _ in tokenize_texts(texts, tokenizer.kind))
    return [words for words in found if words]


def cut_inputs(
    inputs: Any,
    tokenized: bool,
    tokenizer: OffsetTokenizer,
    column: str,
) -> tuple[list[str], list[tuple[list[str], list[tuple[int, int]]]]]:
    """Converts inputs for prediction to texts and their tokens.

    Args:
        inputs: Lists of tokens; or texts.
        tokenized: Whether texts are tokenized, with spaces between tokens.
        tokenizer: Tokenizer of other texts.
        column: The text column, for tables.

    Returns:
        The texts, with lists of tokens joined by spaces; and for each its tokens with their
        offsets.
    """
    lists = isinstance(inputs, list) and inputs and all(isinstance(x, list | tuple) for x in inputs)
    if lists:
        texts = [" ".join(map(str, tokens)) for tokens in inputs]
        return texts, [_placed(list(map(str, tokens))) for tokens in inputs]
    texts = [utf8(text).decode("utf-8", "replace") for text in texts_given(inputs, column)]
    if tokenized:
        found = ([(m[0], m.span()) for m in re.finditer(r"\S+", text)] for text in texts)
        return texts, [([word for word, _ in row], [place for _, place in row]) for row in found]
    cuts = tokenize_texts(texts, tokenizer.kind)
    return texts, [(words, list(zip(starts, ends, strict=True))) for words, starts, ends in cuts]


def _placed(tokens: list[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """Tokens, and their offsets in the text that joins them with spaces."""
    ends = list(itertools.accumulate(len(token) + 1 for token in tokens))
    return tokens, [
        (end - 1 - len(token), end - 1) for token, end in zip(tokens, ends, strict=True)
    ]
