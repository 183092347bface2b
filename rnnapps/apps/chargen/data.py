"""Loads a character generator's text, and tokenizes it."""

import dataclasses
import itertools
import pathlib
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from rnnapps.apps.chargen.config import WINDOW, CharGenConfig
from rnnapps.data import (
    LongText,
    Splits,
    Streams,
    are_long,
    check_known,
    load_registered,
    load_tfds,
    mapped,
    read_bytes,
    read_long_text,
    read_text,
    splits,
    store_ids,
)
from rnnapps.errors import DataError
from rnnapps.progress import tracked
from rnnapps.text import ByteTokenizer, CharacterTokenizer, Tokenizer, WordTokenizer

NAMED = ("sample", "tiny_shakespeare")
_SAMPLE = 2_000_000  # characters
_STREAMS = 32  # of a text that is long enough
_FEWEST, _SHORTEST = 4, 32  # of one that is not
_STEPS = 100  # of an epoch: 35,000 characters learn 1.90 nats in 100, 2.06 in 50, 3.31 in 7
_ENOUGH = 70_000  # characters, of which a network was measured to learn more than an n-gram model
_PASSES, _LONG = 20, 500_000  # over a text; and tokens of which half as many are enough
_LINE = 40  # characters, over which a line that was seen before is no chance
_TEST = 0.05  # the test part's share of a text that has none of its own


Text = str | LongText  # the latter where it does not fit into memory


def load_splits(config: CharGenConfig) -> Splits[Text]:
    """Loads the configuration's text and cuts it into three parts by position.

    Of tiny_shakespeare, the validation and test parts of tensorflow_datasets together are the test
    part: the last tenth of the text. Of any other text it is the last twentieth. The validation
    part is the end of what is left.

    With `tokenizer="byte"`, a byte that is not UTF-8 is one surrogate character, as Python's
    `surrogateescape` makes it, so that any file can be read.

    Args:
        config: Its `data`, `data_dir`, `glob`, `encoding`, `errors`, `newlines`, `tokenizer`,
            `validation_share` and `window` are read.

    Returns:
        The parts.

    Raises:
        DataError: If the text cannot be read, or is too short.
    """
    said: list[str] = []
    text: Text
    if config.data == "tiny_shakespeare":
        names = ("train", "validation", "test")
        parts = load_tfds("tiny_shakespeare", names, config.data_dir)
        text, *rest = ("".join(row["text"].decode() for row in part) for part in parts)
        test = "".join(rest)
        said = [f"tiny_shakespeare: {len(text) + len(test):,} characters"]
    else:
        if (registered := load_registered(config.data)) is not None:
            text = as_text(registered, config)
        elif config.data == "sample":
            text = sample()
        else:
            text, *said = _read(config)
        text, test = _cut(text, _TEST)
    train, validation = _cut(text, config.validation_share)
    parts = Splits(train, validation, test, tuple(said), _notes(len(text) + len(test), config))
    _check(parts, config)
    return parts


def given_splits(config: CharGenConfig, **given: Any) -> Splits[str]:
    """Divides a person's own text.

    Args:
        config: The configuration.
        **given: `train`, `validation` and `test`, each as `as_text` takes it or `None`.

    Returns:
        The parts: `test` alone where it is given.

    Raises:
        DataError: If something else than a text is given.
    """
    parts = splits.given_splits(
        lambda one: as_text(one, config), lambda text: _cut(text, config.validation_share), **given
    )
    if parts.train is None:
        return parts
    whole = len(parts.train) + (len(parts.validation) if given.get("validation") is None else 0)
    return dataclasses.replace(parts, notes=_notes(whole, config))


@dataclasses.dataclass(frozen=True)
class Lines:
    """A text, line by line.

    Args:
        lines: The lines, with their ends.
    """

    lines: list[str]

    @property
    def keys(self) -> list[str]:
        """What tells lines from others: they themselves, where they are long."""
        return [line if len(line) > _LINE else "" for line in self.lines]

    @property
    def answers(self) -> None:
        """Nothing stands beside a line."""

    def __len__(self) -> int:
        return len(self.lines)

    def __add__(self, other: "Lines") -> "Lines":
        return Lines(self.lines + other.lines)

    def take(self, indices: Iterable[int]) -> "Lines":
        """The lines at these positions, in their order."""
        return Lines([self.lines[i] for i in indices])


def keys(text: Text) -> Iterator[str]:
    """What tells a text's lines from others', see `Lines`."""
    return (line for line in text.splitlines(keepends=True) if len(line) > _LINE)


