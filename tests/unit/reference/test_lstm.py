from math import exp, tanh

import numpy as np
import pytest

from rnnapps.reference import LSTM


def sigmoid(a):
    return 1 / (1 + exp(-a))


def test_one_step_by_hand_in_the_gate_order_of_keras():
    layer = LSTM(1, 1)
    layer.set_params(
        kernel=[[0.1, 0.2, 0.3, 0.4]],
        recurrent_kernel=[[-0.5, 0.6, 0.7, -0.8]],
        bias=[0.01, 0.02, 0.03, 0.04],
    )
    x, h, c = 2.0, 0.5, -1.5
    _, state, _ = layer.forward([[[x]]], initial_state=([[h]], [[c]]))
    i = sigmoid(0.1 * x - 0.5 * h + 0.01)
    f = sigmoid(0.2 * x + 0.6 * h + 0.02)
    g = tanh(0.3 * x + 0.7 * h + 0.03)
    o = sigmoid(0.4 * x - 0.8 * h + 0.04)
    c = f * c + i * g
    assert state[1].item() == pytest.approx(c, rel=1e-14)
    assert state[0].item() == pytest.approx(o * tanh(c), rel=1e-14)


def test_memory_and_its_gradient_last_as_long_as_the_forget_gate_is_open():
    # With the input gate shut, c[T] = f^T c[0], whatever else happens.
    steps, b_f = 50, 4.0
    layer = LSTM(1, 2)
    layer.set_params(
        recurrent_kernel=np.zeros((2, 8)),
        kernel=np.zeros((1, 8)),
        bias=[-1000.0, -1000.0, b_f, b_f, 0.0, 0.0, 0.0, 0.0],
    )
    c_0 = np.array([[2.0, -1.0]])
    _, (_, c), cache = layer.forward(np.ones((1, steps, 1)), None, (np.zeros((1, 2)), c_0))
    np.testing.assert_allclose(c, sigmoid(b_f) ** steps * c_0)
    d_state = (np.zeros((1, 2)), np.ones((1, 2)))
    gradients = layer.backward(np.zeros((1, steps, 2)), cache, d_state)
    np.testing.assert_allclose(gradients.initial_state[1], sigmoid(b_f) ** steps, rtol=1e-12)


def test_starts_by_remembering():
    i, f, g, o = np.split(LSTM(3, 5).params["bias"], 4)
    np.testing.assert_array_equal(f, np.ones(5))
    for other in (i, g, o):
        np.testing.assert_array_equal(other, np.zeros(5))
