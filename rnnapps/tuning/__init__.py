"""Searching an application's settings with KerasTuner."""

import importlib
from typing import Any

from rnnapps.tuning.space import describe, tunable_fields

_HOMES = {
    "Candidate": "rnnapps.tuning.hypermodel",  # KerasTuner imports TensorFlow; the flags should not
    "HyperApplication": "rnnapps.tuning.hypermodel",
}

__all__ = ["Candidate", "HyperApplication", "describe", "tunable_fields"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnapps.tuning' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
