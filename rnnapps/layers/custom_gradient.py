"""Gradients written by hand, freed with the graph that they belong to."""

import functools
import weakref
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework import ops


def custom_gradient(function: Callable) -> Callable:
    """Like `tf.custom_gradient`, but without leaking traced graphs.

    TensorFlow registers the gradient of each trace under a unique name and never removes it. The
    gradient keeps its graph alive: a megabyte or more for each model of a search. Here the graph
    owns the gradient, and the registry holds it only as long as the graph lives.
    """
    derived = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*arguments):
        results = derived(*arguments)
        if not tf.executing_eagerly():
            _hand_to_graph(tf.nest.flatten(results)[0].op)
        return results

    return call


def _hand_to_graph(op: tf.Operation) -> None:
    name = op.get_attr("_gradient_op_type").decode()
    try:
        registry = ops.gradient_registry._registry
        entry = registry[name]
        gradient = entry["type"]
    except (AttributeError, KeyError, TypeError):
        return  # TensorFlow registers it differently: test_custom_gradient.py fails
    graph, known = op.graph, weakref.ref(gradient)
    graph.custom_gradients = [*getattr(graph, "custom_gradients", ()), gradient]
    entry["type"] = lambda op, *gradients: known()(op, *gradients)
    weakref.finalize(graph, registry.pop, name, None).atexit = False
