import numpy as np
import pytest

from rnnapps.reference import SimpleRNN, orthogonal


def test_one_step_by_hand():
    layer = SimpleRNN(1, 1)
    layer.set_params(kernel=[[2.0]], recurrent_kernel=[[-3.0]], bias=[0.5])
    outputs, _, _ = layer.forward(np.array([[[0.1]]]), initial_state=([[0.2]],))
    assert outputs.item() == pytest.approx(np.tanh(0.1 * 2.0 + 0.2 * -3.0 + 0.5))


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_gradients_vanish_or_explode_as_powers_of_the_recurrent_gain(gain):
    # At x = 0, h = 0 tanh has the slope 1, and an orthogonal matrix keeps every length.
    layer = SimpleRNN(1, 4)
    layer.set_params(recurrent_kernel=gain * orthogonal((4, 4), np.random.default_rng(0)))
    _, _, cache = layer.forward(np.zeros((1, 20, 1)))
    d_outputs = np.zeros((1, 20, 4))
    d_outputs[0, -1] = [0.5, -0.5, 0.5, 0.5]  # of norm 1, at the last step only
    norms = layer.backward(d_outputs, cache).hidden_norms()
    np.testing.assert_allclose(norms, gain ** np.arange(19.0, -1.0, -1.0))


def test_gradients_vanish_for_certain_below_gain_one():
    # Whatever the inputs: one step back is at most `gain` times as long.
    rng = np.random.default_rng(0)
    layer = SimpleRNN(2, 4)
    layer.set_params(recurrent_kernel=0.9 * orthogonal((4, 4), rng))
    _, _, cache = layer.forward(rng.normal(size=(1, 30, 2)))
    d_outputs = np.zeros((1, 30, 4))
    d_outputs[:, -1] = rng.normal(size=(1, 4))
    norms = layer.backward(d_outputs, cache).hidden_norms()
    assert np.all(norms[:-1] <= 0.9 * norms[1:])
