"""From a trained model to a SavedModel that TF Serving serves; a local server, and a client.

Importing this package does not import TensorFlow: public names are loaded on first use.
"""

import importlib
from typing import Any

_HOMES = {
    "Client": "rnnapps.serving.client.client",
    "Limits": "rnnapps.serving.server.workers",
    "ExportSpec": "rnnapps.serving.export.export",
    "Server": "rnnapps.serving.server.server",
    "Signature": "rnnapps.serving.export.requests",
    "asset_signature": "rnnapps.serving.export.requests",
    "publish": "rnnapps.serving.export.export",
}

__all__ = ["Client", "ExportSpec", "Limits", "Server", "Signature", "asset_signature", "publish"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnapps.serving' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
