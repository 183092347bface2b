"""LSTM and GRU beside Keras' own, and the choice of cuDNN."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.layers import GRU, LSTM, SLSTM, MinGRU
from rnnapps.layers.base import is_right_padded

PAIRS = [(LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)]
X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["lstm", "gru"])
def test_archives_move_between_ours_and_keras(ours, theirs, tmp_path):
    def model_of(layer):
        return keras.Sequential([keras.Input((None, 2)), layer(4), keras.layers.Dense(1)])

    models = {"ours": model_of(ours), "theirs": model_of(theirs)}
    for source, target in (("ours", "theirs"), ("theirs", "ours")):
        models[source].save(tmp_path / f"{source}.keras")
        copy = model_of(ours if target == "ours" else theirs)
        copy.load_weights(tmp_path / f"{source}.keras")
        np.testing.assert_allclose(copy(X), models[source](X), atol=1e-5)
    assert ours(4).get_config().keys() == theirs(4).get_config().keys()


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["lstm", "gru"])
def test_trains_as_keras_does(ours, theirs):
    def trained(layer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6, 2)), layer(4), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
        model.fit(X, X[:, 0, :1], epochs=5, shuffle=False, verbose=0)
        return model.get_weights()

    for a, b in zip(trained(ours), trained(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("layer", [LSTM, GRU])
def test_cudnn_is_for_training_on_a_gpu_only(layer, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"] * (kind == "GPU"))
    assert layer(2).can_use_cudnn(training=True)
    assert not layer(2).can_use_cudnn(training=False)
    assert not layer(2).can_use_cudnn(training=None)
    for arguments in (
        {"use_cudnn": False},
        {"recurrent_dropout": 0.1},
        {"activation": "relu"},
        {"use_bias": False},
        {"unroll": True},
        {"dtype": "mixed_bfloat16"},
    ):
        assert not layer(2, **arguments).can_use_cudnn(training=True)
    assert not GRU(2, reset_after=False).can_use_cudnn(training=True)


@pytest.mark.parametrize("layer", [LSTM, GRU])
def test_a_mask_that_cudnn_cannot_take_falls_back(layer, monkeypatch):
    """With Keras' loop in cuDNN's place, which here raises as cuDNN does on such a mask."""

    def stand_in(self, sequences, state, mask, training=False):
        if mask is not None:
            tf.debugging.Assert(is_right_padded(mask), ["cuDNN cannot take this"])
        return keras.layers.RNN.inner_loop(self, sequences, state, mask, training=training)

    plain = layer(4, return_sequences=True, return_state=True)
    expected = {}
    right, left = np.arange(6) < [[6], [3], [1]], np.arange(6) >= [[0], [3], [6]]
    for name, mask in {"none": None, "right": right, "left": left}.items():
        expected[name] = (mask, plain(X, mask=mask))
    monkeypatch.setattr(layer.cudnn_layer, "inner_loop", stand_in)
    monkeypatch.setattr(layer, "can_use_cudnn", lambda self, training: bool(training))

    @tf.function
    def step(mask):
        with tf.GradientTape() as tape:
            outputs = plain(X, mask=mask, training=True)
            loss = tf.add_n([tf.reduce_sum(y) for y in outputs])
        return outputs, tape.gradient(loss, plain.trainable_variables[0].value)

    for mask, outputs in expected.values():
        ours, gradient = step(None if mask is None else tf.constant(mask))
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
        for a, b in zip(ours, outputs, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_is_right_padded():
    for mask, expected in {
        ((1, 1, 0), (1, 1, 1)): True,
        ((0, 1, 1), (1, 1, 1)): False,
        ((1, 0, 1), (1, 1, 1)): False,
        ((0, 0, 0), (1, 1, 1)): False,
    }.items():
        assert bool(is_right_padded(np.array(mask, bool))) is expected


@pytest.mark.parametrize("layer", [LSTM, GRU])
def test_a_batch_of_one_is_compiled_in_training_only(layer):
    """Where the shape is known: with the same outputs and gradients, and never in inference."""
    layer = layer(4, return_sequences=True)
    layer.build((None, None, 2))

    def step(x, mask, training):
        with tf.GradientTape() as tape:
            outputs = layer(x, mask=mask, training=training)
        return outputs, tape.gradient(outputs, [v.value for v in layer.trainable_variables])

    x, mask = tf.constant(X[:1]), tf.constant([[False, True, True, False, True, True]])
    expected = step(x, mask, True)
    for shape, training, compiled in (
        ((1, 6, 2), True, True),
        ((1, 6, 2), False, False),
        ((None, 6, 2), True, False),
        ((1, None, 2), True, False),
    ):
        function = tf.function(functools.partial(step, training=training))
        function = function.get_concrete_function(
            tf.TensorSpec(shape), tf.TensorSpec(shape[:2], "bool")
        )
        operations = function.graph.get_operations()
        assert compiled == any("_XlaMustCompile" in op.node_def.attr for op in operations)
        outputs, gradients = function(x, mask)
        np.testing.assert_allclose(outputs, expected[0], atol=1e-6)
        for ours, theirs in zip(gradients, expected[1], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("reset_after", [False, True])
def test_a_gru_whose_gate_keeps_all_keeps_all_in_bfloat16(reset_after):
    layer, rng = GRU(4, reset_after=reset_after, dtype="mixed_bfloat16"), np.random.default_rng(0)
    layer.build((None, None, 2))
    kernel, recurrent, bias = (rng.normal(size=w.shape) for w in layer.get_weights())
    kernel[:, :4], recurrent[:, :4], bias[..., :4] = 0, 0, 30  # z is 1
    layer.set_weights([kernel, recurrent, bias])
    state = tf.constant(rng.normal(size=(3, 4)), tf.bfloat16)
    np.testing.assert_array_equal(layer(np.tile(X, (1, 8, 1)), initial_state=state), state)


@pytest.mark.parametrize("layer", [GRU, MinGRU, SLSTM])
def test_a_slow_state_moves_in_bfloat16(layer):
    last = []
    for dtype in ("float32", "mixed_bfloat16"):
        slow = layer(4, dtype=dtype)
        slow.build((None, None, 2))
        weights = [0 * w for w in slow.get_weights()]
        gate, keeps = {GRU: (0, 6), MinGRU: (0, -6), SLSTM: (1, 6)}[layer]
        bias = weights[-1].reshape(-1, weights[0].shape[1] // 4, 4)[0]  # (gates, units)
        bias[gate], bias[2 if layer is not MinGRU else 1] = keeps, [1, -1, 0.5, 2]
        slow.set_weights(weights)
        last.append(tf.cast(slow(tf.zeros((1, 400, 2))), "float32"))
    np.testing.assert_allclose(*last, rtol=0.01)
    assert abs(last[0].numpy()).max() > 0.4
