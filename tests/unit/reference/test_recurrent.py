"""What holds for every cell: its gradients, its masks, its state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnapps.reference import GRU, LSTM, SLSTM, MinGRU, PeepholeLSTM, SimpleRNN

from .central_differences import assert_is_gradient

CELLS = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru_reset_before": lambda inputs, units: GRU(inputs, units, reset_after=False),
    "gru_reset_after": lambda inputs, units: GRU(inputs, units, reset_after=True),
    "mingru": MinGRU,
    "slstm": SLSTM,
    "peephole_diagonal": lambda inputs, units: PeepholeLSTM(inputs, units, "diagonal"),
    "peephole_full": lambda inputs, units: PeepholeLSTM(inputs, units, "full"),
}
MASKS = {
    "none": None,
    "right_padded": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]],
    "left_padded": [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]],
    "gaps": [[1, 0, 1, 0, 1], [0, 1, 0, 0, 1]],
    "empty_row": [[0, 0, 0, 0, 0], [1, 1, 0, 1, 1]],
    "empty": [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def with_random_weights(layer, rng):
    """Return the layer with every weight, zeros too, replaced by a random one."""
    layer.set_params(**{k: 0.7 * rng.normal(size=w.shape) for k, w in layer.params.items()})
    return layer


def random_state(layer, batch, rng):
    return tuple(rng.normal(size=(batch, layer.units)) for _ in range(layer.states))


@each_cell
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_gradients_are_central_differences(cell, mask):
    rng = np.random.default_rng(1)
    layer = with_random_weights(cell(2, 3), rng)
    x = rng.normal(size=(2, 5, 2))
    initial_state = random_state(layer, 2, rng)
    d_outputs, d_state = rng.normal(size=(2, 5, 3)), random_state(layer, 2, rng)

    def loss():
        outputs, state, _ = layer.forward(x, mask, initial_state)
        return np.vdot(outputs, d_outputs) + np.vdot(state, d_state)

    _, _, cache = layer.forward(x, mask, initial_state)
    gradients = layer.backward(d_outputs, cache, d_state)
    assert_is_gradient(gradients.inputs, loss, x)
    for gradient, state in zip(gradients.initial_state, initial_state, strict=True):
        assert_is_gradient(gradient, loss, state)
    assert list(gradients.params) == list(layer.params)
    for name, weight in layer.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)


@each_cell
def test_hidden_gradient_is_that_of_starting_from_there(cell):
    rng = np.random.default_rng(2)
    layer = with_random_weights(cell(2, 3), rng)
    x, d_outputs = rng.normal(size=(2, 5, 2)), rng.normal(size=(2, 5, 3))
    _, _, cache = layer.forward(x)
    hidden = layer.backward(d_outputs, cache).hidden
    for t in range(4):
        _, state, _ = layer.forward(x[:, : t + 1])

        def loss(t=t, state=state):
            later, _, _ = layer.forward(x[:, t + 1 :], initial_state=state)
            return np.vdot(state[0], d_outputs[:, t]) + np.vdot(later, d_outputs[:, t + 1 :])

        assert_is_gradient(hidden[:, t], loss, state[0])
    np.testing.assert_array_equal(hidden[:, 4], d_outputs[:, 4])


@each_cell
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_masked_step_might_as_well_not_be_there(cell, data):
    mask = data.draw(st.lists(st.booleans(), min_size=1, max_size=8))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    layer = with_random_weights(cell(2, 3), rng)
    x, initial_state = rng.normal(size=(1, len(mask), 2)), random_state(layer, 1, rng)

    outputs, state, _ = layer.forward(x, [mask], initial_state)
    kept_outputs, kept_state, _ = layer.forward(x[:, mask], None, initial_state)

    np.testing.assert_allclose(outputs[:, mask], kept_outputs, atol=1e-14)
    np.testing.assert_allclose(state, kept_state, atol=1e-14)
    # A masked step repeats the output before it, and zeros before the first.
    previous = np.zeros(3)
    for t, keep in enumerate(mask):
        if not keep:
            np.testing.assert_array_equal(outputs[0, t], previous)
        previous = outputs[0, t]


@each_cell
def test_the_state_carries_everything_from_one_piece_to_the_next(cell):
    rng = np.random.default_rng(3)
    layer = with_random_weights(cell(2, 3), rng)
    x, mask = rng.normal(size=(4, 6, 2)), np.ones((4, 6), bool)
    whole, end, _ = layer.forward(x, mask)
    first, state, _ = layer.forward(x[:, :2])
    second, state, _ = layer.forward(x[:, 2:], initial_state=state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-14)
    np.testing.assert_allclose(state, end, atol=1e-14)
    np.testing.assert_array_equal(end[0], whole[:, -1])


@each_cell
def test_forward_and_backward_change_nothing_they_are_given(cell):
    rng = np.random.default_rng(4)
    layer = with_random_weights(cell(2, 3), rng)
    x, d_outputs = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 4, 3))
    initial_state, d_state = random_state(layer, 2, rng), random_state(layer, 2, rng)
    given_arrays = [x, d_outputs, *initial_state, *d_state, *layer.params.values()]
    copies = [array.copy() for array in given_arrays]
    _, _, cache = layer.forward(x, None, initial_state)
    first = layer.backward(d_outputs, cache, d_state)
    second = layer.backward(d_outputs, cache, d_state)
    for array, copy in zip(given_arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    for name, gradient in first.params.items():
        np.testing.assert_array_equal(gradient, second.params[name])


def test_wrong_shapes_are_named():
    layer = LSTM(2, 3)
    x = np.zeros((4, 5, 2))
    with pytest.raises(ValueError, match=r"\(batch, time, 2\).*Received: shape \(4, 5, 3\)"):
        layer.forward(np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match=r"mask of shape \(4, 5\).*Received: shape \(4, 6\)"):
        layer.forward(x, np.ones((4, 6)))
    with pytest.raises(ValueError, match=r"initial_state of shapes.*Received"):
        layer.forward(x, initial_state=(np.zeros((4, 3)),))
    with pytest.raises(ValueError, match=r"kernel of shape \(2, 12\).*Received: shape \(2, 9\)"):
        layer.set_params(kernel=np.zeros((2, 9)))
    with pytest.raises(ValueError, match=r"Expected a name among.*Received: 'weights'"):
        layer.set_params(weights=np.zeros(2))
