"""What a layer was traced into is freed: a search, or a long process, must not keep every graph."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.layers import CRF, GRU, LSTM, SLSTM, LayerNormLSTM, MinGRU, PeepholeLSTM
from rnnapps.training import make_optimizer

X, Y = np.ones((2, 5, 3), "float32"), np.ones((2, 1), "float32")


class Witness(keras.layers.Layer):
    """Notes the graphs that it is traced into."""

    def __init__(self):
        super().__init__()
        self.graphs = []

    def call(self, x):
        self.graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
        return tf.identity(x)

    def alive(self) -> int:
        assert self.graphs
        gc.collect()
        return sum(graph() is not None for graph in self.graphs)


CASES = [(make, False) for make in (LSTM, GRU, PeepholeLSTM, LayerNormLSTM, MinGRU, SLSTM)]


@pytest.mark.system
@pytest.mark.parametrize(("make", "xla"), [*CASES, (LSTM, True)])
def test_the_graphs_of_layers_are_freed(make, xla):
    def derive(layer, witness):
        @tf.function(jit_compile=xla, autograph=False)
        def step(x):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(layer(witness(x)))
            return tape.gradient(total, layer.trainable_variables)

        return step(X)

    witness = Witness()
    gradients = derive(make(2), witness)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert witness.alive() == 0


def test_a_gradient_can_be_asked_for_after_tracing():
    """By the registered gradient: the backward function of a graph is made when it is needed."""
    layer, witness = LSTM(2), Witness()
    layer.build((None, 5, 3))
    run = tf.function(lambda x: layer(witness(x)), autograph=False)
    run.get_concrete_function(tf.TensorSpec((2, 5, 3)))
    gc.collect()
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(run(x))
    with tf.GradientTape() as plain:
        plain.watch(x)
        expected = tf.reduce_sum(layer(x))
    np.testing.assert_allclose(
        tape.gradient(total, x), plain.gradient(expected, x), rtol=1e-5, atol=1e-7
    )
    del run
    assert witness.alive() == 0


def test_the_graphs_of_trainings_are_freed():
    def train(witness):
        inputs = keras.Input((5, 3))
        outputs = keras.layers.Dense(1)(LSTM(2)(witness(inputs)))
        model = keras.Model(inputs, outputs)
        model.compile(make_optimizer(TrainingConfig(weight_decay=0.1), 1), "mse")
        model.fit(X, Y, verbose=0)
        return model.predict(X, verbose=0)

    witness = Witness()
    train(witness)
    assert len(witness.graphs) >= 3  # built, trained, asked
    assert witness.alive() == 0


def test_the_graphs_of_a_random_field_are_freed():
    def derive(witness):
        crf, scores, tags = CRF(), tf.constant(X), tf.zeros(X.shape[:2], tf.int32)
        step = tf.function(lambda x: crf.loss(tags, crf(witness(x))), autograph=False)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            total = step(scores)
        return tape.gradient(total, scores)

    witness = Witness()
    derive(witness)
    assert witness.alive() == 0