def in_lines(parts: Splits[Text]) -> Splits[Lines]:
    """The parts, line by line."""
    return _each(parts, lambda text: Lines(list(text.splitlines(keepends=True))))


def of_lines(parts: Splits[Lines]) -> Splits[Text]:
    """The parts from `in_lines`."""
    return _each(parts, lambda part: "".join(part.lines))


def _each(parts: Splits, change: Callable[[Any], Any]) -> Splits:
    found = ((name, getattr(parts, name)) for name in ("train", "validation", "test"))
    return dataclasses.replace(parts, **{k: None if v is None else change(v) for k, v in found})


def as_text(given: Any, config: CharGenConfig) -> str:
    """A text from what a person has at hand.

    Args:
        given: The text, or the path of its file.
        config: How the file is written.

    Returns:
        The text.

    Raises:
        DataError: If it is anything else, or empty.
    """
    if isinstance(given, pathlib.Path):
        given = read_file(given, config, config.errors)
    if not isinstance(given, str) or not given:
        shown = "an empty one" if given == "" else f"a {type(given).__name__}"
        raise DataError(f"Expected one text as a string, or a Path. Received: {shown}.")
    return given


def _cut(text: Text, share: float) -> tuple[Text, Text]:
    """A text without its last share, and that."""
    cut = len(text) - int(len(text) * share)
    return text[:cut], text[cut:]


def first_line(text: Text) -> str:
    """A text's first line that is not blank, without its end: what to write on from."""
    return next((line for line in text.splitlines() if line.strip()), "")


def make_streams(
    ids: np.ndarray, held: np.ndarray, config: CharGenConfig, replicas: int
) -> tuple[Streams, Streams | None]:
    """The streams of training and of validation: fewer than asked for where a text is short.

    Args:
        ids: The training part's ids `(tokens,)`.
        held: The validation part's; it may have none.
        config: Its `batch_size`, `window` and `seed` are read.
        replicas: How many devices share the streams.

    Returns:
        The two, side by side as many; the second is `None` where there is no validation part.

    Raises:
        DataError: If the training part is shorter than a window.
    """
    streams, window = count_streams(ids, held, config, replicas), stream_shape(len(ids), config)[1]
    if not streams:
        raise DataError(
            f"Expected the training part to hold at least {window * replicas} "
            f"{config.tokenizer}s (--window, on each device). Received: {len(ids)}."
        )
    seen = Streams(held, streams, window) if len(held) else None
    return Streams(ids, streams, window, config.seed), seen


