"""From a trained model to a SavedModel that TF Serving serves."""

from rnnapps.serving.export import publish
from rnnapps.serving.requests import Signature

__all__ = ["Signature", "publish"]
