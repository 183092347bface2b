from math import exp, tanh

import pytest

from rnnapps.reference import GRU

W = [0.1, -0.2, 0.3]
U = [-0.5, 0.6, 0.7]
B = [0.01, 0.02, 0.03]
V = [-0.04, 0.05, 0.06]
X, H = 2.0, 0.5


def sigmoid(a):
    return 1 / (1 + exp(-a))


def test_one_step_of_chos_form_by_hand_in_the_gate_order_of_keras():
    layer = GRU(1, 1, reset_after=False)
    layer.set_params(kernel=[W], recurrent_kernel=[U], bias=B)
    z = sigmoid(X * W[0] + H * U[0] + B[0])
    r = sigmoid(X * W[1] + H * U[1] + B[1])
    g = tanh(X * W[2] + r * H * U[2] + B[2])
    outputs, _, _ = layer.forward([[[X]]], initial_state=([[H]],))
    assert outputs.item() == pytest.approx(z * H + (1 - z) * g, rel=1e-14)


def test_one_step_of_the_reset_after_form_by_hand():
    layer = GRU(1, 1, reset_after=True)
    layer.set_params(kernel=[W], recurrent_kernel=[U], bias=[B, V])
    z = sigmoid(X * W[0] + B[0] + H * U[0] + V[0])
    r = sigmoid(X * W[1] + B[1] + H * U[1] + V[1])
    g = tanh(X * W[2] + B[2] + r * (H * U[2] + V[2]))
    outputs, _, _ = layer.forward([[[X]]], initial_state=([[H]],))
    assert outputs.item() == pytest.approx(z * H + (1 - z) * g, rel=1e-14)
