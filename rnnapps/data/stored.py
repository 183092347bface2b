"""Columns of any size in files: texts, read as they are asked for, and ids, mapped into memory."""

import array
import contextlib
import hashlib
import itertools
import mmap
import os
import pathlib
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, TypeVar, overload

import numpy as np

from rnnapps.data.cache import cached
from rnnapps.files import checksum
from rnnapps.progress import so_far

if TYPE_CHECKING:
    import tensorflow as tf

    from rnnapps.text import Tokenizer

T = TypeVar("T")
_CHUNK = 4096  # texts that are read at a time
_GAP = 1 << 14  # bytes between two texts that are rather read than skipped
_PIECE = 1 << 24  # bytes that are read at once, about
_PREFIX = 32  # bytes that are compared at a time
_maps: weakref.WeakSet = weakref.WeakSet()  # of `mapped` files
_EVERY = 10_000  # rows between two looks at how far the reading is


class TextFile:
    """A file of texts, and where each begins and ends; in memory once for all who read some of it.

    Args:
        folder: What `TextWriter` wrote.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        edges = np.append(0, np.load(folder / "ends.npy"))  # (texts + 1,)
        self.starts, self.ends = edges[:-1], edges[1:]
        self.descriptor = os.open(folder / "texts", os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)
        self._hashes = (folder / "hashes.npy").open("rb")
        weakref.finalize(self, self._hashes.close)

    @property
    def hashes(self) -> np.ndarray:
        """A hash of each text `(texts,)`, see `hash_of`; read each time, as few ask for them."""
        self._hashes.seek(0)
        return np.load(self._hashes)


class StoredTexts(Sequence[str]):
    """Texts in a file, of which only the places are in memory.

    Args:
        file: The file, or the folder of one that nobody has opened.
        rows: Which of the file's texts these are `(texts,)`; `None` for all.
    """

    def __init__(self, file: TextFile | pathlib.Path, rows: np.ndarray | None = None):
        self.file = file if isinstance(file, TextFile) else TextFile(file)
        count = len(self.file.ends)
        self.rows = np.arange(count, dtype=np.min_scalar_type(count)) if rows is None else rows

    @property
    def hashes(self) -> np.ndarray:
        """A hash of each text `(texts,)`, see `hash_of`."""
        return self.file.hashes[self.rows]

    @property
    def sizes(self) -> np.ndarray:
        """Bytes of each text `(texts,)`."""
        return self.file.ends[self.rows] - self.file.starts[self.rows]

    @property
    def key(self) -> str:
        """What tells these texts from others."""
        return hashlib.sha256(self.hashes.data).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place):
        if isinstance(place, slice):
            return self._read(np.arange(*place.indices(len(self))))
        return self._read(np.array([range(len(self))[place]]))[0]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            yield from self[first : first + _CHUNK]

    def take(self, indices: Iterable[int]) -> "StoredTexts":
        """The texts at these positions, in their order."""
        return type(self)(self.file, self.rows[np.asarray(indices, int)])

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """The different texts in their order, as `np.unique` finds them among strings.

        Returns:
            The first place of each `(different,)`, and which of them each text is `(texts,)`.
        """
        _, first, group = np.unique(self.hashes, return_index=True, return_inverse=True)
        order = self._sorted(first)
        place = np.empty(len(order), int)
        place[order] = np.arange(len(order))
        return first[order], place[group]

    def _sorted(self, places: np.ndarray) -> np.ndarray:
        """In which order different texts stand, by a few bytes of them at a time."""
        rank, tied, offset = np.zeros(len(places), int), np.arange(len(places)), 0
        while len(tied):
            tied = tied[np.argsort(self.rows[places[tied]])]  # is read in the order of the file
            rows = self.rows[places[tied]]
            starts = self.file.starts[rows] + offset
            ends = np.clip(self.file.ends[rows], starts, starts + _PREFIX)
            pieces = np.fromiter(self._pieces(starts, ends), f"S{_PREFIX}", len(tied))
            # One that has ended comes before one that goes on with the byte 0.
            columns = (ends - starts, pieces, rank[tied])
            order = np.lexsort(columns)
            where, before = np.arange(len(order)), columns[-1][order]
            begins = _changes(before)  # where texts begin that were equal so far, and still are
            fresh = begins | _changes(pieces[order]) | _changes((ends - starts)[order])
            rank[tied[order]] += np.maximum.accumulate(fresh * where) - np.maximum.accumulate(
                begins * where
            )
            alone = fresh & np.append(fresh[1:], True)
            tied = tied[order][~alone & ((ends - starts)[order] == _PREFIX)]
            offset += _PREFIX
        return np.argsort(rank, kind="stable")

    def _read(self, places: np.ndarray) -> list[str]:
        rows = self.rows[places]
        found = self._pieces(self.file.starts[rows], self.file.ends[rows])
        return [one.decode("utf-8", "surrogatepass") for one in found]

    def _pieces(self, starts: np.ndarray, ends: np.ndarray) -> Iterator[bytes]:
        """The bytes between these places; what is close together is read at once."""
        apart = (starts[1:] < ends[:-1]) | (starts[1:] > ends[:-1] + _GAP)
        apart |= starts[1:] // _PIECE != starts[:-1] // _PIECE
        cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(starts)]
        for first, last in itertools.pairwise(cuts if len(starts) else ()):
            begin = int(starts[first])
            content = os.pread(self.file.descriptor, int(ends[last - 1]) - begin, begin)
            spans = (starts[first:last] - begin).tolist(), (ends[first:last] - begin).tolist()
            yield from (content[start:end] for start, end in zip(*spans, strict=True))


class StoredRows(StoredTexts):
    """Lists of texts in a file, where each is one text with tabs between. See `StoredTexts`."""

    @property
    def texts(self) -> StoredTexts:
        """Each list as one text."""
        return StoredTexts(self.file, self.rows)

    def _read(self, places: np.ndarray) -> list[list[str]]:  # type: ignore[override]
        return [text.split("\t") for text in super()._read(places)]


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it; the first does."""
    return np.append(True, values[1:] != values[:-1])


