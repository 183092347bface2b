import numpy as np
import pytest

from rnnapps.reference import SelfAttention, positional_encoding, rotate, scaled_dot_product

from .central_differences import assert_is_gradient

MASK = np.array([[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


def test_two_steps_by_hand():
    queries, keys = np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0]])
    outputs, weights = scaled_dot_product(queries, keys, np.array([[1.0], [0.0]]))
    expected = np.exp(2 / 2) / (np.exp(2 / 2) + 1)  # the root of the width is 2
    np.testing.assert_allclose(weights, [[expected, 1 - expected]])
    np.testing.assert_allclose(outputs, [[expected]])


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "rotary"), [(1, False), (2, False), (2, True)])
def test_gradients_are_central_differences(heads, rotary, causal, mask):
    rng = np.random.default_rng(0)
    layer = SelfAttention(3, 4, heads, causal, rotary)
    layer.set_params(**{k: rng.normal(size=w.shape) for k, w in layer.params.items()})
    x, d_outputs = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 4, 4))

    def loss():
        return np.vdot(layer.forward(x, mask)[0], d_outputs)

    outputs, cache = layer.forward(x, mask)
    gradients = layer.backward(d_outputs, cache)
    assert_is_gradient(gradients.inputs, loss, x)
    for name, weight in layer.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)
    if mask is not None:
        np.testing.assert_array_equal(outputs[2], np.tile(layer.params["output_bias"], (4, 1)))


def test_a_shift_of_the_position_is_a_rotation():
    first, second = positional_encoding([3, 10], 6), positional_encoding([103, 110], 6)
    np.testing.assert_allclose(first[0] @ first[1], second[0] @ second[1], rtol=1e-12)
    np.testing.assert_allclose(np.sum(first**2, axis=-1), 3)


def test_rotated_vectors_know_how_far_apart_they_stand():
    q, k = np.random.default_rng(0).normal(size=(2, 1, 6))
    near, far = (np.vdot(rotate(q, [t]), rotate(k, [t - 3])) for t in (3, 103))
    np.testing.assert_allclose(near, far, rtol=1e-12)
    assert abs(near - np.vdot(q, k)) > 1e-2
    np.testing.assert_allclose(rotate(rotate(q, [7]), [-7]), q, rtol=1e-12)


def test_heads_divide_the_units():
    with pytest.raises(ValueError, match=r"heads to divide units=4\. Received: heads=3"):
        SelfAttention(2, 4, heads=3)
