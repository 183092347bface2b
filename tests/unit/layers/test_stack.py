"""The names of cells, and stacks of them."""

import gc
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.saving.serialization_lib import ObjectSharingScope

from rnnapps import ForecastingConfig, SentimentConfig, TranslationConfig
from rnnapps.config import CELLS
from rnnapps.errors import ConfigError
from rnnapps.layers import AttentionLSTM, RecurrentStack, recurrent, register

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < [[5], [2], [0]]


@pytest.mark.parametrize("cell", tuple(CELLS))
def test_every_cell(cell, tmp_path):
    for bidirectional, normalization, return_sequences in (
        (False, None, False),
        (True, "layer", True),
        (False, "batch", True),
    ):
        stack = RecurrentStack(
            cell,
            4,
            num_layers=2,
            bidirectional=bidirectional,
            residual=True,
            normalization=normalization,
            dropout=0.1,
            recurrent_dropout=0.1,
            return_sequences=return_sequences,
        )
        inputs = keras.Input((None, 4))
        model = keras.Model(inputs, stack(keras.layers.Masking()(inputs)))
        x = np.where(MASK[..., None], X, 0)
        outputs = model(x)
        assert outputs.shape == stack.compute_output_shape(X.shape)
        mask = stack.compute_mask(x, MASK)
        assert mask is MASK if return_sequences else mask is None
        assert model(x, training=True).shape == outputs.shape
        if not return_sequences:  # what is masked is not there
            shorter = model(np.delete(x, [3, 4], axis=1))
            np.testing.assert_allclose(outputs[1:], shorter[1:], atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_layers_are_what_was_asked_for():
    stack = RecurrentStack("attention_lstm", 4, num_layers=3)
    kinds = [type(layer).__name__ for layer in stack.layers]
    assert kinds == ["LSTM", "LSTM", "AttentionLSTM"]
    both = recurrent("gru", 4, bidirectional=True, return_sequences=True, name="both")
    assert isinstance(both, keras.layers.Bidirectional) and both.name == "both"
    assert isinstance(recurrent("attention_lstm", 4), AttentionLSTM)


def seed_generators(layer):
    """All seed generators of a layer and of those in it."""
    found = [one for one in vars(layer).values() if isinstance(one, keras.random.SeedGenerator)]
    return found + [one for inner in layer._layers for one in seed_generators(inner)]


def masks(stack):
    """What each source of random numbers in a stack draws first."""
    return [keras.random.uniform((8,), seed=one).numpy() for one in seed_generators(stack)]


@pytest.mark.parametrize("cell", ["gru", "layer_norm_lstm", "attention_lstm"])
def test_one_seed_gives_every_dropout_its_own_draws(cell):
    arguments = {"num_layers": 3, "dropout": 0.5, "recurrent_dropout": 0.5, "bidirectional": True}
    made = [RecurrentStack(cell, 4, **arguments, seed=seed) for seed in (7, 7, 8)]
    made.append(RecurrentStack.from_config(made[0].get_config()))
    for stack in made:
        stack.build(X.shape)
    first, again, other, loaded = map(masks, made)
    assert len(first) >= 3 * 2 + 2  # of three layers in both directions, and between them
    for one, two in itertools.combinations(first + other, 2):
        assert not np.allclose(one, two)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, loaded)
    forward, backward = made[0].layers[0].forward_layer, made[0].layers[0].backward_layer
    backward.set_weights(forward.get_weights())
    ahead = forward(X, training=True)
    assert not np.allclose(ahead, backward(np.flip(X, 1), training=True))


def test_a_cell_that_was_registered_is_known_everywhere():
    @keras.saving.register_keras_serializable("tests")
    class MyGRU(keras.layers.GRU):
        """A cell of one's own."""

    register("my_gru", MyGRU)
    register("my_gru", MyGRU)  # a module that is loaded again
    try:
        stack = RecurrentStack("my_gru", 4, num_layers=2, bidirectional=True, seed=1, dropout=0.1)
        assert stack(X).shape == (3, 5, 8)
        assert isinstance(stack.layers[1].backward_layer, MyGRU)
        for config in (SentimentConfig, TranslationConfig, ForecastingConfig):
            assert config(cell="my_gru").cell == "my_gru"
        with pytest.raises(ValueError, match="Expected a name that no cell has"):
            register("my_gru", keras.layers.GRU)
    finally:
        CELLS.remove("my_gru")
    with pytest.raises(ConfigError, match=r"'layer_norm_lstm' or 'tr.*Received: 'attention_lstm'"):
        TranslationConfig(cell="attention_lstm")


