"""What a request may ask, checked inside the graph."""

import re

import pytest
import tensorflow as tf

from rnnapps.decoding import MOST_TOKENS, SamplingOptions, checked, make_options
from rnnapps.errors import ConfigError
from rnnapps.text import limited
from rnnapps.text.limits import MOST_BYTES, MOST_BYTES_TOGETHER

FINE = {"length": 5, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0,
        "seed": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"length": MOST_TOKENS + 1},
            "length to be at least 0 and at most 100,000. Received: 100001.",
        ),
        ({"length": -1}, "Expected every length to be at least 0 .* Received: -1."),
        ({"temperature": 0.0}, "Expected every temperature to be a positive number. Received: 0."),
        ({"temperature": float("nan")}, "a positive number. Received: nan."),
        ({"temperature": float("inf")}, "a positive number. Received: inf."),
        ({"top_k": -3}, "Expected every top_k to be at least 0. Received: -3."),
        ({"top_p": 1.5}, "Expected every top_p to be over 0 and at most 1. Received: 1.5."),
    ],
)
def test_an_option_out_of_its_range_is_a_sentence(wrong, sentence):
    @tf.function(autograph=False)
    def lengths(values):
        return checked(SamplingOptions(**values)).length

    for values, fails in ((FINE, False), (wrong, True)):
        rows = {name: tf.constant([FINE[name], values.get(name, FINE[name])]) for name in FINE}
        if fails:
            with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
                lengths(rows)
        else:
            assert lengths(rows).numpy().tolist() == [5, 5]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"length": 2.7}, "length= to be a whole number at least 0. Received: 2.7."),
        ({"seed": 2**31 - 1}, "at least 0 and at most 2,147,483,647. Received: 2147483648."),
        ({"temperature": 1e-7}, "temperature= to be a number at least 1e-06. Received: 1e-07."),
        ({"top_p": [1.0, 1.5]}, "top_p= to be a number over 0 and at most 1. Received: 1.5."),
        ({"top_k": float("inf")}, "a whole number at least 0 and at most"),
    ],
)
def test_a_number_that_is_refused_is_not_as_the_sentence_wants_it(wrong, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        make_options(2, **wrong)
    assert make_options(2, length=3.0, seed=2**31 - 2).length.numpy().tolist() == [3, 3]


def test_texts_are_read_up_to_a_length():
    read = tf.function(limited, input_signature=[tf.TensorSpec([None], tf.string)])
    assert read(tf.constant([], tf.string)).shape == (0,)
    longest = "é" * (MOST_BYTES // 2)
    assert read(tf.constant([longest, ""])).numpy()[0].decode() == longest
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"Expected every text to have at most 1,000,000 bytes\. Received: 1000002\.",
    ):
        read(tf.constant(["a", longest + "é", longest]))
    many = [longest] + [""] * (MOST_BYTES_TOGETHER // MOST_BYTES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at most 16,000,000 bytes together"):
        read(tf.constant(many))
