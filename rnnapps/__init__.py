"""Ready-made applications of recurrent networks in Keras 3 / TensorFlow.

Importing this package imports no TensorFlow: each public name is loaded on first use.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "SentimentClassifier": "rnnapps.apps.sentiment.app",
    "SentimentConfig": "rnnapps.apps.sentiment.config",
    "load": "rnnapps.apps.application",
    "RnnappsError": "rnnapps.errors",
}

__all__ = ["RnnappsError", "SentimentClassifier", "SentimentConfig", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnapps' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
