"""Texts without labels, from files, tables and folders."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence

from rnnapps.config import TableOptions
from rnnapps.data.labelled import text_of
from rnnapps.data.splits import fingerprint
from rnnapps.data.tables import read_table
from rnnapps.data.texts import read_text
from rnnapps.errors import DataError
from rnnapps.files import check_there
from rnnapps.progress import tracked

_LEAKED = 0.05  # share of a test part that may be among unlabelled texts by chance


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Texts to learn a language from.

    Args:
        texts: The texts.
        said: What was read, a sentence a line.
        notes: What of it was left out.
    """

    texts: list[str]
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What tells these texts from any others."""
        return fingerprint("texts", (self.texts, json.dumps(self.texts).encode()))


def read_unlabelled(
    paths: Sequence[str],
    text_column: str = "text",
    options: TableOptions | None = None,
    train: Iterable[str] = (),
    validation: Iterable[str] = (),
    test: Iterable[str] = (),
) -> Unlabelled:
    """Reads unlabelled texts, each once, without those that a model is measured on.

    Texts are equal where they differ in case and white space alone.

    Args:
        paths: Files with a text a line (`.txt`, which has no header), tables that `read_table`
            reads, or folders of `.txt` files with a text each, at any depth.
        text_column: Column of the text, in a table.
        options: How files are written.
        train: Texts that are learned from anyway.
        validation: Texts that choose the weights.
        test: Texts that are measured on.

    Returns:
        The texts that are in none of the parts.

    Raises:
        DataError: If a path cannot be read or holds no text, or the texts hold over a twentieth of
            the test part.
    """
    if not paths:
        return Unlabelled([])
    texts, said = [], []
    for path in paths:
        check_there(path, "unlabelled")  # as it was given: the path "" would be this folder
        texts_there = _texts(pathlib.Path(path), text_column, options)
        found = [text for text in texts_there if text.strip()]
        if not found:
            raise DataError(f"Expected texts in {path} (--unlabelled). Received: none.")
        texts += found
        said.append(f"{path}: {len(found):,} unlabelled texts")
    own: dict[str, str] = {}
    for text in texts:
        own.setdefault(_key(text), text)
    test, validation = set(map(_key, test)), set(map(_key, validation))
    leaked = len(own.keys() & test)
    if leaked > _LEAKED * len(test):
        raise DataError(
            f"Expected unlabelled texts that are not those of the test part. Received: "
            f"{', '.join(paths)} (--unlabelled), with {leaked:,} of its {len(test):,} texts; "
            "leave them out."
        )
    measured = own.keys() & (test | validation)
    notes = []
    if measured:
        notes.append(
            f"{len(measured):,} unlabelled texts are left out: they are in the validation part or "
            "the test part"
        )
    kept = own.keys() - measured - set(map(_key, train))
    return Unlabelled([t for key, t in own.items() if key in kept], tuple(said), tuple(notes))


def _texts(path: pathlib.Path, text_column: str, options: TableOptions | None) -> list[str]:
    encoding = None if options is None else options.encoding
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        return [read_text(file, encoding) for file in tracked(files, "files")]
    if path.name.lower().removesuffix(".gz").removesuffix(".zip").endswith(".txt"):
        return read_text(path, encoding).split("\n")
    table = read_table(path, options or TableOptions(), (text_column,))
    table.require("text_column", text_column)
    try:
        return [text_of(value) for value in tracked(table.frame[text_column], "texts")]
    except TypeError as error:
        raise DataError(f"Expected texts in column {text_column!r} of {path}. {error}") from None


def _key(text: str) -> str:
    return "".join(text.casefold().split())
