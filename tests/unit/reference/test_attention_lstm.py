import numpy as np
import pytest

from rnnapps.reference import LSTM, AttentionLSTM, AttentionPooling

from .central_differences import assert_is_gradient

MASKS = {
    "none": None,
    "left_padded": [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]],
    "gaps": [[1, 0, 1, 0, 1], [0, 1, 0, 0, 1], [1, 1, 0, 0, 0]],
    "empty_row": [[0, 0, 0, 0, 0], [1, 1, 0, 1, 1], [1, 1, 1, 1, 1]],
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def with_random_weights(layer, rng):
    layer.set_params(**{k: 0.7 * rng.normal(size=w.shape) for k, w in layer.params.items()})
    return layer


@each_mask
def test_gradients_are_central_differences(mask):
    rng = np.random.default_rng(1)
    layer = with_random_weights(AttentionLSTM(2, 3, attention_units=4), rng)
    x, d_context = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 3))
    initial_state = tuple(rng.normal(size=(2, 3, 3)))
    d_state = tuple(rng.normal(size=(2, 3, 3)))

    def loss():
        context, state, _ = layer.forward(x, mask, initial_state)
        return np.vdot(context, d_context) + np.vdot(state, d_state)

    _, _, cache = layer.forward(x, mask, initial_state)
    gradients = layer.backward(d_context, cache, d_state)
    assert_is_gradient(gradients.inputs, loss, x)
    for gradient, state in zip(gradients.initial_state, initial_state, strict=True):
        assert_is_gradient(gradient, loss, state)
    assert list(gradients.params) == list(layer.params)
    for name, weight in layer.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)


@each_mask
def test_pooling_gradients_are_central_differences(mask):
    rng = np.random.default_rng(2)
    pooling = with_random_weights(AttentionPooling(2, 4), rng)
    h, d_context = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 2))
    _, cache = pooling.forward(h, mask)
    gradients = pooling.backward(d_context, cache)

    def loss():
        return np.vdot(pooling.forward(h, mask)[0], d_context)

    assert_is_gradient(gradients.inputs, loss, h)
    for name, weight in pooling.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)


def test_weights_are_a_distribution_over_the_unmasked_steps():
    rng = np.random.default_rng(3)
    layer = with_random_weights(AttentionLSTM(2, 3), rng)
    mask = np.array(MASKS["empty_row"], bool)
    context, _, cache = layer.forward(rng.normal(size=(3, 5, 2)), mask)
    assert np.all(cache.weights[mask] > 0)
    assert np.all(cache.weights[~mask] == 0)
    np.testing.assert_allclose(cache.weights.sum(axis=1), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(context[0], np.zeros(3))


def test_equal_scores_give_the_mean_of_the_unmasked_hidden_states():
    layer = AttentionLSTM(2, 3)
    layer.set_params(attention_scale=np.zeros(3))
    lstm = LSTM(2, 3)
    lstm.set_params(**{name: layer.params[name] for name in lstm.params})
    x = np.random.default_rng(4).normal(size=(3, 5, 2))
    mask = np.array(MASKS["gaps"], bool)
    h, _, _ = lstm.forward(x, mask)
    context, _, _ = layer.forward(x, mask)
    np.testing.assert_allclose(
        context, [row[keep].mean(axis=0) for row, keep in zip(h, mask, strict=True)]
    )


def test_one_score_far_above_the_others_picks_its_step():
    pooling = AttentionPooling(1, 1)
    pooling.set_params(attention_kernel=[[1.0]], attention_scale=[1000.0])
    h = np.array([[[0.1], [0.9], [0.5]]])
    context, cache = pooling.forward(h)
    np.testing.assert_allclose(cache.weights, [[0.0, 1.0, 0.0]], atol=1e-15)
    np.testing.assert_allclose(context, [[0.9]])


def test_weights_may_be_replaced_as_well_as_written_to():
    layer = AttentionLSTM(2, 3)
    x = np.random.default_rng(5).normal(size=(1, 5, 2))
    layer.params["attention_scale"] = np.zeros(3)
    _, _, cache = layer.forward(x)
    np.testing.assert_allclose(cache.weights, np.full((1, 5), 0.2))


def test_every_step_is_near_the_loss():
    # A forgetful LSTM's last state barely depends on the first step; the context does.
    rng = np.random.default_rng(6)
    layer = AttentionLSTM(2, 4)
    layer.params["bias"][4:8] = -3.0  # the forget gates, shut
    lstm = LSTM(2, 4)
    lstm.set_params(**{name: layer.params[name] for name in lstm.params})
    x = rng.normal(size=(1, 30, 2))
    d = np.ones((1, 4))

    _, _, cache = layer.forward(x)
    with_attention = layer.backward(d, cache).hidden_norms()
    h, _, cache = lstm.forward(x)
    d_outputs = np.zeros_like(h)
    d_outputs[:, -1] = d
    without = lstm.backward(d_outputs, cache).hidden_norms()
    assert without[0] < 1e-6 * without[-1]
    assert with_attention.min() > 0.1 * with_attention.max()