def count_streams(
    ids: np.ndarray, held: np.ndarray, config: CharGenConfig, replicas: int = 1
) -> int:
    """How many streams there are; see `make_streams`."""
    streams, window = stream_shape(len(ids), config, replicas)
    most = min(len(ids) // window, len(held) or len(ids))
    return min(streams, most) // replicas * replicas


def stream_shape(tokens: int, config: CharGenConfig, replicas: int = 1) -> tuple[int, int]:
    """How many streams there are and how long their windows: as set, or as the text's length asks.

    A short text has shorter windows, which cost no time, and then fewer streams, so that an epoch
    has a hundred steps.

    Args:
        tokens: Of the training part.
        config: Its `batch_size` and `window` are read.
        replicas: How many devices share the streams.

    Returns:
        Streams and window.
    """
    streams, window = config.batch_size or _STREAMS, config.window or WINDOW
    while not config.window and window > _SHORTEST and tokens < _STEPS * streams * window:
        window //= 2
    fewest = _FEWEST * replicas
    while not config.batch_size and streams > fewest and tokens < _STEPS * streams * window:
        streams = max(fewest, streams // 2)
    return streams, window


def passes(tokens: int, config: CharGenConfig) -> int:
    """How many epochs there are at most: as set, or more of a text that is not long."""
    return config.epochs or (_PASSES if tokens < _LONG else _PASSES // 2)


def sample() -> str:
    """The beginning of the Python standard library's own sources, by file name."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    return text[:_SAMPLE]


def fingerprint(text: Text) -> str:
    """What tells a training text from any other: a run is only evaluated beside its own."""
    return splits.fingerprint("characters", (text, _pieces(text)))


def bytes_of(text: Text) -> bytes:
    """All bytes of a text, see `to_bytes`."""
    return b"".join(_pieces(text))


def _pieces(text: Text) -> Iterator[bytes]:
    return map(to_bytes, [text] if isinstance(text, str) else text)


def to_bytes(text: str) -> bytes:
    """A text's bytes: the file's own where it was read with `tokenizer="byte"`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no file's bytes make
        return text.encode("utf-8", "replace")


def make_tokenizer(config: CharGenConfig, text: Text) -> Tokenizer:
    """The tokenizer that a configuration asks for, adapted to a text."""
    if config.tokenizer == "byte":
        return ByteTokenizer(name="tokenizer")
    kind = {"character": CharacterTokenizer, "word": WordTokenizer}[config.tokenizer]
    options = {"lower": False, "verbatim": True, "name": "tokenizer"}
    tokenizer = kind(config.max_tokens, config.min_count, **options)
    tokenizer.adapt(_lines(text))
    if tokenizer.vocabulary_size == 2:  # padding and unknown
        raise DataError(
            f"Expected a {config.tokenizer} that stands {config.min_count:,} times (--min-count) "
            "in the training part. Received: none."
        )
    return tokenizer


def encode(tokenizer: Tokenizer, text: Text) -> np.ndarray:
    """A text's ids `(tokens,)`, line by line: no token goes beyond the end of a line."""
    if isinstance(text, LongText):
        folder, kind = store_ids(tokenizer, _lines(text), text.key)
        return mapped(folder / "ids", kind)
    return tokenizer.encode(_lines(text)).flat_values.numpy()


def _lines(text: Text) -> Iterator[bytes]:
    return map(to_bytes, text.splitlines(keepends=True))


def _read(config: CharGenConfig) -> tuple[Text, str]:
    """The configuration's text, and what was read."""
    check_known(config.data, NAMED, "a text file or folder")
    path = pathlib.Path(config.data)
    if path.is_dir():
        try:
            files = sorted(p for p in path.rglob(config.glob) if p.is_file())
        except (ValueError, NotImplementedError):  # an empty or an absolute pattern
            files = []
        if not files:
            raise DataError(f"{path} holds no file that --glob {config.glob!r} matches.")
    elif path.exists():
        files = [path]
    else:
        raise DataError(f"No such file or folder: {path} (--data).")
    text: Text
    if are_long(files):
        how = (config.encoding, config.errors, config.newlines, config.tokenizer == "byte")
        text = read_long_text(files, *how)
    else:
        text = "".join(
            _ended(read_file(p, config, config.errors), files) for p in tracked(files, "files")
        )
    if not text:
        raise DataError(f"{path} is empty.")
    files = f" in {len(files):,} files" if len(files) > 1 else ""
    return text, f"{path}: {len(text):,} characters{files}"


def read_file(path: pathlib.Path, config: CharGenConfig, errors: str) -> str:
    """A file's text as the configuration says that it is written; `errors` as `read_text` has."""
    if config.tokenizer == "byte":
        return read_bytes(path)
    return read_text(path, config.encoding, errors, config.newlines)


def _ended(text: str, files: list) -> str:
    """A text with an end of line behind it, where another one follows."""
    return text + "\n" if len(files) > 1 and text and not text.endswith("\n") else text


def _notes(characters: int, config: CharGenConfig) -> tuple[str, ...]:
    """What a person should know of a text that is too short for a network alone."""
    if config.ngrams or characters >= _ENOUGH:
        return ()
    few = (
        f"{characters:,} characters are few: with 35,000, an n-gram model was better than the "
        f"network (1.77 nats per character, 1.82), and with {_ENOUGH:,} worse (1.45, 1.44)"
    )
    return (few,)


def _check(parts: Splits[str], config: CharGenConfig) -> None:
    held, window = config.validation_share > 0, config.window or _SHORTEST
    if len(parts.train) < window or not parts.test or (held and not parts.validation):
        # The shortest text whose training part is a window, and whose other parts are not empty.
        shortest = next(n for n in itertools.count(window) if _fits(n, config))
        raise DataError(
            f"Expected a text of at least {shortest} characters: the training part must fill one "
            f"--window of {window}. Received: {config.data}, with "
            f"{len(parts.train) + len(parts.validation) + len(parts.test)}."
        )


def _fits(length: int, config: CharGenConfig) -> bool:
    """Whether a text of this length can be divided."""
    test = int(length * _TEST)
    held = int((length - test) * config.validation_share)
    enough = length - test - held >= (config.window or _SHORTEST)
    return enough and test > 0 and (held > 0 or config.validation_share == 0)
