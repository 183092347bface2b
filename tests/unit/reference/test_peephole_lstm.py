from math import exp, tanh

import numpy as np
import pytest

from rnnapps.reference import LSTM, PeepholeLSTM


def sigmoid(a):
    return 1 / (1 + exp(-a))


def by_hand(peep):
    """Return h, c after one step from x = 0, h = 0, c = (1.5, -0.5) with zero kernels.

    `peep(gate, c, unit)` is what a gate sees of the memory.
    """
    before, h, c = [1.5, -0.5], [], []
    for unit in range(2):
        i = sigmoid(0.1 + peep(0, before, unit))
        f = sigmoid(0.2 + peep(1, before, unit))
        c.append(f * before[unit] + i * tanh(0.3))
    for unit in range(2):
        o = sigmoid(0.4 + peep(2, c, unit))  # sees the new memory
        h.append(o * tanh(c[unit]))
    return h, c


def one_step(layer, P):
    layer.set_params(
        kernel=np.zeros((1, 8)),
        recurrent_kernel=np.zeros((2, 8)),
        bias=np.repeat([0.1, 0.2, 0.3, 0.4], 2),
        peephole_kernel=P,
    )
    state = (np.zeros((1, 2)), np.array([[1.5, -0.5]]))
    _, state, _ = layer.forward(np.zeros((1, 1, 1)), initial_state=state)
    return state


def test_one_diagonal_step_by_hand():
    P = np.array([[0.5, -0.6], [0.7, 0.8], [-0.9, 1.0]])  # rows i, f, o
    h, c = by_hand(lambda gate, memory, unit: P[gate, unit] * memory[unit])
    np.testing.assert_allclose(one_step(PeepholeLSTM(1, 2, "diagonal"), P), [[h], [c]], rtol=1e-14)


def test_one_full_step_by_hand():
    P = np.array([[0.5, -0.6, 0.7, 0.8, -0.9, 1.0], [1.1, 1.2, -1.3, 1.4, -1.5, 1.6]])

    def peep(gate, memory, unit):
        return sum(memory[k] * P[k, 2 * gate + unit] for k in range(2))  # column blocks i, f, o

    h, c = by_hand(peep)
    np.testing.assert_allclose(one_step(PeepholeLSTM(1, 2, "full"), P), [[h], [c]], rtol=1e-14)


@pytest.mark.parametrize("peephole", ["diagonal", "full"])
def test_without_peephole_weights_it_is_an_lstm(peephole):
    lstm, layer = LSTM(2, 3, seed=5), PeepholeLSTM(2, 3, peephole, seed=6)
    layer.set_params(**lstm.params)
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    np.testing.assert_allclose(layer.forward(x)[0], lstm.forward(x)[0], rtol=1e-14)


def test_full_with_diagonal_matrices_is_diagonal():
    rng = np.random.default_rng(0)
    diagonal, full = PeepholeLSTM(2, 3, "diagonal"), PeepholeLSTM(2, 3, "full")
    P = rng.normal(size=(3, 3))
    diagonal.set_params(peephole_kernel=P)
    full.set_params(peephole_kernel=np.concatenate([np.diag(row) for row in P], axis=1))
    x = rng.normal(size=(4, 6, 2))
    np.testing.assert_allclose(full.forward(x)[0], diagonal.forward(x)[0], rtol=1e-14)


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match=r"\"diagonal\" or \"full\"\. Received: 'round'"):
        PeepholeLSTM(2, 3, "round")
