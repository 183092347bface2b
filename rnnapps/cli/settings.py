"""The arguments of commands that take an application: its name and settings. No TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

from rnnapps.apps import APPLICATIONS, config_class, installed
from rnnapps.cli.flags import Group, documented, read, sections
from rnnapps.config import TrainingConfig, read_toml
from rnnapps.errors import ConfigError, flag
from rnnapps.files import check_there
from rnnapps.tuning.options import CompareOptions

_COMMON = (
    "data", "epochs", "batch_size", "learning_rate", "cell", "units", "layers", "seed",
)  # fmt: skip
_ABOUT = {
    "sentiment": "classifies texts",
    "chargen": "generates text, character by character",
    "translation": "translates sentences",
    "forecasting": "forecasts time series",
    "tagging": "tags tokens: names, parts of speech",
}


def application_first(command: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Takes the application, which comes first, off a command's arguments.

    Args:
        command: The command.
        arguments: What stands behind it.

    Returns:
        The application's name, and the arguments after it.

    Raises:
        ConfigError: If no application comes first.
        SystemExit: After `--help`.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(_overview(command), end="")
        raise SystemExit(0)
    if not arguments or arguments[0].startswith("-"):
        names = ", ".join([*APPLICATIONS, *installed()])
        raise ConfigError(f"Expected an application after {command}: {names}.")
    return arguments[0], list(arguments[1:])


def read_settings(
    command: str, about: str, name: str, arguments: Sequence[str], **options: Group
) -> tuple[TrainingConfig, dict[str, Any]]:
    """Reads an application's settings, from flags and the file named by `--config`.

    Args:
        command: The command.
        about: What `--help` says of it.
        name: The application.
        arguments: What stands behind the application's name.
        **options: The command's own flags, in groups by their headings.

    Returns:
        The application's configuration, and the values of the command's own flags.

    Raises:
        ConfigError: If the arguments or the file do not fit.
        DataError: If a file of the settings is not there.
        SystemExit: After `--help`.
    """
    if (data := _value(arguments, "--data")) is not None:
        check_there(data, "data")  # before the parser is made, which takes 0.2 s
    settings_class = config_class(name)
    from_file = settings_class(**_config_file(name, arguments))
    defaults = dict(from_file)
    groups = {**sections(settings_class, defaults), **options}
    found = read(f"rnnapps {command} {name}", about, groups, arguments)
    values = {key: found.pop(key) for key in settings_class.model_fields}
    # What was not set may be taken from a run, even where the default was typed: it was set, too.
    words = {word.partition("=")[0].replace("-", "_") for word in arguments}
    named = {key for key in values if {f"__{key}", f"__no_{key}"} & words}
    named |= {new for old, new in settings_class.renamed.items() if f"__{old}" in words}
    named |= from_file.model_fields_set | {key for key in values if values[key] != defaults[key]}
    settings = settings_class(**{key: values[key] for key in values if key in named})
    for option, path in settings.files:
        check_there(path, option)
    return settings, found


def _overview(command: str) -> str:
    """What `rnnapps COMMAND --help` says before there is an application."""
    names = {**_ABOUT, **{name: f"of {home.split('.')[0]}" for name, home in installed().items()}}
    lines = [f"usage: rnnapps {command} APPLICATION [OPTIONS]", "", "applications:"]
    lines += [f"  {name:<15} {about}" for name, about in names.items()]
    if command != "new":
        texts = {**documented(config_class("sentiment")), **documented(TrainingConfig)}
        where = "--run-dir" if command == "train" else "--project-dir"
        lines += ["", "most used settings:"]
        lines += [f"  {flag(name):<15} {texts[name]}" for name in _COMMON]
        if command == "compare":
            texts = documented(CompareOptions)
            own = ("range", "seeds", "time_per_run")
            lines += [f"  {flag(name):<15} {texts[name]}" for name in own]
        lines += [
            f"  {where:<15} Folder of the results.",
            f"  {'--config':<15} TOML file with settings; flags override it.",
        ]
    lines += ["", f"`rnnapps {command} APPLICATION --help` lists all settings."]
    return "\n".join(lines) + "\n"


def _config_file(application: str, arguments: Sequence[str]) -> Mapping[str, Any]:
    """The settings of the file named by --config, which are the defaults of the flags."""
    path = _value(arguments, "--config")
    if path is None:
        return {}
    settings = read_toml(path)
    other = settings.pop("application", application)
    if other != application:
        raise ConfigError(f"{path} is a configuration of {other}, not of {application}.")
    return settings


def _value(arguments: Sequence[str], name: str) -> str | None:
    """A flag's value, where arguments are not parsed yet; of several the last, as everywhere."""
    found = None
    for i, word in enumerate(arguments):
        if word == name and i + 1 < len(arguments):
            found = arguments[i + 1]
        if word.startswith(f"{name}="):
            found = word.removeprefix(f"{name}=")
    return found
