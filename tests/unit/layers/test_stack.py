"""The names of cells, and stacks of them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

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
    with pytest.raises(ConfigError, match=r"or 'layer_norm_lstm'. Received: 'attention_lstm'"):
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
        {"dropout": 1.0},
        {"recurrent_dropout": -1},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            RecurrentStack(**{"cell": "lstm", "units": 4, **arguments})
    with pytest.raises(ValueError, match=r"Expected .*peephole_lstm.* Received: cell='lstmm'"):
        recurrent("lstmm", 4)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        RecurrentStack("lstm", 4)(X[0])
