"""Loads a SavedModel and lists its ops, for exporting and serving."""

import pathlib
from typing import Any

import absl.logging
import tensorflow as tf
from tensorflow.core.framework import graph_pb2


def load(version: pathlib.Path) -> Any:
    """Loads a SavedModel without log messages about the gradients that the export left out.

    Args:
        version: The version's folder.

    Returns:
        The model, as from `tf.saved_model.load`.
    """
    level = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        return tf.saved_model.load(str(version))
    finally:
        absl.logging.set_verbosity(level)


def ops(graph: graph_pb2.GraphDef) -> set[str]:
    """The types of all ops that a graph may run, including those in its functions."""
    functions = [function.node_def for function in graph.library.function]
    names = {function.signature.name for function in graph.library.function}
    return {node.op for nodes in (graph.node, *functions) for node in nodes} - names
