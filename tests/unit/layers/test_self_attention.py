"""SelfAttention and positions, beside Keras' attention and the NumPy reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import reference
from rnnapps.layers import PositionEmbedding, SelfAttention
from rnnapps.layers.positions import rotate

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 8
X = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32")
MASK = np.array([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 1], [0] * 6], bool)
WINDOW = {"causal": True, "window": 2}


def made(units=UNITS, features=FEATURES, **arguments):
    layer = SelfAttention(units, **arguments)
    layer.build((None, None, features))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()[:4]])
    return layer


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_equals_keras(heads, causal):
    layer = made(num_heads=heads, causal=causal)
    theirs = keras.layers.MultiHeadAttention(heads, UNITS // heads, output_shape=UNITS)
    theirs.build((BATCH, TIME, FEATURES), (BATCH, TIME, FEATURES))
    kernel, bias, output_kernel, output_bias = layer.get_weights()
    split = [
        part.reshape(*part.shape[:-1], heads, UNITS // heads)
        for pair in zip(np.split(kernel, 3, -1), np.split(bias, 3), strict=True)
        for part in pair
    ]
    q, q_bias, k, k_bias, v, v_bias = split
    output_kernel = output_kernel.reshape(heads, UNITS // heads, UNITS)
    order = {"query": (q, q_bias), "key": (k, k_bias), "value": (v, v_bias)}
    for name, weights in order.items():
        getattr(theirs, f"_{name}_dense").set_weights(weights)
    theirs._output_dense.set_weights([output_kernel, output_bias])
    for mask in (None, MASK):
        shown = None if mask is None else np.broadcast_to(mask[:, None], (BATCH, TIME, TIME))
        y, weights = layer(X, mask=mask, return_attention_scores=True)
        expected, scores = theirs(
            X, X, attention_mask=shown, use_causal_mask=causal, return_attention_scores=True
        )
        some = np.ones((BATCH, TIME), bool) if shown is None else shown.any(-1)
        if causal and shown is not None:
            some = (shown & np.tri(TIME, dtype=bool)).any(-1)  # a query that sees nothing is ours
        np.testing.assert_allclose(np.array(y)[some], np.array(expected)[some], atol=1e-5)
        rows = np.broadcast_to(some[:, None], scores.shape[:3])
        np.testing.assert_allclose(np.array(weights)[rows], np.array(scores)[rows], atol=1e-6)
        assert np.all(np.array(weights)[~rows] == 0)


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("causal", [False, True])
def test_equals_the_reference(causal, mask):
    layer = made(num_heads=2, causal=causal, dtype="float64")
    oracle = reference.SelfAttention(FEATURES, UNITS, 2, causal)
    oracle.set_params(**{v.name: v.numpy() for v in layer.trainable_variables})
    x = tf.constant(X, "float64")
    weights = np.random.default_rng(2).normal(size=(BATCH, TIME, UNITS))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, mask=mask)
        loss = tf.reduce_sum(y * weights)
    found = tape.gradient(loss, {"x": x, **{v.name: v.value for v in layer.trainable_variables}})
    expected, cache = oracle.forward(x.numpy(), mask)
    np.testing.assert_allclose(y, expected, atol=1e-10)
    gradients = oracle.backward(weights, cache)
    np.testing.assert_allclose(found.pop("x"), gradients.inputs, atol=1e-9)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients.params[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("rotary", [False, True])
def test_cached_equals_uncached(rotary):
    layer = made(num_heads=2, rotary=rotary, **WINDOW)
    whole = layer(X)
    carried = made(num_heads=2, rotary=rotary, return_state=True, **WINDOW)
    y, *last = carried(X)
    np.testing.assert_allclose(y, whole, atol=1e-5)
    state = [np.zeros((BATCH, size), "float32") for size in carried.state_sizes]
    for t in range(TIME):
        y, state = carried.step(X[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    first, *state = carried(X[:, :4])
    second, *_ = carried(X[:, 4:], initial_state=state)
    np.testing.assert_allclose(tf.concat([first, second], axis=1), whole, atol=1e-5)


def test_a_window_hides_what_is_older():
    layer = made(**WINDOW)
    weights = np.array(layer(X, return_attention_scores=True)[1])[0, 0]
    seen = np.tri(TIME, dtype=bool) & ~np.tri(TIME, k=-3, dtype=bool)
    assert np.all((weights > 0) == seen)


def test_masked_steps_are_not_seen_and_padding_changes_nothing():
    for arguments in ({}, {"rotary": True}, {"rotary": True, **WINDOW}):
        layer = made(num_heads=2, **arguments)
        y = layer(X, mask=MASK)
        other = layer(np.where(MASK[..., None], X, 9), mask=MASK)
        np.testing.assert_allclose(np.array(y)[MASK], np.array(other)[MASK], atol=1e-6)
        padded = layer(
            np.pad(X, [[0, 0], [3, 2], [0, 0]]), mask=np.pad(MASK, [[0, 0], [3, 2]])
        )  # to the left, too: positions are told apart, not counted
        np.testing.assert_allclose(padded[:, 3:-2], y, atol=1e-5)
        assert np.all(np.isfinite(y))


def test_a_model_is_saved_compiled_exported_and_of_bfloat16(tmp_path):
    inputs = keras.Input((None, FEATURES))
    layer = SelfAttention(UNITS, 2, rotary=True, dropout=0.5, seed=1, **WINDOW)
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))
    x = np.where(MASK[..., None], X, 0)
    y = model(x)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), y)
    np.testing.assert_allclose(tf.function(model, jit_compile=True)(x), y, atol=1e-5)
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(loaded.serve(x), y, atol=1e-6)
    assert np.abs(model(x, training=True) - y).max() > 1e-3
    half = made(num_heads=2, rotary=True, dtype="mixed_bfloat16", **WINDOW)
    full = made(num_heads=2, rotary=True, **WINDOW)
    assert half(X).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(half(X), tf.float32), full(X), atol=0.1)


def test_rotary_sees_distances_alone():
    rng = np.random.default_rng(3)
    q, k = (tf.constant(rng.normal(size=(1, 1, 1, 8)), tf.float32) for _ in range(2))

    def score(t, s):
        return tf.reduce_sum(rotate(q, tf.constant([t])) * rotate(k, tf.constant([s])))

    np.testing.assert_allclose(score(5, 2), score(45, 42), atol=1e-5)
    assert abs(score(5, 2) - score(5, 3)) > 1e-3
    np.testing.assert_allclose(score(0, 0), tf.reduce_sum(q * k), atol=1e-6)


def test_position_embeddings():
    x = np.zeros((2, 5, 8), "float32")
    sinusoidal = PositionEmbedding()
    expected = reference.positional_encoding(np.arange(5), 8)
    np.testing.assert_allclose(sinusoidal(x), [expected, expected], atol=1e-6)
    places = tf.constant([range(5), range(7, 12)])
    later = sinusoidal(x, positions=places)
    expected = reference.positional_encoding(np.arange(7, 12), 8)
    np.testing.assert_allclose(later[1], expected, atol=1e-5)
    learned = PositionEmbedding("learned", 6)
    np.testing.assert_array_equal(learned(x)[0], learned.table[:5])
    behind = learned(x, positions=places)[1]  # as at the last step of the table
    np.testing.assert_array_equal(behind, np.tile(learned.table[5], (5, 1)))
    again = PositionEmbedding.from_config(learned.get_config())
    assert again.length == 6


def test_bad_input():
    for arguments in (
        {"units": 0},
        {"num_heads": 0},
        {"num_heads": 3},
        {"units": 6, "num_heads": 2, "rotary": True},
        {"window": 2},
        {"causal": True, "window": 0},
        {"causal": True, "return_state": True},
        {"dropout": 1.0},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            SelfAttention(**{"units": UNITS, **arguments})
    with pytest.raises(ValueError, match=r"divide the width 3\. Received: num_heads=2"):
        SelfAttention(num_heads=2)(X)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        SelfAttention(UNITS)(X[0])
    with pytest.raises(ValueError, match=r"at most `length=4` steps.* Received: "):
        PositionEmbedding("learned", 4)(X)
    for arguments in ({"kind": "round"}, {"kind": "learned"}):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            PositionEmbedding(**arguments)
    with pytest.raises(ValueError, match="even number of features"):
        PositionEmbedding()(X)