def test_a_stack_of_version_0_1_0_can_be_read():
    config = RecurrentStack("gru", 4, num_layers=2, seed=3).get_config()
    assert config.pop("cell") == "gru"
    assert RecurrentStack.from_config({**config, "kind": "lstm"}).cell == "lstm"


def test_integers_are_read_as_floats():
    x = np.random.default_rng(0).integers(0, 3, (3, 5, 4))
    stack = RecurrentStack("lstm", 4, num_layers=2, residual=True, normalization="layer")
    np.testing.assert_array_equal(stack(x), stack(x.astype("float32")))
    mask = keras.layers.Masking()(tf.constant(x * MASK[..., None]))._keras_mask
    masked = tf.constant(x)
    masked._keras_mask = mask
    np.testing.assert_array_equal(stack(masked), stack(x.astype("float32"), mask=mask))


def test_residual_and_normalization():
    stack = RecurrentStack("gru", 4, residual=True, normalization="layer")
    inner = stack.normalizations[0](stack.layers[0](X)) if stack(X) is not None else None
    np.testing.assert_allclose(stack(X), inner + X, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "mingru", "slstm", "attention_lstm"])
@pytest.mark.parametrize("block", ["plain", "pre_norm"])
def test_step_after_step_is_the_whole_sequence(cell, block):
    stack = RecurrentStack(cell, 6, num_layers=2, block=block, return_state=True, dropout=0.5)
    whole, last = stack(X)  # from four features to six
    state = [np.zeros((3, size), "float32") for size in stack.state_sizes]
    for t in range(X.shape[1]):
        y, state = stack.step(X[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "mingru", "slstm"])
def test_a_slow_state_moves_step_by_step_in_bfloat16(cell):
    stack = RecurrentStack(cell, 4, return_state=True, dtype="mixed_bfloat16")
    stack.build((None, None, 2))
    weights = [0 * w for w in stack.get_weights()]
    bias = weights[-1].reshape(-1, weights[0].shape[1] // 4, 4)[0]  # (gates, units)
    gate, keeps = {"gru": (0, 6), "mingru": (0, -6), "slstm": (1, 6)}[cell]
    bias[gate], bias[1 if cell == "mingru" else 2] = keeps, [1, -1, 0.5, 2]
    stack.set_weights(weights)
    whole, last = stack(np.zeros((1, 60, 2), "float32"))
    state = stack.first_state(1)
    for _ in range(60):
        y, state = stack.step(tf.zeros((1, 2), "bfloat16"), state)
    assert y.dtype == whole.dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(y, "float32"), tf.cast(whole[:, -1], "float32"), rtol=0.01)
    for ours, theirs in zip(state, last, strict=True):
        assert ours.dtype == theirs.dtype == "float32"
        np.testing.assert_allclose(ours, theirs, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("block", ["plain", "pre_norm"])
def test_a_step_to_one_vector_is_a_sequence_of_one(block):
    arguments = {"num_layers": 2, "block": block, "residual": block == "plain"}
    stack = RecurrentStack("gru", 4, return_sequences=False, return_state=True, **arguments)
    whole, _ = stack(X[:, :1])
    state = [np.zeros((3, size), "float32") for size in stack.state_sizes]
    np.testing.assert_allclose(stack.step(X[:, 0], state)[0], whole, atol=1e-5)


def test_pre_norm_is_what_it_says():
    stack = RecurrentStack("gru", 4, num_layers=2, block="pre_norm")
    stack(X)
    rng = np.random.default_rng(1)
    stack.set_weights([rng.normal(size=w.shape) / 2 for w in stack.get_weights()])

    def normalize(x, layer):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
        return x * layer.gamma.numpy() + layer.beta.numpy()

    def dense(x, layer):
        return x @ layer.kernel.numpy() + layer.bias.numpy()

    def silu(x):
        return x / (1 + np.exp(-x))

    x = X.astype(float)
    for block, layer in zip(stack.blocks, stack.layers, strict=True):
        u = normalize(x, block.norm)
        x = x + dense(np.array(layer(u)) * silu(dense(u, block.gate)), block.out)
        ahead = block.feed_forward
        x = x + dense(silu(dense(normalize(x, ahead.norm), ahead.up)), ahead.down)
    np.testing.assert_allclose(stack(X), normalize(x, stack.last_normalization), atol=1e-5)
    # The recurrent layer, its gate and the others together weigh as much as an LSTM.
    sizes = [RecurrentStack("mingru", 64, block="pre_norm"), RecurrentStack("lstm", 64)]
    for one in sizes:
        one.build((None, None, 64))
    assert sizes[0].count_params() == pytest.approx(sizes[1].count_params(), rel=0.03)


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("separate", [False, True])
def test_pre_norm_in_both_directions(separate, return_sequences, tmp_path):
    keras.utils.set_random_seed(0)
    stack = RecurrentStack(
        "mingru",
        4,
        num_layers=2,
        bidirectional=True,
        separate_directions=separate,
        block="pre_norm",
        dropout=0.3,
        seed=1,
        return_sequences=return_sequences,
    )
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, stack(keras.layers.Masking()(inputs)))
    x = np.where(MASK[..., None], X, 0)
    outputs = model(x)
    assert outputs.shape == stack.compute_output_shape(X.shape)
    alone = model(x[1:2, :2])  # what is masked is not there
    seen = outputs[1:2, :2] if return_sequences else outputs[1:2]
    np.testing.assert_allclose(alone, seen, atol=1e-6)
    assert not np.allclose(model(x, training=True), outputs)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), outputs)
    if separate:
        forward, backward = stack.directions()
        turned = np.flip(x, 1)
        np.testing.assert_allclose(
            forward(x, mask=MASK)[0][:, -1] if not return_sequences else forward(x, mask=MASK)[0],
            outputs[..., :4],
            atol=1e-6,
        )
        assert backward(turned, mask=np.flip(MASK, 1))[0].shape == (3, 5, 4)
    else:
        with pytest.raises(ValueError, match="separate_directions=True"):
            stack.directions()


