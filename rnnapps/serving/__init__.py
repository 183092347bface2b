"""From a trained model to a SavedModel that TF Serving serves."""

from rnnapps.serving.export import Signature, publish

__all__ = ["Signature", "publish"]
