"""The Transformer's blocks: in the place of recurrent layers, with a state that is carried on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import reference
from rnnapps.layers import TransformerStack

BATCH, TIME, FEATURES, UNITS = 3, 7, 4, 8
X = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32")
MASK = np.arange(TIME) < [[7], [3], [0]]
KINDS = {
    "rotary": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "learned": {"positions": "learned", "length": 9},
    "none": {"positions": "none"},
}
REPEATING = {"positions": "learned", "length": 4}  # behind which the table begins anew
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def made(**arguments):
    stack = TransformerStack(UNITS, **{"num_layers": 2, "num_heads": 2, **arguments})
    stack.build((None, None, FEATURES))
    rng = np.random.default_rng(1)
    for variable in stack.trainable_variables:
        scale = 1.0 if variable.name == "gamma" else 0.0
        variable.assign(scale + rng.normal(size=variable.shape) / 3)
    return stack


@pytest.mark.parametrize("kind", ["rotary", "none"])
def test_a_block_equals_the_reference(kind):
    stack = TransformerStack(8, num_heads=2, causal=True, positions=kind, dtype="float64")
    stack.build((None, None, 8))
    (block,) = stack.blocks
    oracle = reference.TransformerBlock(8, 2, causal=True, rotary=kind == "rotary")
    rng = np.random.default_rng(2)
    variables = {}
    for variable in block.trainable_variables:
        name = variable.path.partition("block_0/")[2].replace("feed_forward/norm", "feed_norm")
        variables[name.removeprefix("feed_forward/")] = variable
    for name, weight in oracle.params.items():
        weight += rng.normal(0, 0.3, weight.shape)
        variables[name].assign(weight)
    x, dy = rng.normal(size=(BATCH, TIME, 8)), rng.normal(size=(BATCH, TIME, 8))
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = block(inputs, mask=MASK)
        loss = tf.reduce_sum(y * dy)
    found = tape.gradient(loss, {"x": inputs, **{k: v.value for k, v in variables.items()}})
    expected, cache = oracle.forward(x, MASK)
    close = {"rtol": 0, "atol": 1e-5 if kind == "rotary" else 1e-9}  # angles are float32
    np.testing.assert_allclose(y, expected, **close)
    gradients = oracle.backward(dy, cache)
    np.testing.assert_allclose(found.pop("x"), gradients.inputs, **close)
    assert found.keys() == gradients.params.keys()
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients.params[name], **close, err_msg=name)


@pytest.mark.parametrize("kind", [*KINDS.values(), REPEATING], ids=[*KINDS, "repeating"])
def test_cached_equals_uncached(kind):
    window = {"causal": True, "window": 3, **kind}
    whole = made(**window)(X)
    stack = made(return_state=True, dropout=0.5, **window)
    y, last = stack(X)
    np.testing.assert_allclose(y, whole, atol=1e-5)
    state = [np.zeros((BATCH, size), "float32") for size in stack.state_sizes]
    assert [s.shape for s in last] == [s.shape for s in state]
    for t in range(TIME):
        y, state = stack.step(X[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    first, state = stack(X[:, :4])
    second, _ = stack(X[:, 4:], initial_state=state)
    np.testing.assert_allclose(tf.concat([first, second], axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS.values(), REPEATING], ids=[*KINDS, "repeating"])
def test_a_state_is_given_room_as_it_fills(kind):
    stack = made(causal=True, window=3, return_state=True, **kind)
    whole, last = stack(X)

    @tf.function
    def in_a_loop():
        state = stack.first_state(BATCH, room=1)
        outputs = tf.TensorArray(tf.float32, TIME)
        rooms = tf.TensorArray(tf.int32, TIME)
        for t in tf.range(TIME):
            state = stack.make_room(state)
            rooms = rooms.write(t, tf.shape(state[-1])[1])
            y, state = stack.step(tf.gather(X, t, axis=1), state)
            outputs = outputs.write(t, y)
        return tf.transpose(outputs.stack(), [1, 0, 2]), state, rooms.stack()

    outputs, state, rooms = in_a_loop()
    np.testing.assert_allclose(outputs, whole, atol=1e-5)
    np.testing.assert_array_equal(rooms, [1, 2, 3, 3, 3, 3, 3])
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@each_kind
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing_on_either_side(kind, causal):
    stack = made(causal=causal, **kind)
    y = np.array(stack(X, mask=MASK))
    assert np.all(np.isfinite(y))
    for left, right in ((0, 2), (2, 0)):
        around = [[0, 0], [left, right]]
        padded = stack(np.pad(X, [*around, [0, 0]], constant_values=9), mask=np.pad(MASK, around))
        inner = np.array(padded)[:, left : left + TIME]
        np.testing.assert_allclose(inner[MASK], y[MASK], atol=1e-5)
    alone = stack(X[1:2, :3])
    np.testing.assert_allclose(alone, y[1:2, :3], atol=1e-5)


def test_causal_is_causal_and_positions_tell_the_order():
    changed = X.copy()
    changed[:, 5:] += 1
    for kind in KINDS.values():
        causal, whole = made(causal=True, **kind), made(**kind)
        np.testing.assert_allclose(causal(changed)[:, :5], causal(X)[:, :5], atol=1e-6)
        assert np.abs(whole(changed)[:, :5] - whole(X)[:, :5]).max() > 1e-3
        turned = np.flip(np.array(whole(np.flip(X, 1).copy())), 1)
        same = np.allclose(turned, whole(X), atol=1e-5)
        assert same == (kind == {"positions": "none"})


@pytest.mark.system
@pytest.mark.parametrize("kind", [{}, REPEATING], ids=["rotary", "learned"])
def test_trains_is_saved_compiled_and_exported(kind, tmp_path):
    inputs = keras.Input((None, FEATURES))
    stack = made(causal=True, window=3, dropout=0.2, seed=1, **kind)
    model = keras.Model(inputs, stack(keras.layers.Masking()(inputs)))
    model.compile(keras.optimizers.Adam(0.03), "mse", jit_compile=not kind)
    x = np.where(MASK[..., None], X, 0)
    first = model.train_on_batch(x, np.ones((BATCH, TIME, UNITS)))
    for _ in range(10):
        last = model.train_on_batch(x, np.ones((BATCH, TIME, UNITS)))
    assert last < first
    y = model(x)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), y)
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(loaded.serve(x), y, atol=1e-5)


def test_mixed_precision_counts_far():
    stack = made(
        causal=True, window=2, positions="sinusoidal", return_state=True, dtype="mixed_bfloat16"
    )
    state = [tf.zeros((1, size), "bfloat16") for size in stack.state_sizes]
    _, state = stack(np.ones((1, 1000, FEATURES), "float32"), initial_state=state)
    for _ in range(3):
        y, state = stack.step(np.ones((1, FEATURES), "float32"), state)
    assert y.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(state[0], "int32"), [[0, 1003 // 128, 1003 % 128]])
    state[0] = tf.constant([[60, 127, 127]], "bfloat16")  # a million
    _, state = stack.step(np.ones((1, FEATURES), "float32"), state)
    np.testing.assert_array_equal(tf.cast(state[0], "int32"), [[61, 0, 0]])


def test_the_last_step_that_is_seen():
    y, last = made()(X, mask=MASK), made(return_sequences=False)
    found = np.array(last(X, mask=MASK))
    np.testing.assert_allclose(found[:2], [y[0, 6], y[1, 2]], atol=1e-6)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(last(X), made()(X)[:, -1], atol=1e-6)
    inputs = keras.Input((None, FEATURES))
    assert last(keras.layers.Masking()(inputs)).shape == (None, UNITS)
    stepping = made(causal=True, window=3, return_sequences=False, return_state=True)
    y, state = stepping(X[:, :6])
    np.testing.assert_allclose(stepping.step(X[:, 6], state)[0], stepping(X)[0], atol=1e-5)


def test_bad_input():
    for arguments in (
        {"units": 0},
        {"num_layers": 0},
        {"num_heads": 3},
        {"positions": "relative"},
        {"positions": "learned"},
        {"positions": "learned", "length": 4, "causal": True, "window": 5},
        {"window": 3},
        {"return_state": True},
        {"dropout": 1.0},
        {"expansion": 0},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            TransformerStack(**{"units": UNITS, "num_heads": 2, **arguments})
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        TransformerStack(UNITS)(X[0])
    with pytest.raises(ValueError, match=r"at most `length=4` steps.* Received: "):
        made(positions="learned", length=4)(X)
