"""One way to the body of a network, whatever it is made of."""

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.layers import RecurrentStack, TransformerStack, make_body

X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")


@pytest.mark.parametrize(
    ("cell", "positions"),
    [("gru", "none"), *(("transformer", one) for one in ("rotary", "sinusoidal"))],
)
def test_bodies_are_called_and_step_alike(cell, positions):
    arguments = {"num_layers": 2, "dropout": 0.5, "recurrent_dropout": 0.5, "name": "body"}
    body = make_body(cell, 8, window=3, positions=positions, **arguments, return_state=True)
    assert (body.name, body.width, body.dropout) == ("body", 8, 0.5)
    whole, _ = body(X)
    state = [np.zeros((2, size), "float32") for size in body.state_sizes]
    for t in range(5):
        y, state = body.step(X[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)

    @tf.function
    def looped(x, state):  # a loop wants the shapes of a state to stay as they are
        return tf.while_loop(
            lambda t, _: t < 5, lambda t, state: (t + 1, body.step(x[:, t], state)[1]), (0, state)
        )[1]

    zeros = [tf.zeros_like(one) for one in state]
    for ours, theirs in zip(looped(tf.constant(X), zeros), state, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_what_is_asked_of_each():
    recurrent = make_body("lstm", 8, True, residual=True, block="plain", num_heads=2)
    assert isinstance(recurrent, RecurrentStack) and recurrent.residual
    assert recurrent.bidirectional
    both, ahead = (make_body("transformer", 8, way, num_heads=2) for way in (True, False))
    assert isinstance(both, TransformerStack)
    assert (both.num_heads, both.causal, ahead.causal) == (2, False, True)
    with pytest.raises(ValueError, match=r"Expected `cell` to be .* Received: .*transforme"):
        make_body("transforme", 8)
