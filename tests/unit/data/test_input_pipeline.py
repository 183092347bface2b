"""What a pipeline holds, and what it does not copy."""

import pathlib

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from rnnapps.data import mapped
from rnnapps.data.input_pipeline import InPlace, as_it_is, feed
from rnnapps.data.stored import as_tensor

STATUS = pathlib.Path("/proc/self/smaps_rollup")


def test_a_pipeline_copies_nothing_of_what_is_in_place(tmp_path):
    """Of values that a function captures, tf.data makes copies in the process' own memory."""
    if not STATUS.exists():
        pytest.skip("this system does not say how much of the memory is mapped")
    size = 400_000_000
    (tmp_path / "ids").touch()
    np.memmap(tmp_path / "ids", "uint8", "r+", shape=size)[-100:] = range(100)
    values = as_tensor(mapped(tmp_path / "ids", "uint8"))

    def growth(read):
        places = tf.range(size - 100, size)
        before = own_memory()
        batches = iter(feed(tf.data.Dataset.range(2), lambda _: tf.gather(read(), places)))
        np.testing.assert_array_equal(next(batches), np.arange(100))
        return own_memory() - before

    assert growth(as_it_is(lambda: values)) > 0.9 * size  # or `InPlace` is no longer needed
    assert growth(InPlace(values)) < 0.1 * size


def own_memory() -> int:
    """The bytes of this process that are of no file."""
    lines = dict(line.split(":") for line in STATUS.read_text().splitlines()[1:])
    return int(lines["Anonymous"].split()[0]) * 1024


def test_values_outlive_what_held_them():
    rows = tf.ragged.constant([[1, 2], [], [3]])
    held = InPlace(rows)
    batches = feed(tf.data.Dataset.range(3), as_it_is(lambda i, held=held: held()[i]))
    del held
    assert [row.numpy().tolist() for row in batches] == rows.to_list()


def test_in_the_scope_of_a_strategy_values_are_not_copied_to_its_replicas():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        (part,) = InPlace(np.arange(3)).parts
        assert isinstance(part, tf.Variable)
        assert not isinstance(part, tf.distribute.DistributedValues)
        assert isinstance(tf.Variable(1.0), tf.distribute.DistributedValues)
