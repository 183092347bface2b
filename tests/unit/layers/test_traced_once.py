"""A loop is traced once in a graph, and goes with it."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from rnnapps.layers import GRU
from rnnapps.layers.scan.traced_once import traced_once


def test_a_function_is_traced_once_for_each_shape_in_a_graph():
    traced = []

    @traced_once
    def squared(x, times=1):
        traced.append((x.shape, times))
        return times * x * x

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(squared(x) + squared(2 * x)) + squared(y, times=3)[0]
        return total, tape.gradient(total, x)

    x, y = tf.constant([1.0, 2.0]), tf.constant([3.0])
    total, gradient = step(x, y)
    assert len(traced) == 2
    np.testing.assert_allclose(total, 1 + 4 + 4 + 16 + 27)
    np.testing.assert_allclose(gradient, [2 + 8, 4 + 16])
    np.testing.assert_allclose(squared(x), [1, 4])  # outside a graph as it is
    assert len(traced) == 3


def test_a_trace_goes_with_its_graph():
    layer = GRU(3)

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x))
        return tape.gradient(loss, layer.trainable_variables)

    graph = step.get_concrete_function(tf.TensorSpec((2, None, 4))).graph
    (loop,) = graph.traced_once.values()
    gone = [weakref.ref(graph), weakref.ref(loop)]
    del step, graph, loop
    gc.collect()
    assert [one() for one in gone] == [None, None]
