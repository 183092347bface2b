"""Data sets by name: those of tensorflow_datasets, and registered ones."""

import contextlib
import glob
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rnnapps.errors import DataError, nearest
from rnnapps.files import check_there

_BATCH = 1024  # examples that are read at a time
_REGISTERED: dict[str, Callable[[], Any]] = {}


def register(name: str, load: Callable[[], Any]) -> None:
    r"""Makes a data set known by name: `data="my_reviews"` in a configuration is what it loads.

    Args:
        name: The name, which goes before a data set of the same name that an application has.
        load: A function without arguments that returns what `fit` takes as `train`; the application
            divides it as it divides a file. It is called each time that the data is read.

    Raises:
        ValueError: If another data set was registered under this name.

    Example:
    >>> register("my_book", lambda: "the cat sat on the mat\n" * 300)
    >>> load_registered("my_book")[:11]
    'the cat sat'
    """
    if _REGISTERED.setdefault(name, load) is not load:
        raise ValueError(f"Expected a name that no data set has. Received: name={name!r}")


def load_registered(name: str) -> Any:
    """Loads a registered data set.

    Args:
        name: The name.

    Returns:
        What its function returns; `None` where no data set was registered under this name.
    """
    return _REGISTERED[name]() if name in _REGISTERED else None


def check_known(data: str, names: Sequence[str], what: str) -> None:
    """Refuses what is neither a data set's name nor a path.

    Args:
        data: The configuration's `data`.
        names: The data sets that the application has.
        what: Of what it may be the path, such as `"a file"`.

    Raises:
        DataError: If it is neither, or the path of nothing.
    """
    if data in _REGISTERED:
        return
    check_there(data, "data")
    if Path(data).exists() or glob.has_magic(data):
        return
    names = [*names, *_REGISTERED]
    raise DataError(
        f"Expected --data to be {', '.join(names)}, or the path of {what}. Received: {data!r}."
        f"{nearest(data, names)}"
    )


def load_tfds(name: str, splits: Sequence[str], data_dir: Path | str | None) -> list[list[dict]]:
    """Loads splits of a data set through tensorflow_datasets.

    Args:
        name: The data set's name there.
        splits: The names of its splits.
        data_dir: Where prepared data is kept; `None` for its own default folder.

    Returns:
        For each split its examples, as dictionaries of NumPy values.

    Raises:
        DataError: If the data is neither prepared nor can be downloaded.
    """
    import tensorflow_datasets as tfds  # takes a second, and only named data sets need it

    tfds.disable_progress_bar()
    builder = tfds.builder(name, data_dir=data_dir)
    if not builder.is_prepared():
        try:
            _reach(builder.url_infos or ())
            with contextlib.redirect_stdout(sys.stderr):  # what it says is not our result
                builder.download_and_prepare()
        except Exception as error:  # whatever the data set's own server or script answers
            if tfds.builder(name, data_dir=data_dir).is_prepared():  # by somebody else meanwhile
                return load_tfds(name, splits, data_dir)
            raise DataError(
                f"{name} is not prepared in {builder.data_dir_root} and cannot be downloaded "
                f"({' '.join(str(error).split())[:200]}): name the folder that holds it with "
                "--data-dir, or train on --data=sample."
            ) from error
    parts = (builder.as_dataset(split=split, batch_size=_BATCH) for split in splits)
    return [
        [
            dict(zip(columns, row, strict=True))
            for columns in tfds.as_numpy(part)
            for row in zip(*columns.values(), strict=True)
        ]
        for part in parts
    ]


def _reach(urls: Iterable[str]) -> None:
    """Fails at once where the hosts have no address; a download would retry for minutes."""
    if urllib.request.getproxies():  # a proxy looks the hosts up itself
        return
    for host in {urllib.parse.urlsplit(url).hostname for url in urls}:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            raise ConnectionError(f"no network, or no such host: {host}") from None
