import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.data import Batches, make_reviews, stratified_split

ROWS = st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=20)


def contents(batches):
    """The rows of all batches with their labels, those of weight 0 left out."""
    found = []
    for ids, labels, weights in batches:
        for row, label, weight in zip(ids.numpy(), labels.numpy(), weights.numpy(), strict=True):
            if weight:
                found.append((row[row > 0].tolist(), int(label)))
            else:
                assert not row.any()
    return sorted(found)


@hypothesis.settings(deadline=None, max_examples=15)
@hypothesis.given(ROWS, st.integers(1, 8), st.integers(0, 5))
def test_every_epoch_holds_each_example_once(rows, batch_size, epoch):
    batches = Batches(tf.ragged.constant(rows, tf.int32), range(len(rows)), batch_size, seed=1)
    one = list(batches.epochs(first=epoch).take(len(batches)))
    assert all(len(ids) == batch_size for ids, _, _ in one)
    expected = sorted((row, i) for i, row in enumerate(rows))
    assert contents(one) == expected
    in_order, order = batches.one_pass()
    assert contents(in_order) == expected
    assert sorted(order) == list(range(len(rows)))


def some(seed=0, **options):
    rows = [[i % 7 + 1] * (i % 23) for i in range(200)]
    return Batches(tf.ragged.constant(rows, tf.int32), range(200), 16, seed=seed, **options)


def labels(dataset):
    return np.stack([row for _, row, _ in dataset])


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    batches = some()
    n = len(batches)
    three = labels(batches.epochs().take(3 * n))
    np.testing.assert_array_equal(labels(some().epochs(first=2).take(n)), three[2 * n :])
    assert (three[:n] != three[n : 2 * n]).any()
    assert (labels(some(seed=1).epochs().take(n)) != three[:n]).any()


def test_the_mean_loss_of_a_pass_is_that_of_its_examples():
    ids = tf.ragged.constant([[i] for i in range(1, 25)], tf.int32)
    dataset, _ = Batches(ids, [0] * 24, 16).one_pass()  # 8 rows of the second batch are filling
    model = keras.Sequential([keras.Input((None,)), keras.layers.Lambda(lambda x: x[:, :1])])
    model.compile(loss=keras.losses.MeanAbsoluteError(), weighted_metrics=["mae"])
    assert model.evaluate(dataset, verbose=0) == pytest.approx([12.5, 12.5])


def test_little_is_padding():
    real = sum(float(tf.reduce_sum(tf.cast(ids > 0, tf.float32))) for ids, _, _ in
               some().epochs().take(13))  # fmt: skip
    filled = sum(ids.shape[0] * ids.shape[1] for ids, _, _ in some().epochs().take(13))
    assert real / filled > 0.8  # in random order it is 0.5


def test_lengths_are_a_few_and_long_rows_lose_their_middle():
    batches = some(max_length=16, boundaries=(4, 8, 16))
    shapes = {ids.shape[1] for ids, _, _ in batches.epochs().take(len(batches))}
    assert shapes <= {4, 8, 16}
    ids = tf.ragged.constant([[1, 2, 3, 4, 5, 6]], tf.int32)
    ((row, _, _),) = Batches(ids, [0], 1, max_length=4).one_pass()[0]
    np.testing.assert_array_equal(row, [[1, 2, 5, 6]])


def test_splits_keep_the_shares_and_never_part_copies():
    texts = [f"text {i % 150}" for i in range(400)]  # many copies
    classes = ["a" if i % 150 < 100 else "b" for i in range(400)]
    parts = stratified_split(texts, classes, (0.8, 0.1, 0.1), seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(400))
    sets = [{texts[i] for i in part} for part in parts]
    assert [len(s) for s in sets] == [120, 15, 15]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    of_a = [sum(int(text.split()[1]) < 100 for text in s) for s in sets]
    assert of_a == [80, 10, 10]
    # A class of few members does not lose them all to rounding.
    rare = [f"class {i // 7}" for i in range(700)]
    shares = stratified_split([str(i) for i in range(700)], rare, (0.8, 0.1, 0.1), seed=3)
    assert [len(part) for part in shares] == [560, 70, 70]
    assert all({f"class {c}" for c in range(100)} == {rare[i] for i in part} for part in shares[:1])
    assert len({rare[i] for i in shares[2]}) > 50
    # Training has a class of one text, wherever its turn comes.
    for before in range(20, 40):
        lone = ["a"] * before + ["b"]
        training, _ = stratified_split([str(i) for i in range(before + 1)], lone, (0.9, 0.1), 3)
        assert before in training
    again = stratified_split(texts, classes, (0.8, 0.1, 0.1), seed=3)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_the_sample_is_the_same_each_time_and_balanced():
    texts, labels = make_reviews()
    assert (texts, labels) == make_reviews()
    assert len(texts) >= 4000
    assert labels.count("positive") == len(labels) / 2
    assert make_reviews(seed=1)[0] != texts
