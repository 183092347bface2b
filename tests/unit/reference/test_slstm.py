import numpy as np
import pytest

from rnnapps.reference import SLSTM


def unstabilized(layer, x):
    """The outputs by the paper's first equations, without the stabilizer."""
    W, U, b = (layer.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
    h = c = n = np.zeros((len(x), layer.units))
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=-1)
        i, f, o = np.exp(i), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o))
        c, n = f * c + i * np.tanh(g), f * n + i
        h = o * c / n
        outputs.append(h)
    return np.stack(outputs, axis=1)


def test_the_stabiliser_changes_nothing():
    rng = np.random.default_rng(0)
    layer = SLSTM(2, 3, seed=rng)
    layer.set_params(bias=rng.normal(size=12))
    x = 3 * rng.normal(size=(4, 20, 2))
    np.testing.assert_allclose(layer.forward(x)[0], unstabilized(layer, x), rtol=1e-10)


@pytest.mark.parametrize("exponent", [-2000.0, 2000.0])
def test_nothing_overflows(exponent):
    """A common factor of all weights is none: as with 0 for the exponent, but for rounding."""
    rng = np.random.default_rng(1)
    layer, x = SLSTM(2, 3), rng.normal(size=(2, 9, 2))
    expected, _, _ = layer.forward(x)
    layer.params["bias"][:3] += exponent
    outputs, (_, _, n, m), cache = layer.forward(x)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9)
    assert np.all(n >= 1) and np.all(abs(m - exponent) < 100)
    assert all(np.isfinite(g).all() for g in layer.backward(outputs, cache).params.values())


def test_a_new_value_can_outweigh_all_that_is_stored():
    """What an input gate below 1 cannot do: after many steps of one value, one of another."""
    layer = SLSTM(1, 1)
    zeros = np.zeros((1, 4))
    kernel = zeros.copy()
    kernel[0, [0, 2]] = 3.0, 1.0  # the input opens its gate, and is what is stored
    layer.set_params(kernel=kernel, recurrent_kernel=zeros, bias=[0.0, 9.0, 0.0, 9.0])
    x = np.array([-1.0] * 50 + [2.0]).reshape(1, -1, 1)
    outputs, _, _ = layer.forward(x)
    assert outputs[0, -2, 0] == pytest.approx(np.tanh(-1), abs=1e-3)
    assert outputs[0, -1, 0] == pytest.approx(np.tanh(2), abs=0.02)
