"""Converts what Python users pass: lists, arrays, tables, `tf.data`, files."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.config import TableOptions
from rnnapps.data.rows import is_table, open_rows
from rnnapps.data.tables import read_table
from rnnapps.errors import DataError

_FORMS = "a list of texts, a tuple, array, Series, DataFrame, tf.data.Dataset or Path"


def texts_given(inputs: Any, column: str | None = None) -> list[str | bytes]:
    """The texts that a person wants answers for.

    Args:
        inputs: A list, tuple, NumPy array or Series of texts; a DataFrame with the column; a
            `tf.data.Dataset` of texts, one at a time or in batches; or the path of a table, or of
            a file with a text a line.
        column: The table's column; `None` for the only one.

    Returns:
        The texts.

    Raises:
        DataError: If it is anything else, one text among it.
    """
    if isinstance(inputs, str | bytes):
        raise DataError(f"Expected {_FORMS}. Received: one text; put it into a list.")
    if isinstance(inputs, pathlib.Path):
        inputs = _file(inputs, None)
    if isinstance(inputs, pd.DataFrame):
        inputs = inputs[_named([*inputs], (column,))[0]]
    elif isinstance(inputs, tf.data.Dataset):
        inputs = _dataset(inputs, 1)[0]
    return _column(inputs)


def columns_given(
    given: Any, names: Sequence[str | None], keyword: str, options: TableOptions | None = None
) -> tuple[list, list]:
    """Texts and what belongs to each of them.

    Args:
        given: Two lists, tuples, arrays or Series; a DataFrame or a mapping with the columns; a
            `tf.data.Dataset` of pairs, one at a time or in batches; or the path of a table.
        names: The two columns' names in a table; `None` for the first two.
        keyword: How `fit` names the second of them, such as `"labels"`.
        options: How the table is written.

    Returns:
        Two lists of the same length.

    Raises:
        DataError: If it is anything else, or one is longer than the other.
    """
    if isinstance(given, pathlib.Path):
        given = read_table(given, options, [name for name in names if name]).frame
    if isinstance(given, Mapping | pd.DataFrame):
        given = [given[name] for name in _named([*given], names)]
    elif isinstance(given, tf.data.Dataset):
        given = _dataset(given, 2)
    if not isinstance(given, list | tuple | np.ndarray) or len(given) != 2:
        raise DataError(
            f"Expected texts and {keyword} (fit(texts, {keyword}=...)), a DataFrame with both, a "
            f"tf.data.Dataset of pairs or a Path. Received: {_shown(given)}."
        )
    first, second = (_column(one) for one in given)
    if len(first) != len(second):
        raise DataError(
            f"Expected as many {keyword} as texts. Received: {len(first):,} texts, "
            f"{len(second):,} {keyword}."
        )
    return first, second


def together(train: Any, validation: Any, **named: Any) -> Any:
    """What `fit` is to learn from, where a part of it is given by name.

    Args:
        train: The texts, or all there is.
        validation: The validation part, which stands second.
        **named: `labels`, or `sources` and `targets`; `None` where they are not given.

    Returns:
        A pair of the texts and what belongs to them, or `train` as it is.

    Raises:
        DataError: If a list of labels stands where the validation part belongs, or half is missing.
    """
    if validation is not None and train is not None and _is_column(validation):
        raise DataError(
            "Expected validation to be examples, as train. Received: one list; labels and "
            "translations are given by name: fit(texts, labels=...), fit(texts, targets=...)."
        )
    given = {name: value for name, value in named.items() if value is not None}
    if not given:
        return train
    texts = given.pop("sources", train)
    if texts is None or len(given) != 1:
        raise DataError(
            "Expected texts with labels= or with targets=. Received: "
            f"{', '.join(f'{name}=' for name in named if named[name] is not None)}."
        )
    return texts, next(iter(given.values()))


def _column(values: Any) -> list:
    """A list of single values."""
    if isinstance(values, pd.Series):
        return values.tolist()
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values.tolist()
    if isinstance(values, list | tuple) and not any(map(_nested, values)):
        return list(values)
    raise DataError(f"Expected {_FORMS}. Received: {_shown(values)}.")


def _is_column(value: Any) -> bool:
    """Whether a value is a list of single ones, such as labels, and not examples."""
    if isinstance(value, list | tuple):
        return bool(value) and not any(map(_nested, value))
    return isinstance(value, pd.Series) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _nested(value: Any) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray | pd.Series | pd.DataFrame)


def _named(columns: list, names: Sequence[str | None]) -> list:
    """The columns of these names; the first ones where no names are given."""
    if all(name is None for name in names):
        if len(names) > len(columns) or (len(names) == 1 and len(columns) > 1):
            raise DataError(
                f"Expected a DataFrame of {len(names)} column(s), or its column df[name]. Received "
                f"columns: {', '.join(map(str, columns))}."
            )
        return columns[: len(names)]
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(
            f"Expected a column {missing[0]!r}. Received columns: {', '.join(map(str, columns))}."
        )
    return list(names)


def _dataset(dataset: tf.data.Dataset, parts: int) -> list[list]:
    """The columns of a dataset of values, or of pairs; one at a time or in batches."""
    rows = list(dataset.as_numpy_iterator())
    if any((len(row) if isinstance(row, tuple) else 1) != parts for row in rows[:1]):
        raise DataError(
            f"Expected a tf.data.Dataset of {'pairs' if parts == 2 else 'texts'}. Received: "
            f"{dataset.element_spec}."
        )
    columns = zip(*rows, strict=True) if parts > 1 else [rows]
    return [[one for part in column for one in np.atleast_1d(part).tolist()] for column in columns]


def _file(path: pathlib.Path, options: TableOptions | None) -> Any:
    if path.is_file() and is_table(path):
        return read_table(path, options).frame
    with open_rows(path, options) as rows:
        return [row["text"] for chunk, _ in rows.chunks for row in chunk]


def _shown(value: Any) -> str:
    kind = type(value).__name__
    return f"{value.ndim} dimensions of numbers" if isinstance(value, np.ndarray) else f"a {kind}"
