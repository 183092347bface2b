"""Where a character generator's text comes from, and the streams in which training reads it."""

import dataclasses
import gzip
import hashlib
import itertools
import pathlib
import sysconfig
import zlib

import numpy as np
import tensorflow as tf

from rnnapps.apps.chargen.config import CharGenConfig
from rnnapps.data import load_tfds
from rnnapps.errors import DataError
from rnnapps.text import PADDING

NAMED = ("sample", "tiny_shakespeare")
_SAMPLE = 2_000_000  # characters
_TEST = 0.05  # the test part's share of a text that has none of its own


@dataclasses.dataclass(frozen=True)
class Splits:
    """The three parts of a text, in its own order."""

    train: str
    validation: str
    test: str


def load_splits(config: CharGenConfig) -> Splits:
    """Loads the configuration's text and cuts it into three parts by position.

    Of tiny_shakespeare, the validation and test parts of tensorflow_datasets together are the test
    part: the last tenth of the text. Of any other text it is the last twentieth. The validation
    part is the end of what is left.

    With `unit="byte"`, a byte that is not UTF-8 is one surrogate character, as Python's
    `surrogateescape` makes it, so that any file can be read.

    Args:
        config: Its `data`, `data_dir`, `glob`, `errors`, `unit`, `validation_share` and `window`
            are read.

    Returns:
        The parts.

    Raises:
        DataError: If the text cannot be read, or is too short.
    """
    if config.data == "tiny_shakespeare":
        names = ("train", "validation", "test")
        parts = load_tfds("tiny_shakespeare", names, config.data_dir)
        train, validation, test = ("".join(row["text"].decode() for row in part) for part in parts)
        text, test = train, validation + test
    else:
        text = sample() if config.data == "sample" else _read(config)
        cut = len(text) - int(len(text) * _TEST)
        text, test = text[:cut], text[cut:]
    cut = len(text) - int(len(text) * config.validation_share)
    splits = Splits(text[:cut], text[cut:], test)
    _check(splits, config)
    return splits


def sample() -> str:
    """The beginning of the Python standard library's own sources, by file name."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    return text[:_SAMPLE]


def fingerprint(text: str) -> str:
    """What tells a training text from any other: a run is only evaluated beside its own."""
    digest = hashlib.sha256(to_bytes(text)).hexdigest()[:16]
    return f"{len(text)} characters, sha256 {digest}"


def to_bytes(text: str) -> bytes:
    """A text's bytes: the file's own where it was read with `unit="byte"`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no file's bytes make
        return text.encode("utf-8", "replace")


def read_text(path: pathlib.Path, errors: str = "strict", any_bytes: bool = False) -> str:
    """Reads a text file, also a gzipped one.

    Args:
        path: The file.
        errors: `"strict"`, or `"replace"` to read bytes that are not UTF-8 as U+FFFD.
        any_bytes: Whether the file may hold anything; see `load_splits`.

    Returns:
        The text.

    Raises:
        DataError: If it cannot be read, is binary, or cannot be decoded.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"Cannot read {path}: {said}.") from None
    if any_bytes:
        return content.decode("utf-8", "surrogateescape")
    if b"\0" in content:
        raise DataError(
            f"{path} is not a text: byte 0x00 at offset {content.index(0)}; --unit byte reads any "
            "file."
        )
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8; "
            "--errors replace reads such bytes as U+FFFD, --unit byte as they are."
        ) from None


class Streams:
    """A text as parallel streams: what training by truncated back-propagation through time reads.

    The text is cut into `streams` runs of equal length, and these into windows. A batch holds one
    window of each stream; the next batch goes on where it ended. The text is taken as a ring, and
    each epoch begins at another place of it, which depends on the seed and the epoch's number
    alone, so that training that was interrupted can go on exactly where it was.

    Args:
        ids: int32 ids `(tokens,)`.
        streams: Streams side by side.
        window: Tokens of a window.
        seed: Seed of the epochs' beginnings.
    """

    def __init__(self, ids: np.ndarray, streams: int, window: int, seed: int = 0):
        self.ids = tf.constant(ids, tf.int32)
        self.streams, self.seed = streams, seed
        self.windows = max(1, len(ids) // (streams * window))
        # Windows that are all of one length make an epoch's mean loss the mean over its tokens.
        self.window = min(window, len(ids) // streams)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return self.windows

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end.

        Each batch is `((ids, begins), targets)`: ids and targets int32 `(streams, window)`, the
        targets one token ahead; and bool `(streams,)`, whether the streams begin here, with id 0.
        """
        epochs = tf.data.Dataset.range(first, 2**31 - 1, output_type=tf.int32)
        return self._batches(epochs.flat_map(lambda e: self._windows(self._offset(e))))

    def one_pass(self) -> tf.data.Dataset:
        """One epoch that begins where the text does, for validation."""
        return self._batches(self._windows(tf.constant(0)))

    def _offset(self, epoch: tf.Tensor) -> tf.Tensor:
        size = tf.size(self.ids)
        return tf.random.stateless_uniform((), (self.seed, epoch), maxval=size, dtype=tf.int32)

    def _windows(self, offset: tf.Tensor) -> tf.data.Dataset:
        windows = tf.data.Dataset.range(self.windows, output_type=tf.int32)
        return windows.map(lambda w: (offset, w))

    def _batches(self, windows: tf.data.Dataset) -> tf.data.Dataset:
        return windows.map(self._batch, tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def _batch(self, offset: tf.Tensor, window: tf.Tensor) -> tuple:
        starts = offset + tf.range(self.streams) * (self.windows * self.window)  # (streams,)
        places = tf.range(-1, self.window) + window * self.window + starts[:, None]
        tokens = tf.gather(self.ids, places % tf.size(self.ids))  # (streams, 1 + window)
        first = window == 0
        ids = tf.where(first & (tf.range(self.window) == 0), PADDING, tokens[:, :-1])
        return (ids, tf.fill([self.streams], first)), tokens[:, 1:]


def _read(config: CharGenConfig) -> str:
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
    elif path.suffix:
        raise DataError(f"No such file or folder: {path}.")
    else:
        raise DataError(
            f"Expected --data to be {', '.join(NAMED)}, or the path of a text file or folder. "
            f"Received: {config.data!r}."
        )
    text = "".join(_ended(read_text(p, config.errors, config.unit == "byte"), files) for p in files)
    if not text:
        raise DataError(f"{path} is empty.")
    return text


def _ended(text: str, files: list) -> str:
    """A text with an end of line behind it, where another one follows."""
    return text + "\n" if len(files) > 1 and text and not text.endswith("\n") else text


def _check(splits: Splits, config: CharGenConfig) -> None:
    held = config.validation_share > 0
    if len(splits.train) < config.window or not splits.test or (held and not splits.validation):
        # The shortest text whose training part is a window, and whose other parts are not empty.
        shortest = next(n for n in itertools.count(config.window) if _fits(n, config))
        raise DataError(
            f"Expected a text of at least {shortest} characters: the training part must fill one "
            f"--window of {config.window}. Received: {config.data}, with "
            f"{len(splits.train) + len(splits.validation) + len(splits.test)}."
        )


def _fits(length: int, config: CharGenConfig) -> bool:
    """Whether a text of this length can be divided."""
    test = int(length * _TEST)
    held = int((length - test) * config.validation_share)
    enough = length - test - held >= config.window
    return enough and test > 0 and (held > 0 or config.validation_share == 0)
