"""The mistakes that a user can make, each said in one sentence."""

import re
from collections.abc import Sequence

_FLAG = r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])=?"


class RnnappsError(Exception):
    """A user's mistake: the command line prints its one sentence and exits with status 2.

    Sentences are written with the shell's flags, a value behind a `=`; in Python they name the
    argument: `--text-column` is `text_column=`.
    """

    def __str__(self) -> str:
        return re.sub(_FLAG, lambda found: found[1].replace("-", "_") + "=", self.in_shell)

    @property
    def in_shell(self) -> str:
        """The sentence with flags."""
        return super().__str__()


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


def flag(name: str) -> str:
    """The command line's name of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def nearest(name: str, names: Sequence[str]) -> str:
    """A clause that suggests the name most like a mistyped one, or nothing."""
    import difflib  # takes 10 ms, and only a mistake needs it

    found = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""