def take(texts: Sequence[T], indices: Sequence[int]) -> Sequence[T]:
    """The texts at these positions, in their order."""
    if isinstance(texts, StoredTexts):
        return texts.take(indices)  # type: ignore[return-value]
    return [texts[i] for i in indices]


def joined(texts: Sequence[T], others: Sequence[T]) -> Sequence[T]:
    """Texts and others behind them.

    Args:
        texts: The texts.
        others: The others.

    Returns:
        All of them; in memory, where they are not of one file.
    """
    if not len(texts) or not len(others):
        return texts if len(texts) else others
    if (
        isinstance(texts, StoredTexts)
        and isinstance(others, StoredTexts)
        and texts.file.folder == others.file.folder
    ):
        rows = np.concatenate([texts.rows, others.rows])
        return type(texts)(texts.file, rows)  # type: ignore[return-value]
    return [*texts, *others]


def hash_of(text: str | bytes) -> int:
    """Eight bytes that tell a text from others; 0 of an empty one."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return (int.from_bytes(digest, "little") or 1) if data else 0


class TextWriter:
    """Writes texts one after the other, for `StoredTexts` to read.

    Args:
        folder: The folder, which is there.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self.file = folder, (folder / "texts").open("wb")
        self.sizes, self.hashes = array.array("q"), array.array("Q")

    def add(self, texts: Iterable[str]) -> None:
        """Writes texts behind those before."""
        for text in texts:
            data = text.encode("utf-8", "surrogatepass")
            self.file.write(data)
            self.sizes.append(len(data))
            self.hashes.append(hash_of(data))

    def close(self) -> None:
        """Writes where they are."""
        self.file.close()
        np.save(self.folder / "ends.npy", np.cumsum(np.array(self.sizes, np.int64)))
        np.save(self.folder / "hashes.npy", np.array(self.hashes, np.uint64))


def write_columns(
    folder: pathlib.Path,
    names: Sequence[str],
    rows: Iterable[Iterable[str]],
    share: Callable[[], float] = lambda: 1.0,
    size: int = 1,
) -> None:
    """Writes rows of texts, each column into a folder of its name for `StoredTexts` to read.

    Args:
        folder: The folder, which is there.
        names: The columns' names.
        rows: As many texts of each row.
        share: What share of the files they are read from was read.
        size: The bytes of these.
    """
    for name in names:
        (folder / name).mkdir()
    writers = [TextWriter(folder / name) for name in names]
    for count, row in enumerate(rows):
        for writer, text in zip(writers, row, strict=True):
            writer.add([text])
        if count % _EVERY == 0:
            so_far(int(share() * size), size, "bytes")
    for writer in writers:
        writer.close()


