"""The norms of dL/dh[t], against the reference's, which are written by hand."""

import keras
import numpy as np
import pytest

from rnnapps import figures, reference
from rnnapps.layers import (
    GRU,
    LSTM,
    SLSTM,
    AttentionLSTM,
    MinGRU,
    PeepholeLSTM,
    RecurrentStack,
)
from rnnapps.training import gradient_flow

BATCH, TIME, INPUTS, UNITS = 3, 6, 2, 4


@pytest.mark.parametrize(
    ("make", "oracle"),
    [
        (LSTM, reference.LSTM(INPUTS, UNITS)),
        (GRU, reference.GRU(INPUTS, UNITS)),
        (MinGRU, reference.MinGRU(INPUTS, UNITS)),
        (SLSTM, reference.SLSTM(INPUTS, UNITS)),
        (PeepholeLSTM, reference.PeepholeLSTM(INPUTS, UNITS)),
        (AttentionLSTM, reference.AttentionLSTM(INPUTS, UNITS)),
    ],
    ids=["lstm", "gru", "mingru", "slstm", "peephole_lstm", "attention_lstm"],
)
def test_equals_the_reference(make, oracle, tmp_path):
    rng = np.random.default_rng(0)
    attends = make is AttentionLSTM
    layer = make(UNITS, return_sequences=not attends, name="layer")
    sequence = keras.Input((TIME, INPUTS))
    model = keras.Sequential([sequence, keras.layers.Masking(), layer])
    model.compile(loss="mse")
    layer.set_weights([oracle.params[v.name] for v in layer.trainable_variables])
    mask = np.array([[1] * 6, [1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 1, 1]], bool)
    x = rng.normal(size=(BATCH, TIME, INPUTS)) * mask[..., None]
    y = rng.normal(size=(BATCH, UNITS) if attends else (BATCH, TIME, UNITS))
    before = model(x)
    found = gradient_flow(model, (x, y))
    norms = found["layer"]
    figures.gradient_flow(found, tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 1000
    np.testing.assert_array_equal(model(x), before)  # the layer is as it was

    outputs, _, cache = oracle.forward(x, mask)
    d_outputs = 2 * (outputs - y) / y.size
    if not attends:  # Keras' loss leaves masked steps out of its mean
        d_outputs *= mask[..., None] * mask.size / mask.sum()
    expected = oracle.backward(d_outputs, cache).hidden_norms()
    np.testing.assert_allclose(norms, expected, rtol=1e-4, atol=1e-8)


def test_finds_the_layers_inside_a_stack():
    stack = RecurrentStack("gru", 3, num_layers=2, bidirectional=True, return_sequences=False)
    model = keras.Sequential([keras.Input((5, 2)), stack, keras.layers.Dense(1)])
    model.compile(loss="mse")
    norms = gradient_flow(model, (np.ones((2, 5, 2)), np.ones((2, 1))))
    assert len(norms) == 4
    assert all(v.shape == (5,) and np.all(v > 0) for v in norms.values() if v is not None)


def test_layers_of_mixed_precision_add_up():
    inputs = keras.Input((5, 4))
    stack = RecurrentStack("gru", 4, num_layers=2, residual=True, dtype="mixed_bfloat16")
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(stack(inputs)))
    model.compile(loss="mse")
    norms = gradient_flow(model, (np.ones((2, 5, 4)), np.ones((2, 5, 1))))
    assert all(np.all(values > 0) for values in norms.values())