def test_batch_normalization_leaves_masked_steps_out():
    stack = RecurrentStack("gru", 4, normalization="batch")
    whole = stack(X, mask=MASK, training=True)
    again = stack(np.where(MASK[..., None], X, 99), mask=MASK, training=True)
    whole, again = (np.asarray(y)[MASK] for y in (whole, again))
    np.testing.assert_allclose(whole, again, atol=1e-5)


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_attention_scores(bidirectional, return_sequences):
    stack = RecurrentStack(
        "attention_lstm",
        4,
        num_layers=2,
        bidirectional=bidirectional,
        return_sequences=return_sequences,
    )
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, stack(inputs, return_attention_scores=True))
    outputs, weights = model(X)
    np.testing.assert_allclose(outputs, stack(X), atol=1e-6)
    np.testing.assert_allclose(np.sum(weights, axis=1), 1, atol=1e-6)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        RecurrentStack("lstm", 4)(X, return_attention_scores=True)


def test_bad_input():
    for arguments in (
        {"cell": "lstmm"},
        {"units": 0},
        {"num_layers": 0},
        {"normalization": "group"},
        {"block": "post_norm"},
        {"block": "pre_norm", "residual": True},
        {"block": "pre_norm", "normalization": "layer"},
        {"dropout": 1.0},
        {"recurrent_dropout": -1},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            RecurrentStack(**{"cell": "lstm", "units": 4, **arguments})
    with pytest.raises(ValueError, match=r"Expected .*peephole_lstm.* Received: cell='lstmm'"):
        recurrent("lstmm", 4)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        RecurrentStack("lstm", 4)(X[0])


@pytest.mark.system
@pytest.mark.parametrize("seed", [None, 3])
def test_directions_are_told_apart_while_a_model_is_loaded(seed):
    with ObjectSharingScope():  # as keras.saving.load_model does, where layers have addresses
        made = []
        for _ in range(15):
            made.append(recurrent("lstm", 2, bidirectional=True, seed=seed))
            gc.collect()
    parts = [part for both in made for part in (both.forward_layer, both.backward_layer)]
    assert len({id(part) for part in parts}) == 30
    assert [part.go_backwards for part in parts] == [False, True] * 15
