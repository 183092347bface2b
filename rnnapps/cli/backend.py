"""Imports TensorFlow when a command needs it, and quietly."""

import contextlib
import importlib
import os
import sys

from rnnapps.errors import ConfigError


def import_tensorflow() -> None:
    """Imports TensorFlow without what its C++ side logs, unless the user asked for its logs."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ConfigError(
            f"Expected KERAS_BACKEND to be tensorflow or unset. Received: {backend!r}."
        )
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Some lines are logged before that level is read; they are held back at the file descriptor.
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
        importlib.import_module("absl.logging").set_verbosity("error")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def set_threads(threads: int | None) -> None:
    """Lets each of TensorFlow's operations have so many threads, unless it has run one already.

    Args:
        threads: How many; `None` for TensorFlow's own choice.
    """
    if threads is not None:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
