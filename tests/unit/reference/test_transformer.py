import numpy as np
import pytest

from rnnapps.reference import LayerNorm, TransformerBlock

from .central_differences import assert_is_gradient

MASK = np.array([[1, 1, 1, 0], [0, 1, 0, 1]], bool)


def test_normalized_features_have_mean_0_and_variance_1():
    x = np.random.default_rng(0).normal(5, 30, (2, 3, 8))
    y, _ = LayerNorm(8).forward(x)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-3)


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
def test_gradients_are_central_differences(mask):
    rng = np.random.default_rng(0)
    block = TransformerBlock(4, 2, causal=True, rotary=True, expansion=2)
    for weight in block.params.values():
        weight += rng.normal(0, 0.5, weight.shape)
    x, dy = rng.normal(size=(2, 4, 4)), rng.normal(size=(2, 4, 4))

    def loss():
        return np.vdot(block.forward(x, mask)[0], dy)

    gradients = block.backward(dy, block.forward(x, mask)[1])
    assert_is_gradient(gradients.inputs, loss, x)
    assert gradients.params.keys() == block.params.keys()
    for name, weight in block.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)
