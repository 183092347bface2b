"""Searching an application's settings with KerasTuner."""

import importlib
from typing import Any

from rnnapps.tuning.space import describe, tunable_fields

__all__ = ["Candidate", "HyperApplication", "describe", "tunable_fields"]


def __getattr__(name: str) -> Any:  # KerasTuner imports TensorFlow; the flags should not
    if name not in __all__:
        raise AttributeError(f"module 'rnnapps.tuning' has no attribute {name!r}")
    return getattr(importlib.import_module("rnnapps.tuning.hypermodel"), name)
