"""AttentionPooling, AttentionLSTM's weights, and AttentionDecoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import reference
from rnnapps.layers import (
    GRU,
    LSTM,
    AttentionDecoder,
    AttentionLSTM,
    AttentionPooling,
    PeepholeLSTMCell,
    SequencePooling,
)

RNG = np.random.default_rng(0)
MASK = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
X = RNG.normal(size=(3, 4, 5)).astype("float32")


def test_pooling_equals_the_reference():
    oracle = reference.AttentionPooling(5, 3)
    layer = AttentionPooling(3, dtype="float64")
    layer.build(X.shape)
    layer.set_weights([oracle.params[f"attention_{v.name}"] for v in layer.trainable_variables])
    x = tf.constant(X, "float64")
    d_context = RNG.normal(size=(3, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        context, weights = layer(x, mask=MASK, return_attention_scores=True)
        loss = tf.reduce_sum(context * d_context)
    gradients = tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])
    expected, cache = oracle.forward(X, MASK)
    np.testing.assert_allclose(context, expected, atol=1e-12)
    np.testing.assert_allclose(weights, cache.weights, atol=1e-12)
    expected = oracle.backward(d_context, cache)
    expected = [
        expected.inputs,
        *(expected.params[f"attention_{n}"] for n in ("kernel", "bias", "scale")),
    ]
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("score", ["additive", "dot", "scaled_dot"])
def test_pooling(score, tmp_path):
    inputs = keras.Input((None, 5))
    layer = AttentionPooling(score=score, dropout=0.5)
    outputs = layer(keras.layers.Masking()(inputs), return_attention_scores=True)
    model = keras.Model(inputs, outputs)
    x = np.where(MASK[..., None], X, 0)
    context, weights = model(x)
    np.testing.assert_allclose(np.sum(weights, axis=1), [1, 1, 0], atol=1e-6)
    assert np.all(np.asarray(weights)[~MASK] == 0)
    np.testing.assert_allclose(context, np.einsum("nt,ntd->nd", weights, x), atol=1e-6)
    assert np.abs(model(x, training=True)[0] - context).max() > 0
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x)[0], context)
    assert AttentionPooling(score=score, dtype="mixed_bfloat16")(X).dtype == tf.bfloat16


def test_integers_are_read_as_floats():
    x, memory = RNG.integers(0, 9, X.shape), RNG.integers(0, 9, MEMORY.shape)
    decoder = AttentionDecoder(LSTM(5, return_sequences=True, return_state=True),
                               input_feeding=False)  # fmt: skip
    stepwise = AttentionDecoder(keras.layers.GRUCell(5), "dot", input_feeding=False)
    for layer, inputs in (
        (AttentionPooling(), [x]),
        (AttentionPooling(score="dot", dropout=0.5), [x]),
        (SequencePooling("max_mean"), [x]),
        (decoder, [x, memory]),
        (stepwise, [x, memory]),
    ):
        expected = layer(*(one.astype("float32") for one in inputs))
        assert layer(*inputs).dtype == expected.dtype == "float32"
        np.testing.assert_allclose(layer(*inputs), expected, atol=1e-6)


def test_pooling_bad_input():
    for arguments in ({"units": 0}, {"score": "sum"}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            AttentionPooling(**arguments)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        AttentionPooling()(X[0])


def test_attention_lstm_weights_and_running_context():
    layer = AttentionLSTM(3, return_state=True)
    context, *_, weights = layer(X, mask=MASK, return_attention_scores=True)
    np.testing.assert_allclose(np.sum(weights, axis=1), [1, 1, 0], atol=1e-6)
    assert np.all(np.asarray(weights)[~MASK] == 0)

    running = AttentionLSTM(3, return_sequences=True)
    running.build(X.shape)
    running.set_weights(layer.get_weights())
    contexts, again = running(X, mask=MASK, return_attention_scores=True)
    np.testing.assert_allclose(contexts[:, -1], context, atol=1e-6)
    np.testing.assert_allclose(again, weights, atol=1e-6)

    backwards = AttentionLSTM(3, go_backwards=True)
    backwards.build(X.shape)
    backwards.set_weights(layer.get_weights())
    context, weights = backwards(X, mask=MASK, return_attention_scores=True)
    flipped = layer(X[:, ::-1], mask=MASK[:, ::-1], return_attention_scores=True)
    np.testing.assert_allclose(context, flipped[0], atol=1e-6)
    np.testing.assert_allclose(weights, flipped[-1][:, ::-1], atol=1e-6)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        AttentionLSTM(3, activation="relu")(X, return_attention_scores=True)


CELLS = {
    "lstm": lambda: keras.layers.LSTMCell(5, dropout=0.2, recurrent_dropout=0.2),
    "gru": lambda: keras.layers.GRUCell(5),
    "peephole": lambda: PeepholeLSTMCell(5),
    "stacked": lambda: keras.layers.StackedRNNCells(
        [keras.layers.GRUCell(3, dropout=0.2), keras.layers.LSTMCell(5, dropout=0.2)]
    ),
}
MEMORY = RNG.normal(size=(3, 6, 5)).astype("float32")
MEMORY_MASK = np.arange(6) < [[6], [2], [0]]


@pytest.mark.parametrize("score", ["additive", "dot", "general", "scaled_dot"])
def test_decoder_equations(score):
    """One step after the other, written out in NumPy for a GRU cell."""
    cell = keras.layers.GRUCell(5)
    layer = AttentionDecoder(cell, score, attention_units=2, output_units=4)
    outputs, weights = layer(X, MEMORY, memory_mask=MEMORY_MASK, return_attention_scores=True)
    values = {v.name: v.numpy() for v in layer.trainable_variables if "cell" not in v.path}
    h, y = np.zeros((3, 5), "float32"), np.zeros((3, 4), "float32")
    for t in range(4):
        h, _ = cell(np.concatenate([X[:, t], y], axis=-1), [h])
        q = np.asarray(h)[:, None]
        if score == "additive":
            keys = MEMORY @ values["memory_kernel"] + values["bias"]
            scores = np.tanh(q @ values["query_kernel"] + keys) @ values["scale"]
        else:
            keys = MEMORY @ values["memory_kernel"] if score == "general" else MEMORY
            scores = (q * keys).sum(-1) / (5**0.5 if score == "scaled_dot" else 1)
        w = np.exp(scores) * MEMORY_MASK
        w = w / np.maximum(w.sum(-1, keepdims=True), 1e-30)
        context = np.einsum("ns,nsd->nd", w, MEMORY)
        y = np.tanh(np.concatenate([context, h], axis=-1) @ values["output_kernel"])
        np.testing.assert_allclose(weights[:, t], w, atol=1e-5)
        np.testing.assert_allclose(outputs[:, t], y, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_decoder_whole_and_step_by_step(cell, tmp_path):
    sequence, memory = keras.Input((None, 5)), keras.Input((None, 5))
    layer = AttentionDecoder(CELLS[cell](), input_feeding=cell != "gru", return_state=True)
    masked = keras.layers.Masking()(memory)  # the memory's mask comes with it
    y, *_, weights = layer(sequence, masked, return_attention_scores=True)
    model = keras.Model([sequence, memory], [y, weights])
    seen = np.where(MEMORY_MASK[..., None], MEMORY, 0)
    whole, weights = model([X, seen])
    np.testing.assert_allclose(np.sum(weights, axis=-1), [[1] * 4, [1] * 4, [0] * 4], atol=1e-6)

    state, keys, steps = None, layer.keys(seen), []
    for t in range(4):
        step, *state = layer(
            X[:, t : t + 1], seen, initial_state=state, memory_mask=MEMORY_MASK, keys=keys
        )
        steps.append(step)
    np.testing.assert_allclose(tf.concat(steps, axis=1), whole, atol=1e-6)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model([X, seen], training=True)[0] ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(np.all(np.isfinite(g)) and np.any(g != 0) for g in gradients)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([X, seen])[0], model([X, seen])[0])


@pytest.mark.parametrize("score", ["additive", "general", "scaled_dot"])
def test_a_whole_layer_equals_its_cell_step_by_step(score):
    arguments = {"input_feeding": False, "return_state": True}
    whole = AttentionDecoder(
        LSTM(5, return_sequences=True, return_state=True), score, 3, 4, **arguments
    )
    steps = AttentionDecoder(keras.layers.LSTMCell(5), score, 3, 4, **arguments)
    start = [tf.ones((3, size)) for size in (5, 5, 4)]
    options = {
        "initial_state": start, "sequence_mask": MASK, "memory_mask": MEMORY_MASK,
        "return_attention_scores": True,
    }  # fmt: skip
    answers = []
    for layer in (whole, steps):
        layer.build(X.shape, MEMORY.shape)
        layer.set_weights(whole.get_weights())
        answers.append(layer(X, MEMORY, **options))
    for one, other in zip(answers[0][:-1], answers[1][:-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(answers[0][-1], answers[1][-1], strict=True):
        np.testing.assert_allclose(one[-1], other[-1], atol=1e-6)
    assert AttentionDecoder.from_config(whole.get_config()).cell.units == 5
    with pytest.raises(ValueError, match="Expected a recurrent layer with"):
        AttentionDecoder(LSTM(5))


SLOW = {
    "cell": lambda dtype: keras.layers.GRUCell(4, dtype=dtype),
    "stacked": lambda dtype: keras.layers.StackedRNNCells(
        [keras.layers.GRUCell(4, dtype=dtype)], dtype=dtype
    ),
    "layer": lambda dtype: GRU(4, return_sequences=True, return_state=True, dtype=dtype),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_state_of_a_decoder_moves_step_by_step_in_bfloat16(kind):
    ends = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = AttentionDecoder(
            SLOW[kind](dtype), input_feeding=kind != "layer", return_state=True, dtype=dtype
        )
        layer.build((None, None, 5), (None, None, 5))
        layer.set_weights([0 * w + 0.5 for w in layer.get_weights()])
        (bias,) = (v for v in layer.weights if v.shape == (2, 12))
        bias.assign([[6.0] * 4 + [0.0] * 4 + [1, -1, 0.5, 2], [0.0] * 12])
        for kernel in (v for v in layer.weights if v.shape[-1] == 12 and v is not bias):
            kernel.assign(tf.zeros_like(kernel))
        state = layer.get_initial_state(3)
        for _ in range(60):
            y, *state = layer(X[:, :1], MEMORY, initial_state=state)
        ends.append([y, *state])
        assert y.dtype == layer.compute_dtype
        assert {one.dtype.name for one in state} == {"float32"}
    for narrow, wide in zip(*reversed(ends), strict=True):
        np.testing.assert_allclose(tf.cast(narrow, "float32"), wide, rtol=0.02)
    assert abs(ends[0][1].numpy()).max() > 0.1


def test_decoder_skips_masked_steps_and_starts_anywhere():
    layer = AttentionDecoder(keras.layers.LSTMCell(5), return_sequences=False, return_state=True)
    start = [tf.ones((3, 5)), tf.ones((3, 5))]
    y, *state = layer(X, MEMORY, initial_state=start, sequence_mask=MASK)
    np.testing.assert_array_equal(state[0][2], start[0][2])
    kept, *_ = layer(X[1:2, 1::2], MEMORY[1:2], initial_state=[s[1:2] for s in start])
    np.testing.assert_allclose(y[1:2], kept, atol=1e-6)


def test_decoder_exports(tmp_path):
    layer = AttentionDecoder(keras.layers.LSTMCell(5))
    sequence, memory = keras.Input((None, 5)), keras.Input((None, 5))
    model = keras.Model([sequence, memory], layer(sequence, memory))
    model.export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path)
    np.testing.assert_allclose(served.serve([X, MEMORY]), model([X, MEMORY]), atol=1e-6)
    compiled = tf.function(lambda inputs: model(inputs), jit_compile=True)
    np.testing.assert_allclose(compiled([X, MEMORY]), model([X, MEMORY]), atol=1e-5)
    half = AttentionDecoder(
        keras.layers.LSTMCell(5, dtype="mixed_bfloat16"), dtype="mixed_bfloat16"
    )
    assert half(X, MEMORY).dtype == tf.bfloat16


def test_decoder_bad_input():
    cell = keras.layers.LSTMCell(5)
    for arguments in ({"score": "sum"}, {"attention_units": 0}, {"output_units": 1.5}):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            AttentionDecoder(cell, **arguments)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        AttentionDecoder(keras.layers.Dense(3))
    for sequence, memory, arguments in (
        (X[0], MEMORY, {}),
        (X, MEMORY[0], {}),
        (X, MEMORY[:2], {}),
        (X, MEMORY, {"initial_state": [tf.ones((3, 4)), tf.ones((3, 5))]}),
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            AttentionDecoder(cell)(tf.constant(sequence), tf.constant(memory), **arguments)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        AttentionDecoder(cell, "dot")(tf.constant(X), tf.constant(MEMORY[..., :3]))


LAYERS = {
    "pooling": lambda **arguments: AttentionPooling(score="additive", **arguments),
    "pooling_dot": lambda **arguments: AttentionPooling(score="scaled_dot", **arguments),
    "decoder": lambda **arguments: AttentionDecoder(
        keras.layers.GRUCell(5, **arguments), return_sequences=False, **arguments
    ),
    "decoder_dot": lambda **arguments: AttentionDecoder(
        PeepholeLSTMCell(5, **arguments),
        "scaled_dot",
        input_feeding=False,
        return_sequences=False,
        **arguments,
    ),
    "decoder_whole": lambda **arguments: AttentionDecoder(
        LSTM(5, return_sequences=True, return_state=True, **arguments),
        input_feeding=False,
        return_sequences=False,
        **arguments,
    ),
}


@pytest.fixture(params=LAYERS)
def model(request):
    """A layer over a memory whose mask comes from the layer before it, with an empty row."""

    def make(**arguments) -> keras.Model:
        keras.utils.set_random_seed(0)
        layer = LAYERS[request.param](**arguments)
        memory = keras.Input((None, 5), name="memory")
        masked = keras.layers.Masking()(memory)
        if isinstance(layer, AttentionPooling):
            return keras.Model(memory, layer(masked))
        return keras.Model(memory, layer(memory, masked))

    return make


def value_and_gradients(model, x):
    values = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = tf.reduce_sum(tf.sin(3 * tf.cast(outputs, "float32")))
    return [outputs, *tape.gradient(loss, values)]


SEEN = np.where(MEMORY_MASK[..., None], MEMORY, 0)


@pytest.mark.system
def test_xla(model):
    model = model()
    compiled = tf.function(lambda x: value_and_gradients(model, x), jit_compile=True)
    expected = value_and_gradients(model, tf.constant(SEEN))
    for ours, theirs in zip(compiled(tf.constant(SEEN)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_mixed_precision(model):
    half, whole = model(dtype="mixed_bfloat16"), model()
    assert half.output.dtype == "bfloat16"
    assert all(v.dtype == "float32" for v in half.trainable_variables)
    outputs, *gradients = value_and_gradients(half, tf.constant(SEEN))
    np.testing.assert_allclose(tf.cast(outputs, "float32"), whole(SEEN), atol=0.05)
    assert all(np.all(np.isfinite(tf.cast(g, "float32"))) for g in gradients)


def test_archive_and_saved_model(model, tmp_path):
    model = model()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(SEEN), model(SEEN))
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(served.serve(SEEN), model(SEEN), atol=1e-6)


@pytest.mark.system
def test_distribution(model):
    """A step of training on two devices is the step on one."""

    def trained():
        made = model()
        made.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        made.fit(np.concatenate([SEEN, SEEN[:1]]), np.ones((4, 5)), batch_size=4, verbose=0)
        return made.get_weights()

    reduction = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduction)
    with eagerly():
        expected = trained()
    with strategy.scope():
        mirrored = trained()
    for ours, theirs in zip(mirrored, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
