"""The errors that a user can cause, each in one sentence."""

import contextlib
import contextvars
import re
from collections.abc import Iterator, Sequence

_FLAG = r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])=?"
_IN_SHELL = contextvars.ContextVar("_IN_SHELL", default=False)


class RnnappsError(Exception):
    """A user's mistake: the command line prints its one sentence and exits with status 2.

    Sentences are written with the shell's flags, a value behind a `=`; in Python they name the
    argument: `--text-column` is `text_column=`.
    """

    status = 2

    def __str__(self) -> str:
        sentence = super().__str__()
        if _IN_SHELL.get():
            return sentence
        return re.sub(_FLAG, lambda found: found[1].replace("-", "_") + "=", sentence)


@contextlib.contextmanager
def in_shell() -> Iterator[None]:
    """What goes wrong inside is told to somebody who has flags, not arguments."""
    token = _IN_SHELL.set(True)
    try:
        yield
    finally:
        _IN_SHELL.reset(token)


class ConfigError(RnnappsError):
    """A setting that is unknown, out of its range, or contradicts another."""


class DataError(RnnappsError):
    """Data that is missing, unreadable, or not what the application needs."""


class RunError(RnnappsError):
    """A run directory or an export that is not what it is taken for."""


class DiskError(RnnappsError):
    """A disk that is full."""


class ServerError(RnnappsError):
    """A model server that does not answer, or refuses what it was asked."""


class SignatureError(ServerError):
    """A model that is asked by a signature that it has not."""


def flag(name: str) -> str:
    """The command line's name of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def nearest(name: str, names: Sequence[str]) -> str:
    """A clause that suggests the name most like a mistyped one, or nothing."""
    import difflib  # takes 10 ms, and only a mistake needs it

    found = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""
