import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.data import Windows, WindowShape

RNG = np.random.default_rng(0)
SERIES = [RNG.normal(size=(40, 3)).astype(np.float32), RNG.normal(size=(25, 3)).astype(np.float32)]
SPANS = [(6, 30), (8, 20)]
OPTIONS = {"shape": WindowShape(5, 4, targets=1, future=1), "batch_size": 7}


def cut(stride=1):
    """The windows by hand: history, future covariates, truth."""
    for values, (first, last) in zip(SERIES, SPANS, strict=True):
        for origin in range(first, last, stride):
            ahead = values[origin : origin + 4]
            yield values[origin - 5 : origin], ahead[:, 2:], ahead[:, :1]


def gathered(dataset):
    """The rows of all batches that have a weight."""
    rows = []
    for inputs, truth, weights in dataset:
        assert truth.shape == (7, 4, 1)
        for i in np.flatnonzero(weights):
            rows.append(
                (inputs["history"][i].numpy(), inputs["future"][i].numpy(), truth[i].numpy())
            )
    return rows


@pytest.mark.parametrize("stride", [1, 3])
def test_one_pass_is_every_window_in_order(stride):
    windows = Windows(SERIES, SPANS, **OPTIONS, stride=stride, inputs=("history", "future"))
    received, expected = gathered(windows.one_pass()), list(cut(stride))
    assert windows.count == len(expected) == len(received)
    for one, other in zip(received, expected, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_the_mean_loss_of_a_pass_is_that_of_its_windows():
    windows = Windows(SERIES, SPANS, **OPTIONS)  # 6 batches of 7 for 36 windows
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Lambda(lambda x: x[:, -4:, 0])])
    model.compile(loss=keras.losses.MeanAbsoluteError())
    expected = np.mean([np.abs(truth - history[-4:, :1]) for history, _, truth in cut()])
    fed = windows.one_pass().map(lambda x, y, weights: (x["history"], y[..., 0], weights))
    assert model.evaluate(fed, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_every_epoch_holds_each_window_once_in_an_order_of_its_own():
    windows = Windows(SERIES, SPANS, **OPTIONS, inputs=("history", "future"), seed=3)
    expected = sorted(truth[0, 0] for *_, truth in cut())
    orders = []
    for epoch in range(3):
        rows = gathered(windows.epochs(epoch).take(len(windows)))
        orders.append([truth[0, 0] for *_, truth in rows])
        assert sorted(orders[-1]) == expected
    assert orders[0] != orders[1] != orders[2]
    # An epoch is the same whether training comes from the one before or starts there.
    running = gathered(windows.epochs(0).skip(2 * len(windows)).take(len(windows)))
    assert [truth[0, 0] for *_, truth in running] == orders[2]


def test_few_windows_come_several_times():
    windows = Windows(SERIES, SPANS, **OPTIONS, inputs=("history", "future"), passes=3)
    rows = gathered(windows.epochs(0).take(len(windows)))
    assert len(rows) == 3 * windows.count == 3 * 36


def test_what_a_batch_holds():
    windows = Windows(
        SERIES, SPANS, **OPTIONS, scales=np.array([[2.0], [3.0]]),
        inputs=("history", "teacher", "scale", "series"),
    )  # fmt: skip
    inputs, truth, _ = next(iter(windows.epochs()))
    assert set(inputs) == {"history", "teacher", "scale", "series"}
    np.testing.assert_array_equal(inputs["teacher"], truth)
    np.testing.assert_array_equal(inputs["scale"][:, 0], tf.gather([2.0, 3.0], inputs["series"]))


def test_a_window_never_leaves_its_series():
    for spans in ([(4, 30), (8, 20)], [(6, 38), (8, 20)]):
        with pytest.raises(ValueError, match="Expected origins with 5 steps before"):
            Windows(SERIES, spans, **OPTIONS)


def test_only_the_steps_that_windows_reach_are_kept():
    whole = Windows(SERIES, SPANS, **OPTIONS, inputs=("history", "future"))
    assert len(whole.values()) == (30 + 3 - 1) + (20 + 3 - 3)  # from 5 before the first origin on
    last = Windows(SERIES, [(29, 30), (8, 8)], **OPTIONS, inputs=("history", "future"))
    assert len(last.values()) == 5 + 4
    (one,), windows = gathered(last.one_pass()), list(cut())
    for left, right in zip(one, windows[23], strict=True):  # origin 29 is the 24th from 6 on
        np.testing.assert_array_equal(left, right)
