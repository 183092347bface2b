"""Ready-made applications of recurrent networks in Keras 3 / TensorFlow.

Importing this package imports no TensorFlow: each public name is loaded on first use.
"""

import importlib
from typing import Any

__version__ = "0.2.0.dev0"

_HOMES = {
    "CharGenConfig": "rnnapps.apps.chargen.config",
    "CharGenerator": "rnnapps.apps.chargen.app",
    "Forecaster": "rnnapps.apps.forecasting.app",
    "ForecastingConfig": "rnnapps.apps.forecasting.config",
    "SentimentClassifier": "rnnapps.apps.sentiment.app",
    "SentimentConfig": "rnnapps.apps.sentiment.config",
    "Tagger": "rnnapps.apps.tagging.app",
    "TaggingConfig": "rnnapps.apps.tagging.config",
    "TranslationConfig": "rnnapps.apps.translation.config",
    "Translator": "rnnapps.apps.translation.app",
    "compare": "rnnapps.tuning.comparison",
    "load": "rnnapps.apps.application",
    "RnnappsError": "rnnapps.errors",
}

__all__ = [
    "CharGenConfig",
    "CharGenerator",
    "Forecaster",
    "ForecastingConfig",
    "RnnappsError",
    "SentimentClassifier",
    "SentimentConfig",
    "Tagger",
    "TaggingConfig",
    "TranslationConfig",
    "Translator",
    "__version__",
    "compare",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnapps' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
