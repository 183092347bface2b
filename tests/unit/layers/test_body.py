"""One way to the body of a network, whatever it is made of."""

import numpy as np
import pytest

from rnnapps.layers import RecurrentStack, TransformerStack, make_body

X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")


@pytest.mark.parametrize("cell", ["gru", "transformer"])
def test_bodies_are_called_and_step_alike(cell):
    arguments = {"num_layers": 2, "dropout": 0.5, "recurrent_dropout": 0.5, "name": "body"}
    body = make_body(cell, 8, window=3, **arguments, return_state=True)
    assert (body.name, body.width, body.dropout) == ("body", 8, 0.5)
    whole, _ = body(X)
    state = [np.zeros((2, size), "float32") for size in body.state_sizes]
    for t in range(5):
        y, state = body.step(X[:, t], state)
        np.testing.assert_allclose(y, whole[:, t], atol=1e-5)


def test_what_is_asked_of_each():
    recurrent = make_body("lstm", 8, True, residual=True, block="plain", num_heads=2)
    assert isinstance(recurrent, RecurrentStack) and recurrent.residual
    assert recurrent.bidirectional
    both, ahead = (make_body("transformer", 8, way, num_heads=2) for way in (True, False))
    assert isinstance(both, TransformerStack)
    assert (both.num_heads, both.causal, ahead.causal) == (2, False, True)
    with pytest.raises(ValueError, match=r"Expected `cell` to be .* Received: .*transforme"):
        make_body("transforme", 8)
