"""Named data sets and users' own files, their splits, and batches of similar length.

Each name is loaded on first use: a command that reads a table alone imports no TensorFlow.
"""

import importlib
from typing import Any

_NAMES = {
    "batching": "Batches, CroppedBatches, PairBatches",
    "columns": "Columns",
    "dates": "make_dates",
    "electricity": "NOISE, make_load",
    "examples": "Examples, from_table, read_examples",
    "given": "columns_given, texts_given, together",
    "input_pipeline": "as_it_is, feed",
    "labelled": "text_of",
    "long_text": "LongText, are_long, read_long_text",
    "named": "check_known, load_registered, load_tfds, register",
    "names_in_context": "make_names",
    "pairs": "Pairs, clean_pairs, read_pairs",
    "reviews": "make_reviews",
    "series": "Series, SeriesSet, features_of, read_series, stamp_of",
    "splits": "Splits, fingerprint, stratified_split",
    "stored": "StoredTexts, encode_texts, joined, let_go, mapped, store_ids",
    "streams": "Streams, StreamsByDirection",
    "tables": "Table, read_table",
    "tagged": "TagColumns, Tagged, from_long_table, make_tagged, read_tagged",
    "tagged_batches": "NO_TAG, Forms, TaggedBatches, encode_tagged",
    "texts": "read_bytes, read_text",
    "times": "season_of",
    "unlabelled": "Unlabelled, read_unlabelled",
    "windows": "Windows, WindowShape",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split(", ")}

__all__ = [
    "NOISE",
    "NO_TAG",
    "Batches",
    "Columns",
    "CroppedBatches",
    "Examples",
    "Forms",
    "LongText",
    "PairBatches",
    "Pairs",
    "Series",
    "SeriesSet",
    "Splits",
    "StoredTexts",
    "Streams",
    "StreamsByDirection",
    "Table",
    "TagColumns",
    "Tagged",
    "TaggedBatches",
    "Unlabelled",
    "WindowShape",
    "Windows",
    "are_long",
    "as_it_is",
    "check_known",
    "clean_pairs",
    "columns_given",
    "encode_tagged",
    "encode_texts",
    "features_of",
    "feed",
    "fingerprint",
    "from_long_table",
    "from_table",
    "joined",
    "let_go",
    "load_registered",
    "load_tfds",
    "make_dates",
    "make_load",
    "make_names",
    "make_reviews",
    "make_tagged",
    "mapped",
    "read_bytes",
    "read_examples",
    "read_long_text",
    "read_pairs",
    "read_series",
    "read_table",
    "read_tagged",
    "read_text",
    "read_unlabelled",
    "register",
    "season_of",
    "stamp_of",
    "store_ids",
    "stratified_split",
    "text_of",
    "texts_given",
    "together",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnapps.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rnnapps.data.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
