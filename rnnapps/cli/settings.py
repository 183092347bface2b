"""What a command takes of an application: its name, and its settings from a file. No TensorFlow."""

from typing import Any

from rnnapps.apps import APPLICATIONS
from rnnapps.config import read_toml
from rnnapps.errors import ConfigError


def application_first(command: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The application, which comes first, and the arguments after it."""
    names = ", ".join(APPLICATIONS)
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: rnnapps {command} {{{','.join(APPLICATIONS)}}} [OPTIONS]")
        raise SystemExit(0)
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"Expected an application after {command}: {names}.")
    return arguments[0], arguments[1:]


def config_file(application: str, arguments: list[str]) -> dict[str, Any]:
    """The settings of the file named by --config, which are the defaults of the flags."""
    for i, word in enumerate(arguments):
        if word == "--config" and i + 1 < len(arguments):
            path = arguments[i + 1]
        elif word.startswith("--config="):
            path = word.removeprefix("--config=")
        else:
            continue
        settings = read_toml(path)
        other = settings.pop("application", application)
        if other != application:
            raise ConfigError(f"{path} is a configuration of {other}, not of {application}.")
        return settings
    return {}
