"""The applications, by name."""

import importlib

from rnnapps.config import TrainingConfig, nearest
from rnnapps.errors import ConfigError

APPLICATIONS = {
    "sentiment": "SentimentClassifier",
    "chargen": "CharGenerator",
    "translation": "Translator",
    "forecasting": "Forecaster",
}


def application_class(name: str) -> type:
    """The class of an application, by its name."""
    _check(name)
    return getattr(importlib.import_module(f"rnnapps.apps.{name}.app"), APPLICATIONS[name])


def config_class(name: str) -> type[TrainingConfig]:
    """The configuration of an application, by its name. Imports no TensorFlow."""
    _check(name)
    return importlib.import_module(f"rnnapps.apps.{name}.config").CONFIG


def command_options(name: str, command: str) -> type:
    """What an application's `"predict"` or `"evaluate"` takes, as a dataclass of flags."""
    _check(name)
    home = importlib.import_module(f"rnnapps.apps.{name}.config")
    return getattr(home, f"{command.title()}Options")


def _check(name: str) -> None:
    if name not in APPLICATIONS:
        raise ConfigError(
            f"Expected an application: {', '.join(APPLICATIONS)}. Received: {name!r}."
            f"{nearest(name, list(APPLICATIONS))}"
        )
