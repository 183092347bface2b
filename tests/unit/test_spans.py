"""Spans and tags, against seqeval, and back and forth."""

import random

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from rnnapps.errors import DataError
from rnnapps.spans import Scheme, Span, scheme_of, spans_of, tags_of, tokens_answered, written_in

SCHEMES = ["IOB2", "BIOES", "BMES", "BILOU", "BMEWO"]


def any_tags(rng, letters="BIESO"):
    """Tags in any order, also such as no scheme allows."""
    drawn = [rng.choice(letters) for _ in range(rng.randrange(12))]
    return [one if one == "O" else f"{one}-{rng.choice(['per', 'loc'])}" for one in drawn]


def test_spans_are_seqevals_whatever_the_tags():
    rng = random.Random(1)
    for letters in ("BIO", "IO", "BIESO"):
        for _ in range(500):
            tags = any_tags(rng, letters)
            theirs = [Span(start, end + 1, kind) for kind, start, end in get_entities(tags)]
            assert spans_of(tags) == theirs, tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_say_the_spans_that_they_were_written_from(scheme):
    rng = random.Random(2)
    for _ in range(200):
        cuts = sorted(rng.sample(range(12), 4))
        spans = [Span(cuts[0], cuts[1], "a"), Span(cuts[1], cuts[2], "a"), Span(*cuts[2:], "")]
        assert spans_of(tags_of(spans, 12, scheme)) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_is_recognised_by_its_tags(scheme):
    tags = tags_of([Span(0, 3, "a"), Span(3, 4, "b")], 6, scheme)
    assert scheme_of([tags]) == Scheme(scheme, scheme)
    assert written_in(sorted(set(tags))) == scheme


def test_what_is_open_is_decided_by_where_tags_stand():
    assert scheme_of([["I-a", "I-a", "B-a", "O"]]) == Scheme("IOB1", "IOB2")
    assert scheme_of([["I-a", "O"], ["B-a", "O"]]) == Scheme("IOB2", "IOB2")
    assert scheme_of([["O", "O", "O", "person", "person"]]) == Scheme("IO", "IOB2")
    assert scheme_of([["NOUN", "VERB", "X"], ["NOUN"]]) == Scheme()
    assert scheme_of([["B", "E", "S"]]).written in ("BIOES", "BMES")  # which write it alike


def test_a_span_that_nothing_begins_begins_there():
    assert Scheme("IOB2", "IOB2").mended(["O", "I-a", "I-b"]) == ["O", "B-a", "B-b"]
    assert Scheme("IOB1", "IOB2").mended(["I-a", "I-a", "B-a"]) == ["B-a", "I-a", "B-a"]
    assert Scheme("BIOES", "BIOES").mended(["B-a", "I-a", "O"]) == ["B-a", "E-a", "O"]


@pytest.mark.parametrize(
    "sentences",
    [
        [["B-a", "M-a", "E-a"], ["B-a", "I-a"]],
        [["B-a", "L-a"], ["S-a"]],
        [["B-a", "I-a", "O"]] * 3 + [["B-a", "E-a", "O"]] * 3,
        [["B-a", "O", "O"], ["NOUN", "O", "O"]],
    ],
)
def test_two_schemes_are_refused(sentences):
    with pytest.raises(DataError, match="one scheme") as error:
        scheme_of(sentences, [f"f.txt, line {i}" for i in range(len(sentences))])
    assert "f.txt, line" in str(error.value)
    assert "; write all spans alike, such as B- at the first token" in str(error.value)


def test_an_empty_text_has_spans_as_the_others_of_its_model_do():
    parts = {"tokens": [b""], "tags": [b""], "starts": [0], "ends": [0], "probabilities": [0.0]}
    assert "spans" not in tokens_answered({**parts, "lengths": 0}, spans=False)
    assert tokens_answered({**parts, "lengths": 0}, spans=True)["spans"] == []
