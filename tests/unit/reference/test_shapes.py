import numpy as np

from rnnapps.reference import GRU, LSTM, Dense, SimpleRNN
from rnnapps.reference.shapes import (
    many_to_many_equal,
    many_to_many_unequal,
    many_to_one,
    one_to_many,
    one_to_one,
)

RNG = np.random.default_rng(0)


def test_one_to_one_sees_each_input_alone():
    readout, x = Dense(3, 2), RNG.normal(size=(4, 3))
    y = one_to_one(readout, x)
    assert y.shape == (4, 2)
    np.testing.assert_allclose(y[1:2], one_to_one(readout, x[1:2]))


def test_one_to_many_reads_its_own_last_output():
    layer, readout, x = LSTM(3, 5), Dense(5, 3), RNG.normal(size=(4, 3))
    y = one_to_many(layer, readout, x, steps=6)
    assert y.shape == (4, 6, 3)
    read = np.concatenate([x[:, None], y[:, :-1]], axis=1)
    np.testing.assert_allclose(y, many_to_many_equal(layer, readout, read), atol=1e-14)


def test_many_to_one_is_the_last_answer_of_many_to_many():
    layer, readout, x = GRU(3, 5), Dense(5, 2), RNG.normal(size=(4, 6, 3))
    equal = many_to_many_equal(layer, readout, x)
    assert equal.shape == (4, 6, 2)
    np.testing.assert_array_equal(many_to_one(layer, readout, x), equal[:, -1])


def test_many_to_one_looks_past_padding():
    layer, readout, x = GRU(3, 5), Dense(5, 2), RNG.normal(size=(4, 6, 3))
    mask = np.arange(6) < 4 * np.ones((4, 1))
    np.testing.assert_allclose(
        many_to_one(layer, readout, x, mask), many_to_one(layer, readout, x[:, :4])
    )


def test_answers_depend_on_the_past_only():
    layer, readout, x = SimpleRNN(3, 5), Dense(5, 2), RNG.normal(size=(4, 6, 3))
    changed = x.copy()
    changed[:, 3:] += 1.0
    before = many_to_many_equal(layer, readout, x)
    after = many_to_many_equal(layer, readout, changed)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.all(before[:, 3:] != after[:, 3:])


def test_unequal_lengths_meet_in_the_state():
    encoder, decoder, readout = LSTM(3, 5), LSTM(2, 5, seed=1), Dense(5, 2)
    x, y = RNG.normal(size=(4, 6, 3)), RNG.normal(size=(4, 9, 2))
    answers = many_to_many_unequal(encoder, decoder, readout, x, y)
    assert answers.shape == (4, 9, 2)
    other = many_to_many_unequal(encoder, decoder, readout, x[::-1], y)
    assert np.abs(answers - other)[:, 0].max() > 1e-3
