"""What writing and serving a SavedModel have in common."""

import pathlib
from typing import Any

import absl.logging
import tensorflow as tf
from tensorflow.core.framework import graph_pb2


def load(version: pathlib.Path) -> Any:
    """Loads a SavedModel, without a line in the log for each gradient that the export left behind.

    Args:
        version: The version's folder.

    Returns:
        The model, as `tf.saved_model.load` has it.
    """
    level = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        return tf.saved_model.load(str(version))
    finally:
        absl.logging.set_verbosity(level)


def ops(graph: graph_pb2.GraphDef) -> set[str]:
    """The types of all ops that a graph may run, those of its inner functions included."""
    functions = [function.node_def for function in graph.library.function]
    names = {function.signature.name for function in graph.library.function}
    return {node.op for nodes in (graph.node, *functions) for node in nodes} - names
