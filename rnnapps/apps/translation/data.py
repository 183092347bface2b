"""Where a translator's pairs come from."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
import tensorflow as tf

from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.data import Pairs, load_tfds, make_dates, read_pairs, stratified_split, text_of
from rnnapps.errors import DataError, nearest

NAMED = ("sample", "multi30k", "ted_hrlr_translate")


@dataclasses.dataclass(frozen=True)
class Splits:
    """The three parts of a data set, and what was read."""

    train: Pairs
    validation: Pairs
    test: Pairs
    said: tuple[str, ...] = ()


def load_splits(config: TranslationConfig) -> Splits:
    """Loads the configuration's data and divides it.

    A data set's own parts stay as they are. Otherwise validation and test are a twentieth each, and
    all pairs of one text are in the same part.

    Args:
        config: Its `data`, `target_data`, `data_dir`, `source`, `target`, their columns, `seed` and
            how the file is written are read.

    Returns:
        The parts.

    Raises:
        DataError: If the data cannot be read, or lacks one of the languages.
    """
    if config.data == "multi30k":
        from rnnapps.data.multi30k import LANGUAGES  # and registers the data set

        _check_languages(config, LANGUAGES)
        return _load_named("multi30k", config)
    if config.data == "ted_hrlr_translate":
        return _load_named(f"ted_hrlr_translate/{_ted_config(config)}", config)
    if config.data == "sample":
        return Splits(*split(Pairs(*make_dates()), (0.9, 0.05, 0.05), config.seed))
    path = pathlib.Path(config.data)
    if not path.exists() and not path.suffix:
        raise DataError(
            f"Expected --data to be {', '.join(NAMED)}, or the path of a file. "
            f"Received: {config.data!r}.{nearest(config.data, list(NAMED))}"
        )
    columns = (config.source_column, config.target_column)
    languages = (config.source, config.target)
    pairs = read_pairs(path, config.target_data, columns, languages, config)
    return Splits(*split(pairs, (0.9, 0.05, 0.05), config.seed), pairs.said)


def split(pairs: Pairs, fractions: Sequence[float], seed: int) -> list[Pairs]:
    """Divides pairs into parts, all pairs of one text in the same."""
    parts = stratified_split(pairs.sources, [""] * len(pairs), fractions, seed)
    if not all(map(len, parts)):
        raise DataError(
            "Expected enough distinct texts to set some aside. "
            f"Received: {len(set(pairs.sources))} in all."
        )
    return [pairs.take(part) for part in parts]


def as_pairs(given: Any) -> Pairs:
    """Pairs from what a person has at hand.

    Args:
        given: `Pairs`; two lists, of the texts and of their translations; a DataFrame whose first
            two columns they are; or a `tf.data.Dataset` of such pairs, one at a time or in batches.

    Returns:
        The pairs.

    Raises:
        DataError: If there are more texts than translations, or fewer.
    """
    if isinstance(given, Pairs):
        return given
    if isinstance(given, pd.DataFrame):
        given = (given.iloc[:, 0], given.iloc[:, 1])
    if isinstance(given, tf.data.Dataset):
        batches = [[tf.reshape(x, [-1]).numpy() for x in pair] for pair in given]
        given = ([x for batch in column for x in batch] for column in zip(*batches, strict=True))
    sources, targets = ([text_of(x) for x in column] for column in given)
    if len(sources) != len(targets):
        raise DataError(
            f"Expected a translation for each text. Received: {len(sources):,} texts, "
            f"{len(targets):,} translations."
        )
    return Pairs(sources, targets)


def fingerprint(*parts: Pairs) -> str:
    """What tells these pairs from any others: a run is only evaluated beside its own."""
    contents = [json.dumps([part.sources, part.targets]).encode() for part in parts]
    digests = [hashlib.sha256(content).hexdigest()[:16] for content in contents]
    return "; ".join(f"{len(p)} pairs, sha256 {d}" for p, d in zip(parts, digests, strict=True))


def _load_named(name: str, config: TranslationConfig) -> Splits:
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
