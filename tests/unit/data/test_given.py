"""The forms in which Python people hold their data, and what is said of all others."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps.data import columns_given, texts_given, together
from rnnapps.errors import DataError

TEXTS, LABELS = ["a fine film", "dull"], ["good", "bad"]
FRAME = pd.DataFrame({"label": LABELS, "text": TEXTS})


def plain(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values]


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, index=[7, 3]),
        FRAME,
        tf.constant(TEXTS),
        tf.data.Dataset.from_tensor_slices(TEXTS),
        tf.data.Dataset.from_tensor_slices(TEXTS).batch(2),
    ],
    ids=lambda given: type(given).__name__,
)
def test_texts_in_any_form_are_the_same_texts(given):
    assert plain(texts_given(given, "text")) == TEXTS


def test_texts_come_from_files_too(tmp_path):
    FRAME.to_csv(tmp_path / "reviews.csv", index=False)
    (tmp_path / "reviews.txt").write_text("\n".join(TEXTS) + "\n")
    assert texts_given(tmp_path / "reviews.csv", "text") == TEXTS
    assert texts_given(tmp_path / "reviews.txt", "text") == TEXTS
    pair = columns_given(tmp_path / "reviews.csv", ("text", "label"), "labels")
    assert pair == (TEXTS, LABELS)


@pytest.mark.parametrize(
    "given",
    [
        (TEXTS, LABELS),
        [np.array(TEXTS), pd.Series(LABELS)],
        np.array([TEXTS, LABELS]),
        FRAME,
        {"text": TEXTS, "label": LABELS},
        tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)),
        tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2),
    ],
    ids=lambda given: type(given).__name__,
)
def test_pairs_in_any_form_are_the_same_pairs(given):
    first, second = columns_given(given, ("text", "label"), "labels")
    assert (plain(first), plain(second)) == (TEXTS, LABELS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("one text", "Received: one text; put it into a list"),
        (None, "Received: a NoneType"),
        (7, "Received: a int"),
        ({"text": TEXTS}, "Received: a dict"),
        ([["a", "b"], ["c"]], "Received: a list"),
        (np.zeros((3, 2)), "Received: 2 dimensions of numbers"),
        (FRAME.rename(columns={"text": "texts"}), "Expected a column 'text'"),
    ],
)
def test_anything_else_is_said_with_the_forms_that_are_taken(given, said):
    with pytest.raises(DataError, match=said):
        texts_given(given, "text")
    with pytest.raises(DataError):
        columns_given(given, ("text", "label"), "labels")


def test_what_belongs_to_texts_is_given_by_name():
    assert together(TEXTS, None, labels=LABELS, sources=None, targets=None) == (TEXTS, LABELS)
    assert together(None, None, labels=None, sources=TEXTS, targets=LABELS) == (TEXTS, LABELS)
    assert together(TEXTS, (TEXTS, LABELS), labels=None) is TEXTS
    with pytest.raises(DataError, match=r"fit\(texts, labels=...\)"):
        together(TEXTS, LABELS, labels=None)
    with pytest.raises(DataError, match="Received: labels="):
        together(None, None, labels=LABELS)
    for given in ((TEXTS, LABELS[:1]), {"text": TEXTS, "label": LABELS[:1]}):
        with pytest.raises(DataError, match="Received: 2 texts, 1 labels"):
            columns_given(given, (None, None), "labels")
