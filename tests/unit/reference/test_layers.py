"""Dense, Embedding and Dropout."""

import numpy as np
import pytest

from rnnapps.reference import Dense, Dropout, Embedding

from .central_differences import assert_is_gradient


@pytest.mark.parametrize("shape", [(4,), (4, 5), (2, 3, 2)])
def test_dense_gradients_are_central_differences(shape):
    rng = np.random.default_rng(0)
    layer = Dense(3, 2)
    x, dy = rng.normal(size=(*shape, 3)), rng.normal(size=(*shape, 2))
    gradients = layer.backward(dy, layer.forward(x)[1])

    def loss():
        return np.vdot(layer.forward(x)[0], dy)

    assert_is_gradient(gradients.inputs, loss, x)
    for name, weight in layer.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)


def test_embedding_gradients_are_central_differences_where_words_repeat():
    rng = np.random.default_rng(0)
    layer = Embedding(5, 2)
    ids, dy = np.array([[0, 3, 3], [3, 1, 0]]), rng.normal(size=(2, 3, 2))
    y, cache = layer.forward(ids)
    gradient = layer.backward(dy, cache).params["embeddings"]
    np.testing.assert_array_equal(y[0, 1], layer.params["embeddings"][3])
    assert_is_gradient(
        gradient, lambda: np.vdot(layer.forward(ids)[0], dy), layer.params["embeddings"]
    )


def test_dropout_keeps_the_expectation_and_drops_its_share():
    x = np.full(200_000, 3.0)
    y, _ = Dropout(0.3).forward(x, np.random.default_rng(0))
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.005)
    assert np.mean(y) == pytest.approx(3.0, rel=0.01)
    np.testing.assert_allclose(y[y != 0], 3.0 / 0.7)


def test_dropout_passes_gradients_where_it_passed_values():
    x = np.random.default_rng(0).normal(size=(20, 5))
    layer = Dropout(0.5)
    dy = np.random.default_rng(1).normal(size=(20, 5))
    _, cache = layer.forward(x, np.random.default_rng(2))

    def loss():
        return np.vdot(layer.forward(x, np.random.default_rng(2))[0], dy)

    assert_is_gradient(layer.backward(dy, cache).inputs, loss, x)


def test_dropout_does_nothing_after_training():
    x = np.random.default_rng(0).normal(size=(20, 5))
    np.testing.assert_array_equal(Dropout(0.5).forward(x)[0], x)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_names_a_wrong_rate(rate):
    with pytest.raises(ValueError, match=f"Received: {rate}"):
        Dropout(rate)
