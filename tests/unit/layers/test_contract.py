"""Each clause of the layers' contract, for each layer."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import (
    BATCH,
    FEATURES,
    MASK,
    TIME,
    UNITS,
    Case,
    assert_close,
    build,
    random_state,
    sequence,
    value_and_gradients,
)

from rnnapps.layers import (
    GRU,
    LSTM,
    SLSTM,
    AttentionLSTM,
    AttentionLSTMCell,
    LayerNormLSTM,
    LayerNormLSTMCell,
    MinGRU,
    MinGRUCell,
    PeepholeLSTM,
    PeepholeLSTMCell,
    SLSTMCell,
)


def fixed(factory, **fixed_arguments):
    return lambda **arguments: factory(**fixed_arguments, **arguments)


CASES = {
    "lstm": Case(LSTM, keras.layers.LSTMCell),
    "gru": Case(GRU, keras.layers.GRUCell),
    "gru_reset_before": Case(
        fixed(GRU, reset_after=False), fixed(keras.layers.GRUCell, reset_after=False)
    ),
    "peephole_diagonal": Case(PeepholeLSTM, PeepholeLSTMCell),
    "peephole_full": Case(
        fixed(PeepholeLSTM, peephole="full"), fixed(PeepholeLSTMCell, peephole="full")
    ),
    "mingru": Case(MinGRU, MinGRUCell),
    "slstm": Case(SLSTM, SLSTMCell),
    "layer_norm": Case(LayerNormLSTM, LayerNormLSTMCell),
    "attention": Case(
        fixed(AttentionLSTM, attention_units=3), fixed(AttentionLSTMCell, attention_units=3)
    ),
}


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
def test_equals_its_cell_in_keras_loop(case, mask, return_sequences):
    for forwards in (False, True):
        arguments = {
            "return_sequences": return_sequences,
            "return_state": True,
            "go_backwards": not forwards,
            "zero_output_for_mask": forwards and return_sequences,
        }
        layer = case.make(**arguments)
        plain = case.plain(layer, **arguments)
        state = random_state(layer) if forwards else []
        expected = value_and_gradients(plain, sequence(), state, mask=mask)
        assert_close(value_and_gradients(layer, sequence(), state, mask=mask), expected, 2e-5)


def test_shapes(case):
    for return_sequences in (False, True):
        for return_state in (False, True):
            layer = case.make(return_sequences=return_sequences, return_state=return_state)
            inputs = keras.Input((None, FEATURES))
            model = keras.Model(inputs, layer(inputs))
            shapes = keras.tree.map_structure(lambda y: y.shape, layer(sequence()))
            assert layer.compute_output_shape((BATCH, TIME, FEATURES)) == shapes
            shapes = keras.tree.map_structure(lambda y: y.shape, model(sequence()))
            expected = (BATCH, TIME, UNITS) if return_sequences else (BATCH, UNITS)
            assert (shapes[0] if return_state else shapes) == expected
            assert layer.compute_mask(None, None) == (
                [None] * (1 + len(layer.state_size)) if return_state else None
            )


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float64"])
def test_other_types_are_promoted_as_in_keras(case, dtype):
    x = np.abs(4 * sequence().numpy()).astype(dtype)
    for arguments in ({}, {"unroll": True}):
        layer = case.make(return_sequences=True, **arguments)
        expected = case.plain(layer, return_sequences=True)(x.astype("float32"))
        assert layer(x).dtype == "float32"
        assert_close(layer(x, mask=MASK[:, ::-1] | True), expected, 2e-5)
        assert layer(x, training=True).shape == expected.shape


@pytest.mark.parametrize("merge_mode", ["ave", "concat", "mul", "sum", None])
def test_bidirectional_takes_integers_and_says_its_shapes(case, merge_mode):
    x = np.array([[[101, 202, 3], [303, 404, 5]]])
    for return_state in (False, True):
        layer = keras.layers.Bidirectional(
            case.layer(units=2, return_state=return_state), merge_mode=merge_mode
        )
        outputs = layer(x)
        shapes = layer.compute_output_shape(x.shape)
        if return_state or merge_mode is None:
            assert [tuple(one.shape) for one in outputs] == list(shapes)
        else:
            assert tuple(outputs.shape) == shapes
        assert_close(outputs, layer(x.astype("float32")))


def test_a_masked_step_is_as_if_it_were_not_there(case):
    layer = case.make(return_state=True)
    output, *state = layer(sequence(), mask=MASK)
    for row, steps in enumerate(MASK):
        if steps.any():
            alone = layer(sequence().numpy()[row : row + 1, steps])
            assert_close([t[row : row + 1] for t in (output, *state)], alone)
        else:
            assert all(np.all(t[row] == 0) for t in (output, *state))


def test_mask_comes_from_the_layer_before(case):
    x = np.where(MASK[..., None], sequence(), 0)
    layer = case.make(return_sequences=True)
    masked = keras.layers.Masking()(x)
    assert_close(layer(masked), layer(x, mask=MASK))
    state = random_state(layer)
    assert_close(layer(masked, initial_state=state), layer(x, mask=MASK, initial_state=state))
    assert layer.compute_mask(x, MASK) is MASK


def test_state_goes_on_where_it_was(case):
    x = sequence()
    whole = case.make(return_sequences=True)(x)
    layer = case.make(return_sequences=True, return_state=True)
    first, *state = layer(x[:, :2])
    second, *_ = layer(x[:, 2:], initial_state=state)
    assert_close(tf.concat([first, second], axis=1), whole)

    stateful = case.make(return_sequences=True, stateful=True)
    assert_close(tf.concat([stateful(x[:, :2]), stateful(x[:, 2:])], axis=1), whole)
    stateful.reset_state()
    assert_close(stateful(x), whole)


def test_bidirectional(case):
    x = sequence()
    for return_sequences in (False, True):
        layer = case.layer(units=UNITS, return_sequences=return_sequences)
        both = build(keras.layers.Bidirectional(layer))
        backward = both.backward_layer(x, mask=MASK)
        if return_sequences:
            backward = tf.reverse(backward, [1])
        expected = tf.concat([both.forward_layer(x, mask=MASK), backward], axis=-1)
        assert_close(both(x, mask=MASK), expected)
        again = keras.layers.Bidirectional.from_config(both.get_config())
        again.build(x.shape)
        again.set_weights(both.get_weights())
        assert_close(again(x, mask=MASK), expected)


def test_dropout_is_for_training_and_the_same_at_each_step(case):
    x = tf.ones((64, 3, FEATURES))
    for name in ("dropout", "recurrent_dropout"):
        layer = case.make(**{name: 0.5, "seed": 1})
        plain = case.make()
        assert_close(layer(x), plain(x))
        assert np.abs(layer(x, training=True) - plain(x)).max() > 1e-3
        # With one feature kept or dropped in all steps, there are few different outcomes.
        outcomes = np.unique(np.round(layer(x, training=True), 5), axis=0)
        assert len(outcomes) <= 2 ** max(FEATURES, UNITS)


def test_gradient_under_dropout(case):
    """The derivative along a random direction, against a difference quotient."""
    arguments = {"dropout": 0.3, "recurrent_dropout": 0.3, "seed": 3, "dtype": "float64"}
    weights = case.make(dtype="float64").get_weights()
    rng = np.random.default_rng(4)
    direction = [rng.normal(size=w.shape) for w in weights]

    def loss(step: float):
        layer = case.make(**arguments)  # anew: the same seed draws the same masks
        layer.set_weights([w + step * d for w, d in zip(weights, direction, strict=True)])
        values = [v.value for v in layer.trainable_variables]
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(layer(sequence("float64"), mask=MASK, training=True) ** 2)
        return value, tape.gradient(value, values)

    gradient = sum(np.sum(g * d) for g, d in zip(loss(0)[1], direction, strict=True))
    quotient = (loss(1e-5)[0] - loss(-1e-5)[0]) / 2e-5
    np.testing.assert_allclose(gradient, quotient, rtol=1e-6, atol=1e-8)


def test_mixed_precision(case):
    layer = case.make(dtype="mixed_bfloat16", return_sequences=True)
    assert all(v.dtype == "float32" for v in layer.variables if "seed" not in v.path)
    outputs, gradients = value_and_gradients(layer, sequence(), mask=MASK)
    assert outputs[0].dtype == tf.bfloat16
    expected = case.make(return_sequences=True)
    assert_close(outputs, expected(sequence(), mask=MASK), 0.05)
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_config_and_archive(case, tmp_path):
    layer = case.make(
        activation="relu", dropout=0.1, recurrent_dropout=0.2, go_backwards=True, name="named",
        kernel_regularizer="l2", activity_regularizer="l1", seed=7,
    )  # fmt: skip
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()

    inputs = keras.Input((None, FEATURES))
    outputs = case.make(return_sequences=True)(keras.layers.Masking()(inputs))
    model = keras.Model(
        inputs, keras.layers.Bidirectional(case.layer(units=UNITS, name="top"))(outputs)
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(sequence()), model(sequence()), 0)


def test_saved_model(case, tmp_path):
    inputs = keras.Input((None, FEATURES))
    layer = case.make(return_sequences=True, dropout=0.1, recurrent_dropout=0.1)
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((None, None, FEATURES))]
    archive.add_endpoint("serve", lambda x: model(x), signature)
    archive.write_out(tmp_path, verbose=False)
    loaded = tf.saved_model.load(tmp_path)
    x = np.where(MASK[..., None], sequence(), 0)
    assert_close(loaded.serve(x), model(x))
    graph = loaded.signatures["serve"].graph.as_graph_def()
    used = {node.op for function in graph.library.function for node in function.node_def}
    assert not [op for op in used if "Cudnn" in op or "PyFunc" in op or "Random" in op]


@pytest.mark.system
def test_xla(case):
    layer = case.make(return_sequences=True, return_state=True)

    @tf.function(jit_compile=True)
    def compiled(x, mask):
        return value_and_gradients(layer, x, mask=mask)

    expected = value_and_gradients(layer, sequence(), mask=MASK)
    assert_close(compiled(sequence(), tf.constant(MASK)), expected, 1e-4)


@pytest.mark.system
def test_distribution(case):
    """A step of training on two devices is the step on one."""
    x, y = np.where(MASK[..., None], sequence(), 0), np.ones((BATCH, UNITS))
    # Collective operations cannot be begun twice in a process; a reduction can.
    reduction = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduction)
    with strategy.scope():
        inputs = keras.Input((TIME, FEATURES))
        model = keras.Model(inputs, case.make()(keras.layers.Masking()(inputs)))
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    model.fit(x, y, batch_size=BATCH, verbose=0)

    layer = case.make()
    values = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((layer(x, mask=MASK, training=True) - y) ** 2)
    gradients = tape.gradient(loss, values)
    expected = [v - 0.5 * g for v, g in zip(values, gradients, strict=True)]
    assert_close(model.trainable_variables, expected)


def test_other_activations_and_unrolling_take_the_plain_loop(case):
    for arguments in ({"activation": "relu"}, {"unroll": True}):
        layer = case.make(return_sequences=True, **arguments)
        arguments.pop("unroll", None)
        cell = case.cell(units=UNITS, **arguments)
        plain = build(keras.layers.RNN(cell, return_sequences=True))
        assert_close(layer(sequence(), mask=MASK), plain(sequence(), mask=MASK))


def test_bad_input(case):
    for arguments in (
        {"units": 0},
        {"units": 2.5},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"recurrent_dropout": 1},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            case.layer(**{"units": UNITS, **arguments})
    for shape in ((BATCH, FEATURES), (BATCH, TIME, FEATURES, 1)):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            case.layer(units=UNITS)(tf.zeros(shape))
    layer = case.make()
    good = random_state(layer)
    for state in (good[:-1], [*good[:-1], tf.zeros((BATCH, 7))], [good[0][:1], *good[1:]]):
        if state:
            with pytest.raises(ValueError, match=r"Expected .* Received: "):
                layer(sequence(), initial_state=state)
