"""Data sets that tensorflow_datasets knows by name."""

import contextlib
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnapps.errors import DataError


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
            raise DataError(
                f"{name} is not prepared in {builder.data_dir_root} and cannot be downloaded "
                f"({' '.join(str(error).split())[:200]}): name the folder that holds it with "
                "--data-dir, or train on --data=sample."
            ) from error
    return [list(tfds.as_numpy(builder.as_dataset(split=split))) for split in splits]


def _reach(urls: Iterable[str]) -> None:
    """Fails at once where the hosts have no address; a download would retry for minutes."""
    if urllib.request.getproxies():  # a proxy looks the hosts up itself
        return
    for host in {urllib.parse.urlsplit(url).hostname for url in urls}:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            raise ConnectionError(f"no network, or no such host: {host}") from None
