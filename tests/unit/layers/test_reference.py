"""The layers against the NumPy reference: outputs, states and every gradient, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnapps import reference
from rnnapps.layers import GRU, LSTM, SLSTM, AttentionLSTM, MinGRU, PeepholeLSTM

PAIRS = {
    "lstm": (LSTM, reference.LSTM, {}),
    "gru": (GRU, reference.GRU, {}),
    "gru_reset_before": (GRU, reference.GRU, {"reset_after": False}),
    "peephole_diagonal": (PeepholeLSTM, reference.PeepholeLSTM, {"peephole": "diagonal"}),
    "peephole_full": (PeepholeLSTM, reference.PeepholeLSTM, {"peephole": "full"}),
    "mingru": (MinGRU, reference.MinGRU, {}),
    "slstm": (SLSTM, reference.SLSTM, {}),
    "attention": (AttentionLSTM, reference.AttentionLSTM, {"attention_units": 2}),
}


@st.composite
def problems(draw):
    """Shapes, any mask at all, and a seed for the numbers."""
    batch, time = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    row = st.lists(st.booleans(), min_size=time, max_size=time)
    mask = draw(st.none() | st.lists(row, min_size=batch, max_size=batch))
    inputs, units = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return batch, time, inputs, units, mask, draw(st.integers(0, 2**31))


@pytest.mark.parametrize("kind", PAIRS)
@given(problem=problems())
@settings(max_examples=12, deadline=None)
def test_equals_the_reference(kind, problem):
    make_layer, make_reference, arguments = PAIRS[kind]
    batch, time, inputs, units, mask, seed = problem
    rng = np.random.default_rng(seed)
    oracle = make_reference(inputs, units, **arguments)
    oracle.params.update({k: rng.normal(size=v.shape) for k, v in oracle.params.items()})
    attends = kind == "attention"
    layer = make_layer(
        units, **arguments, return_sequences=not attends, return_state=True, dtype="float64"
    )
    layer.build((batch, time, inputs))
    layer.set_weights([oracle.params[v.name] for v in layer.trainable_variables])

    x = tf.constant(rng.normal(size=(batch, time, inputs)))
    mask = None if mask is None else np.array(mask)
    given_state = [rng.normal(size=(batch, units)) for _ in range(oracle.states)]
    state = [tf.constant(s) for s in given_state]
    unseen = [tf.zeros((batch, units), x.dtype), tf.zeros((batch, 1), x.dtype)] if attends else []
    with tf.GradientTape() as tape:
        tape.watch([x, *state])
        output, *last = layer(x, mask=mask, initial_state=[*state, *unseen])
        last = last[: oracle.states]
        weights = [rng.normal(size=y.shape) for y in (output, *last)]
        loss = tf.add_n(
            [tf.reduce_sum(y * w) for y, w in zip((output, *last), weights, strict=True)]
        )
    variables = {v.name: v.value for v in layer.trainable_variables}
    gradients = tape.gradient(
        loss, {"x": x, "state": state, **variables}, unconnected_gradients="zero"
    )

    expected, expected_last, cache = oracle.forward(x.numpy(), mask, tuple(given_state))
    np.testing.assert_allclose(output, expected, atol=1e-10)
    np.testing.assert_allclose(np.array(last), np.array(expected_last), atol=1e-10)
    expected = oracle.backward(weights[0], cache, tuple(weights[1:]))
    np.testing.assert_allclose(gradients["x"], expected.inputs, atol=1e-9)
    for ours, theirs in zip(gradients["state"], expected.initial_state, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
    for name in variables:
        np.testing.assert_allclose(gradients[name], expected.params[name], atol=1e-8, err_msg=name)
