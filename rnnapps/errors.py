"""The errors that a user can cause, each in one sentence."""

import contextlib
import contextvars
import re
from collections.abc import Iterator, Sequence

_FLAG = r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])=?"
_IN_SHELL = contextvars.ContextVar("_IN_SHELL", default=False)


class RnnappsError(Exception):
    """A user error: the command line prints its one sentence and exits with status 2.

    Messages are written with flags and `=` before values; in Python they name the argument instead:
    `--text-column` becomes `text_column=`.
    """

    status = 2

    def __str__(self) -> str:
        sentence = super().__str__()
        if _IN_SHELL.get():
            return sentence
        return re.sub(_FLAG, lambda found: found[1].replace("-", "_") + "=", sentence)


@contextlib.contextmanager
def in_shell() -> Iterator[None]:
    """A context in which error messages name flags instead of arguments."""
    token = _IN_SHELL.set(True)
    try:
        yield
    finally:
        _IN_SHELL.reset(token)


class ConfigError(RnnappsError):
    """A setting that is unknown, out of range, or contradicts another."""


class DataError(RnnappsError):
    """Data that is missing, unreadable, or not what the application needs."""


class RunError(RnnappsError):
    """A run directory or export that is missing or not as expected."""


class DiskError(RnnappsError):
    """A full disk."""


class ServerError(RnnappsError):
    """A model server that does not respond or rejects a request."""


class SignatureError(ServerError):
    """A request with a signature that the model does not have."""


def flag(name: str) -> str:
    """The flag of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def nearest(name: str, names: Sequence[str]) -> str:
    """A sentence that suggests the name closest to a mistyped one, or an empty string."""
    import difflib  # takes 10 ms, and is only needed for errors

    found = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""
