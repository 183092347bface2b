"""A large table's columns in files, mapped into memory: numbers, times, and words by number."""

import contextlib
import json
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.config import SeriesOptions
from rnnapps.data.cache import cached
from rnnapps.data.large import chunks_of
from rnnapps.data.rows import Row, open_rows
from rnnapps.data.tables import Table, refuse_twice
from rnnapps.data.timestamps import looks_like_times, zone_name
from rnnapps.errors import DataError
from rnnapps.files import checksum, read_json
from rnnapps.progress import tracked

_TYPES = {"numbers": np.dtype("f8"), "times": np.dtype("M8[us]"), "words": np.dtype("i4")}
_CELLS = 1 << 17  # that are looked at together: pandas is slow with a few at a time
_WHOLE, _POINT = r"[-+]?\d+", r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ISO = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?"


def read_columns(
    path: pathlib.Path | str,
    tables: Sequence[pathlib.Path],
    options: SeriesOptions,
    wanted: Sequence[str],
    named: Collection[str] = (),
    decimal: str | None = None,
) -> Table:
    """Reads tables a chunk at a time.

    A column of plain numbers becomes numbers, and one of dates or times in ISO 8601 without zones
    becomes times: these can be read in one way, unless the options say how times are written. Any
    other stays words, each of which is in memory once. The index of a DataFrame in Parquet is what
    `from_frame` makes of it.

    Args:
        path: What names the tables.
        tables: The tables.
        options: How they are written.
        wanted: Names of columns that are looked for, which decide between two readings.
        named: Columns that stay words, such as that of the series' names, which is categorical.
        decimal: The decimal mark of other tables of the kind, where it is no point.

    Returns:
        The rows of all tables, whose columns are mapped into memory.

    Raises:
        DataError: If a table cannot be read, or has not the first one's columns.
    """
    with open_rows(tables[0], options, wanted) as head:
        names, separator = head.names, head.separator if head.format in ("csv", "tsv") else None
    refuse_twice(names, str(tables[0]))
    point = not (options.decimal or options.thousands or decimal)
    notes: list[str] = [f"{len(tables):,} files"] if len(tables) > 1 else []

    def check(found: Iterable[str], table: pathlib.Path) -> None:
        if {*found} != {*names}:
            raise DataError(
                f"Expected all files to have the columns {', '.join(names)}. Received: {table}, "
                f"with {', '.join(found)}."
            )

    def make(folder: pathlib.Path) -> None:
        words, rows = {*named}, None
        while rows is None:  # again where a column turned out to be words, or to be there, later
            how = notes[:]
            chunks = chunks_of(tables, options, wanted, how, check)
            stored = _Columns(folder, names, words, point, options.time_format)
            with contextlib.closing(stored) as columns:
                rows = columns.take(chunks)
        if not rows:
            raise DataError(f"{path} holds no rows.")
        columns.finish([*dict.fromkeys(how)])

    sums = [checksum(one) for one in tracked(tables, "files")]
    key = (*sorted(named), "", point, separator, options.encoding, options.time_format)
    folder = cached(make, "columns", path, *tables, *sums, *key)
    found = read_json(folder / "columns.json")
    loaded = _with_index(dict(_loaded(folder, found, named)), head.schema)
    frame = pd.DataFrame(loaded, copy=False)
    return Table(frame, str(path), tuple(found["notes"]), separator)


def _loaded(
    folder: pathlib.Path, found: dict[str, Any], named: Collection[str]
) -> Iterable[tuple[str, Any]]:
    """The columns by their names, but those that have no name and hold nothing."""
    for number, (name, kind) in enumerate(found["kinds"]):
        kind, _, zone = kind.partition(" ")
        values = np.memmap(folder / str(number), _TYPES[kind], "r")
        if kind != "words":
            if name or not np.isnan(values).all():
                local = zone and pd.Series(values).dt.tz_localize("UTC").dt.tz_convert(zone)
                yield name, local if zone else values
            continue
        words = pd.Categorical.from_codes(values, found["words"][name])
        yield name, words if name in named else pd.Series(words).astype(str)


