"""CrossAttention, beside Keras' attention and the NumPy reference; and the decoder made of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import reference
from rnnapps.layers import CrossAttention, TransformerStack

BATCH, TIME, MEMORY_TIME, FEATURES, WIDTH, UNITS = 3, 5, 4, 3, 6, 8
rng = np.random.default_rng(0)
X = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
MEMORY = rng.normal(size=(BATCH, MEMORY_TIME, WIDTH)).astype("float32")
MASK = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
POSITIONS = {
    "rotary": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "learned": {"positions": "learned", "length": 3},
}


def with_weights(layer):
    layer.build((None, None, FEATURES), (None, None, WIDTH))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        scale = 1.0 if variable.name == "gamma" else 0.0
        variable.assign(scale + rng.normal(size=variable.shape) / 3)
    return layer


def made(heads=2, **arguments):
    return with_weights(CrossAttention(UNITS, heads, **arguments))


def decoder(**arguments):
    arguments = {"causal": True, "window": 3, "return_state": True, **arguments}
    return with_weights(TransformerStack(UNITS, 2, 2, cross_attention=True, **arguments))


@pytest.mark.parametrize("heads", [1, 2])
def test_equals_keras(heads):
    layer = made(heads)
    theirs = keras.layers.MultiHeadAttention(heads, UNITS // heads, output_shape=UNITS)
    theirs.build(X.shape, MEMORY.shape)

    def split(x):
        return x.reshape(*x.shape[:-1], heads, UNITS // heads)

    kernel, bias, memory_kernel, memory_bias, output_kernel, output_bias = layer.get_weights()
    of_memory = zip(np.split(memory_kernel, 2, -1), np.split(memory_bias, 2), strict=True)
    pairs = [(kernel, bias), *of_memory]
    for name, pair in zip(("query", "key", "value"), pairs, strict=True):
        getattr(theirs, f"_{name}_dense").set_weights([split(one) for one in pair])
    theirs._output_dense.set_weights([split(output_kernel.T).transpose(1, 2, 0), output_bias])
    y, weights = layer(X, MEMORY, memory_mask=MASK, return_attention_scores=True)
    shown = np.broadcast_to(MASK[:, None], (BATCH, TIME, MEMORY_TIME))
    expected, scores = theirs(X, MEMORY, attention_mask=shown, return_attention_scores=True)
    np.testing.assert_allclose(y[:2], expected[:2], atol=1e-5)
    np.testing.assert_allclose(weights[:2], scores[:2], atol=1e-6)
    np.testing.assert_array_equal(weights[2], np.zeros((heads, TIME, MEMORY_TIME)))
    np.testing.assert_allclose(y[2], np.tile(output_bias, (TIME, 1)), atol=1e-6)
    np.testing.assert_allclose(layer(X, MEMORY), theirs(X, MEMORY), atol=1e-5)


def test_equals_the_reference_by_its_keys_too():
    layer = made(heads=1, dtype="float64")
    kernel, bias, memory_kernel, memory_bias, output_kernel, output_bias = layer.get_weights()
    keys, values = np.split(MEMORY @ memory_kernel + memory_bias, 2, -1)
    looked, _ = reference.self_attention.scaled_dot_product(
        X @ kernel + bias, keys, values, MASK[:, None]
    )
    expected = looked @ output_kernel + output_bias
    found = layer(X, MEMORY, memory_mask=MASK, keys=layer.keys(MEMORY))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", POSITIONS.values(), ids=POSITIONS)
def test_a_decoder_s_steps_equal_its_whole(kind):
    stack = decoder(dropout=0.5, **kind)
    seen = {"memory": MEMORY, "memory_mask": MASK, "return_attention_scores": True}
    whole, last, weights = stack(X, **seen)
    assert weights.shape == (BATCH, TIME, MEMORY_TIME)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1)[:2], np.ones((2, TIME)), atol=1e-5)
    np.testing.assert_array_equal(np.array(weights)[~np.repeat(MASK[:, None], TIME, 1)], 0)
    of_memory = {"memory": MEMORY, "memory_mask": MASK, "keys": stack.keys(MEMORY)}
    state = [np.zeros((BATCH, size), "float32") for size in stack.state_sizes]
    y, *_ = stack(X, initial_state=state, **seen)
    np.testing.assert_allclose(y, whole, atol=1e-5)
    for t in range(TIME):
        y, state = stack.step(X[:, t], state, **of_memory)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    padded = {
        "memory": np.pad(MEMORY, [[0, 0], [0, 2], [0, 0]], constant_values=9),
        "memory_mask": np.pad(MASK, [[0, 0], [0, 2]]),
    }
    np.testing.assert_allclose(stack(X, **padded)[0], whole, atol=1e-5)
    changed = np.concatenate([X[:, :3], X[:, 3:] + 1], axis=1)
    np.testing.assert_allclose(stack(changed, **padded)[0][:, :3], whole[:, :3], atol=1e-5)


@pytest.mark.system
def test_a_decoder_trains_is_saved_compiled_and_exported(tmp_path):
    inputs = keras.Input((None, FEATURES)), keras.Input((None, WIDTH))
    stack = decoder(dropout=0.2, seed=1, return_state=False)
    memory = keras.layers.Masking()(inputs[1])
    y, weights = stack(inputs[0], memory=memory, return_attention_scores=True)
    model = keras.Model(inputs, [y, weights])
    model.compile(keras.optimizers.Adam(0.03), ["mse", None], jit_compile=True)
    x = [X, np.where(MASK[..., None], MEMORY, 0)]
    losses = [model.train_on_batch(x, [np.ones((BATCH, TIME, UNITS)), None]) for _ in range(10)]
    assert losses[-1] < losses[0]
    y, weights = model(x)
    np.testing.assert_array_equal(np.array(weights)[~np.repeat(MASK[:, None], TIME, 1)], 0)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x)[0], y)
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(loaded.serve(tuple(x))[0], y, atol=1e-5)


def test_mixed_precision():
    seen = {"memory": MEMORY, "memory_mask": MASK}
    half, full = (decoder(dtype=dtype)(X, **seen)[0] for dtype in ("mixed_bfloat16", "float32"))
    assert half.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(half, "float32"), full, atol=0.2)


def test_bad_input():
    for arguments in ({"units": 0}, {"num_heads": 3}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            CrossAttention(**{"units": UNITS, **arguments})
    for x, memory in ((X[0], MEMORY), (X, MEMORY[0]), (X, MEMORY[:2])):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            CrossAttention(UNITS)(x, memory)
    with pytest.raises(ValueError, match="Expected `memory` if and only if"):
        TransformerStack(UNITS, cross_attention=True)(X)