def encode_texts(tokenizer: "Tokenizer", texts: Sequence[str]) -> "tf.RaggedTensor":
    """The ids of texts: those of stored texts are stored, too, and mapped into memory.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.

    Returns:
        Ids, ragged `(texts, time)`: int32, or of stored texts the smallest type that holds them.
    """
    if not isinstance(texts, StoredTexts):
        return tokenizer.encode(texts)
    folder, kind = store_ids(tokenizer, texts, texts.key)
    return read_ids(folder, "ids", kind)


def store_ids(
    tokenizer: "Tokenizer", texts: Iterable[str | bytes], key: str
) -> tuple[pathlib.Path, str]:
    """Makes ids of texts, unless they are there already.

    Args:
        tokenizer: The tokenizer.
        texts: The texts, which are only asked for where there are no ids.
        key: What tells them from others.

    Returns:
        The folder with the file `ids`, one text's behind the other's, and `ends.npy` with the place
        behind each text; and the type of the ids, the smallest that holds them.
    """
    kind = smallest(tokenizer.vocabulary_size)

    def make(folder: pathlib.Path) -> None:
        parts = tokenizer.encode_parts(texts)
        write_ids(
            folder,
            (
                (part.row_lengths().numpy(), {"ids": part.flat_values.numpy().astype(kind)})
                for part in parts
            ),
        )

    return cached(make, "ids", key, checksum_of(tokenizer), kind), kind


Part = tuple[Sequence[int] | np.ndarray, dict[str, np.ndarray]]  # lengths of rows, and columns


def write_ids(folder: pathlib.Path, parts: Iterable[Part]) -> None:
    """Writes columns of ids, and where each row ends, for `read_ids`.

    Args:
        folder: The folder, which is there.
        parts: The lengths of some rows, and by each column's name their ids.
    """
    lengths = array.array("q")
    with contextlib.ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for sizes, columns in parts:
            lengths.extend(np.asarray(sizes).tolist())
            for name, ids in columns.items():
                if name not in files:
                    files[name] = stack.enter_context((folder / name).open("wb"))
                files[name].write(ids.tobytes())
    np.save(folder / "ends.npy", np.cumsum(np.array(lengths, np.int64)))


def read_ids(folder: pathlib.Path, name: str, kind: str) -> "tf.RaggedTensor":
    """A column that `write_ids` wrote, mapped into memory: ragged `(rows, time)`."""
    import tensorflow as tf

    ends = np.append(0, np.load(folder / "ends.npy"))
    ids = as_tensor(mapped(folder / name, kind))
    return tf.RaggedTensor.from_row_splits(ids, ends, validate=False)


def smallest(size: int) -> str:
    """The name of the smallest type of whole numbers that holds those below a size."""
    return next(kind for kind in ("uint8", "uint16", "int32") if size <= np.iinfo(kind).max + 1)


def mapped(path: pathlib.Path, kind: str) -> np.ndarray:
    """The numbers of a file, which the system reads as they are asked for.

    Args:
        path: The file.
        kind: The numbers' type.

    Returns:
        The numbers `(numbers,)`.
    """
    if not path.stat().st_size:
        return np.zeros(0, kind)
    # Of numbers that could be written to, which `as_tensor` asks for; they are never written.
    numbers = np.memmap(path, kind, "c")
    _maps.add(numbers.base)
    return numbers


def let_go() -> None:
    """Gives the memory of mapped numbers back; the system reads them again when asked for."""
    for one in _maps:
        one.madvise(mmap.MADV_DONTNEED)


def as_tensor(ids: np.ndarray) -> "tf.Tensor":
    """Ids as a tensor: int32 or a smaller type that they have, in place if they are memory-mapped.

    Args:
        ids: The ids, of any shape.
    """
    import tensorflow as tf

    if isinstance(ids, np.memmap) and ids.flags.c_contiguous:
        return tf.experimental.dlpack.from_dlpack(ids.__dlpack__())
    return tf.constant(ids, None if ids.dtype.itemsize < tf.int32.size else tf.int32)


def checksum_of(tokenizer: "Tokenizer") -> str:
    """What tells a tokenizer from others: its settings, and its vocabulary as it is saved."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_assets(folder)
        files = [(one.name, checksum(one)) for one in sorted(pathlib.Path(folder).iterdir())]
    settings = (type(tokenizer).__name__, sorted(tokenizer.get_config().items()), files)
    return hashlib.sha256(repr(settings).encode()).hexdigest()
