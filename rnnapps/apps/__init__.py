"""The applications, by name: rnnapps' own, and those of installed packages.

A package has an application where its `pyproject.toml` says so, as `rnnapps new` writes it:

    [project.entry-points."rnnapps.applications"]
    my_app = "my_app.app:SentimentClassifier"
"""

import importlib
from typing import TYPE_CHECKING

from rnnapps.errors import ConfigError, nearest

if TYPE_CHECKING:  # pydantic takes 0.2 s, TensorFlow 10 s, and `rnnapps --help` does without
    from rnnapps.apps.application import Application
    from rnnapps.config import TrainingConfig

APPLICATIONS = {
    "sentiment": "SentimentClassifier",
    "chargen": "CharGenerator",
    "translation": "Translator",
    "forecasting": "Forecaster",
    "tagging": "Tagger",
}


def application_class(name: str) -> type["Application"]:
    """The class of an application, by its name."""
    package, class_name = _home(name)
    return getattr(importlib.import_module(f"{package}.app"), class_name)


def config_class(name: str) -> type["TrainingConfig"]:
    """The configuration of an application, by its name. Imports no TensorFlow."""
    return importlib.import_module(f"{_home(name)[0]}.config").CONFIG


def command_options(name: str, command: str) -> type:
    """What an application's `"predict"`, `"evaluate"` or the like takes, as a dataclass of flags.

    Raises:
        ConfigError: If the application has no such command.
    """
    home = importlib.import_module(f"{_home(name)[0]}.config")
    options = getattr(home, f"{command.title()}Options", None)
    if options is None:
        raise ConfigError(
            f"Expected a run that knows {command}, such as one of forecasting. Received: one of "
            f"{name}."
        )
    return options


def installed() -> dict[str, str]:
    """The applications of installed packages: by name, where each is, as `package.app:Class`."""
    from importlib.metadata import entry_points  # takes 50 ms, and rnnapps' own do without

    found = {one.name: one.value for one in entry_points(group="rnnapps.applications")}
    return {name: found[name] for name in sorted(found) if name not in APPLICATIONS}


def _home(name: str) -> tuple[str, str]:
    """The package of an application, and the name of its class."""
    if name in APPLICATIONS:
        return f"rnnapps.apps.{name}", APPLICATIONS[name]
    others = installed()
    if name not in others:
        names = [*APPLICATIONS, *others]
        raise ConfigError(
            f"Expected an application: {', '.join(names)}. Received: {name!r}."
            f"{nearest(name, names)}"
        )
    module, _, class_name = others[name].partition(":")
    return module.rpartition(".")[0], class_name
