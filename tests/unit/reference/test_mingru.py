from math import exp

import numpy as np
import pytest

from rnnapps.reference import MinGRU


def test_one_step_by_hand():
    layer = MinGRU(1, 1)
    layer.set_params(kernel=[[0.1, -0.2]], bias=[0.3, 0.4])
    z = 1 / (1 + exp(-(2.0 * 0.1 + 0.3)))
    outputs, _, _ = layer.forward([[[2.0]]], initial_state=([[0.5]],))
    assert outputs.item() == pytest.approx((1 - z) * 0.5 + z * (2.0 * -0.2 + 0.4), rel=1e-14)


def test_all_steps_at_once():
    """As h[t] is a sum of all candidates so far, each by what the later gates leave of it."""
    rng = np.random.default_rng(0)
    layer = MinGRU(2, 3, seed=rng)
    x = rng.normal(size=(1, 6, 2))
    z, g = np.split(x[0] @ layer.params["kernel"], 2, axis=-1)
    z = 1 / (1 + np.exp(-z))
    left = [[np.prod(1 - z[s + 1 : t + 1], axis=0) * z[s] for s in range(t + 1)] for t in range(6)]
    expected = [sum(w * g[s] for s, w in enumerate(weights)) for weights in left]
    np.testing.assert_allclose(layer.forward(x)[0][0], expected, rtol=1e-12)
