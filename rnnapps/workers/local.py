"""Child processes of `rnnapps` on this machine, which end with their parent."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from rnnapps.errors import ConfigError

_HOME = str(pathlib.Path(__file__).parents[2])  # the folder that holds rnnapps, installed or not
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); from rnnapps.cli import main; sys.exit(main())"
)


def rnnapps_process(
    words: Sequence[str],
    cores: Sequence[int] | None = None,
    environment: dict[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen:
    """Starts `rnnapps` as a process that ends with this one; its output is not shown.

    Args:
        words: The arguments of `rnnapps`.
        cores: The cores that it may use; `None` for those of this process.
        environment: Environment variables, in addition to those of this process.
        **options: Arguments of `subprocess.Popen`.

    Returns:
        The process.
    """
    return subprocess.Popen(
        # Isolated: neither -m nor -c with -P looks for modules in the working directory.
        [sys.executable, "-P", "-c", _PROGRAM, _HOME, *words],
        # Otherwise the first process takes all of a GPU's memory.
        env={"TF_FORCE_GPU_ALLOW_GROWTH": "true", **os.environ, **(environment or {})},
        preexec_fn=lambda: _settle(cores),
        stdout=subprocess.DEVNULL,
        **options,
    )


def check_threads(threads: int | None) -> None:
    """Checks `--threads`.

    Args:
        threads: The number of cores, or `None` for all available.

    Raises:
        ConfigError: If it is less than 1.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"Expected --threads to be at least 1. Received: {threads}.")


def shares(count: int) -> list[list[int] | None]:
    """The cores of each of several processes.

    Args:
        count: The number of processes.

    Returns:
        The cores of each; all cores if there are fewer cores than processes, and `None` if the
        system does not list them.
    """
    if not hasattr(os, "sched_setaffinity"):
        return [None] * count
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        return [cores] * count
    return [cores[i::count] for i in range(count)]


def _settle(cores: Sequence[int] | None) -> None:
    """In the new process: sets its cores, and has it end with the process that started it."""
    if cores:
        os.sched_setaffinity(0, cores)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def without(arguments: Sequence[str], *flags: str) -> list[str]:
    """Arguments without some flags and their values.

    Args:
        arguments: The arguments.
        *flags: The flags, each of which has a value.

    Returns:
        The rest.

    Example:
    >>> without(["train", "--workers", "2", "--units=8", "--threads=1"], "--workers", "--threads")
    ['train', '--units=8']
    """
    kept, skip = [], False
    for word in arguments:
        if skip or word.partition("=")[0] in flags:
            skip = not skip and "=" not in word
        else:
            kept.append(word)
    return kept
