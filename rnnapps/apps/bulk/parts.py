"""Tables cut into parts, one of which a process predicts for at a time."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

from rnnapps.config import TableOptions
from rnnapps.data.rows import Row, open_rows


@dataclasses.dataclass(frozen=True)
class Part:
    """Rows that one process answers for at a time.

    Args:
        number: Its place among the parts.
        first: How many rows come before it.
        rows: The rows.
        where: What errors call them.
    """

    number: int
    first: int
    rows: list[Row]
    where: str


@dataclasses.dataclass(frozen=True)
class Answered:
    """A part with its answers.

    Args:
        number: The part's number.
        rows: How many rows it has.
        content: The rows with the answers' columns, as a file has them.
        notes: Warnings for a person.
    """

    number: int
    rows: int
    content: bytes
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Cut:
    """Files cut into parts, none of which lies in two files. It reads them anew each time.

    Args:
        sources: The files.
        rows: How many rows each has.
        options: How they are written.
        size: Rows of a part.
        finished: Numbers of parts that are left out.
    """

    sources: Sequence[pathlib.Path]
    rows: Sequence[int]
    options: TableOptions
    size: int
    finished: frozenset[int] = frozenset()

    @property
    def sizes(self) -> list[int]:
        """The rows of each part."""
        return [
            min(self.size, rows - begin)
            for rows in self.rows
            for begin in range(0, rows, self.size)
        ]

    def __iter__(self) -> Iterator[Part]:
        numbers, before = itertools.count(), 0
        for source, count in zip(self.sources, self.rows, strict=True):
            with open_rows(source, self.options) as rows:
                stream = itertools.chain.from_iterable(chunk for chunk, _ in rows.chunks)
                for begin in range(0, count, self.size):
                    number, chunk = next(numbers), list(itertools.islice(stream, self.size))
                    if number not in self.finished:
                        where = f"rows {begin + 1:,} to {begin + len(chunk):,} of {source}"
                        yield Part(number, before + begin, chunk, where)
            before += count