def _with_index(columns: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The columns, where some are a DataFrame's index: first, or left out as numbers of rows."""
    about = getattr(schema, "pandas_metadata", None) or {}
    index = [name for name in about.get("index_columns", ()) if isinstance(name, str)]
    first = {name: columns[name] for name in index}
    rest = {name: values for name, values in columns.items() if name not in first}
    if len(index) == 1 and index[0].startswith("__index_level_"):  # it has no name
        numbers = "int" in str(schema.field(index[0]).type)
        first = {} if numbers else {"time": first[index[0]]}
    return first | rest


class _Columns:
    """Columns that are written a chunk at a time.

    Args:
        folder: The folder.
        names: The columns' names, to which are added those of columns that turn up later.
        words: Those that are words, to which are added those that turn out to be. What the others
            are, their first rows say.
        point: Whether a point in a number can only be the decimal mark.
        time_format: How the user says that times are written: these stay words.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        names: list[str],
        words: set[str],
        point: bool,
        time_format: str | None,
    ):
        self.folder, self.names, self.known, self.time_format = folder, names, words, time_format
        self.kinds = {name: "words" if name in words else "" for name in names}
        self.words: dict[str, dict[str, int]] = {name: {} for name in names}
        self.number = f"(?:{_POINT if point else _WHOLE})?"
        self.files = [(folder / str(i)).open("wb") for i in range(len(names))]

    def take(self, chunks: Iterable[Sequence[Row]]) -> int | None:
        """Writes rows; their number, or `None` where a column is other than before, or new."""
        count, rows = 0, list[Row]()
        for chunk in chunks:
            if set().union(*chunk) - self.kinds.keys():  # of objects, which may have other names
                self.names += dict.fromkeys(n for row in chunk for n in row if n not in self.kinds)
                return None
            rows += chunk
            if len(rows) * len(self.names) >= _CELLS:
                if not self._add(rows):
                    return None
                count, rows = count + len(rows), []
        return count + len(rows) if self._add(rows) else None

    def _add(self, chunk: Sequence[Row]) -> bool:
        for (name, kind), file in zip(self.kinds.items(), self.files, strict=True):
            cells = [row.get(name) for row in chunk]
            values, found = None, "words"
            if kind != "words":
                values, found = self._read(pd.Series(cells), kind)
                if kind and found != kind:
                    self.known.add(name)
                    return False
            if values is None:
                values = _codes(cells, self.words[name])
            self.kinds[name] = found
            file.write(values.tobytes())
        return True

    def _read(self, column: pd.Series, kind: str) -> tuple[np.ndarray | None, str]:
        """What cells are worth, and of what kind they are; none where they are words."""
        dated = pd.api.types.is_datetime64_any_dtype(column)
        if self.time_format and not (kind or dated) and looks_like_times(column, self.time_format):
            return None, "words"
        if not kind.startswith("times"):
            values = self._numbers(column)
            if values is not None or kind:
                return values, "words" if values is None else "numbers"
        return _times(column, kind)

    def _numbers(self, column: pd.Series) -> np.ndarray | None:
        if pd.api.types.is_numeric_dtype(column):
            return column.to_numpy(float, na_value=np.nan)
        text = _text(column)
        if not text.str.fullmatch(self.number).all():
            return None
        return pd.to_numeric(text, errors="coerce").to_numpy(float, na_value=np.nan)

    def close(self) -> None:
        """Ends the files."""
        for file in self.files:
            file.close()

    def finish(self, notes: Sequence[str]) -> None:
        """Writes what the files hold."""
        found = {
            "kinds": [*self.kinds.items()],
            "words": {name: [*words] for name, words in self.words.items()},
            "notes": notes,
        }
        (self.folder / "columns.json").write_text(json.dumps(found), "utf-8")


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()


def _times(column: pd.Series, kind: str) -> tuple[np.ndarray | None, str]:
    """Times, of which those with a zone are those of UTC, and their kind with the zone's name."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        text = _text(column)
        if not text.str.fullmatch(f"(?:{_ISO})?").all():
            return None, "words"
        column = pd.to_datetime(text.where(text != ""), errors="coerce", format="ISO8601")
        if (column.isna() & (text != "")).any():
            return None, "words"
    found = "times"
    if column.dt.tz:
        found = f"times {zone_name(column.dt.tz, 'a column')}"
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy("M8[us]"), kind if kind and column.isna().all() else found


def _codes(cells: Iterable[Any], words: dict[str, int]) -> np.ndarray:
    """The number of each cell's word, -1 of an empty cell."""
    codes = (  # NaN and NaT are not what they are
        -1 if cell in (None, "") or cell != cell else words.setdefault(str(cell), len(words))
        for cell in cells
    )
    return np.fromiter(codes, np.int32)
