"""Loops that are traced once for all layers, directions and passes of a graph."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(function: Callable) -> Callable:
    """Traces a function, and its gradient, once in a graph for all arguments of the same shapes.

    A graph of a training step runs the same loop for each direction, replica and pass over a batch,
    and to trace a loop takes a tenth of a second. The trace lives as long as the graph.

    Args:
        function: From tensors to tensors; its other arguments have hashes.

    Returns:
        The same function.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if tf.executing_eagerly():
            return function(*arguments, **options)
        graph = tf.compat.v1.get_default_graph()
        while isinstance(getattr(graph, "outer_graph", None), type(graph)):
            graph = graph.outer_graph
        if not hasattr(graph, "traced_once"):
            graph.traced_once = {}
        if function not in graph.traced_once:
            graph.traced_once[function] = tf.function(function, autograph=False)
        return graph.traced_once[function](*arguments, **options)

    return call
