"""The mistakes that a user can make, each said in one sentence."""


class RnnappsError(Exception):
    """A user's mistake: the command line prints its one sentence and exits with status 2."""


class ConfigError(RnnappsError):
    """A setting that is unknown, out of its range, or contradicts another."""


class DataError(RnnappsError):
    """Data that is missing, unreadable, or not what the application needs."""


class RunError(RnnappsError):
    """A run directory or an export that is not what it is taken for."""


class ServerError(RnnappsError):
    """A model server that does not answer, or refuses what it was asked."""
