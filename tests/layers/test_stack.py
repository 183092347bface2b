"""The names of cells, and stacks of them."""

import keras
import numpy as np
import pytest

from rnnapps.layers import CELLS, AttentionLSTM, RecurrentStack, recurrent

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < [[5], [2], [0]]


@pytest.mark.parametrize("kind", CELLS)
def test_every_cell(kind, tmp_path):
    for bidirectional, normalization, return_sequences in (
        (False, None, False),
        (True, "layer", True),
        (False, "batch", True),
    ):
        stack = RecurrentStack(
            kind,
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
        {"kind": "lstmm"},
        {"units": 0},
        {"num_layers": 0},
        {"normalization": "group"},
        {"dropout": 1.0},
        {"recurrent_dropout": -1},
    ):
        with pytest.raises(ValueError, match=r"Expected .* Received: "):
            RecurrentStack(**{"kind": "lstm", "units": 4, **arguments})
    with pytest.raises(ValueError, match=r"Expected .*peephole_lstm.* Received: kind='lstmm'"):
        recurrent("lstmm", 4)
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        RecurrentStack("lstm", 4)(X[0])
