import contextlib
import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from seqeval.metrics import classification_report, f1_score

import rnnapps
from rnnapps import Tagger, TaggingConfig, cli
from rnnapps.apps.tagging.answers import tags_of_tokens
from rnnapps.apps.tagging.baseline import crfsuite, features, most_frequent_tags
from rnnapps.apps.tagging.data import batches, load_splits
from rnnapps.apps.tagging.metrics import measures
from rnnapps.apps.tagging.model import ReadAsUnknown, build_network, trained_network
from rnnapps.apps.tagging.pipeline import build_tagger
from rnnapps.apps.tagging.printing import coloured, marked
from rnnapps.data import Splits, Tagged, make_names, make_tagged
from rnnapps.data.tagged_batches import in_pieces
from rnnapps.errors import DataError, RnnappsError
from rnnapps.spans import Span, scheme_of, spans_of, tags_of
from rnnapps.text import AFFIXES, UNKNOWN, OffsetTokenizer, TokenEncoder
from rnnapps.training import compile_model, precision, static_lengths

TINY = {
    "units": 6, "embedding_dim": 5, "character_dim": 4, "character_units": 3, "affix_dim": 0,
    "epochs": 1, "dropout": 0.0, "word_dropout": 0.0, "batch_size": 16,
}  # fmt: skip
TOKENS, TAGS = make_names(160)
NAMES = ["O", "B-a", "I-a", "B-b", "I-b"]
VARIANTS = [
    {"cell": "simple_rnn", "bidirectional": False, "character_units": 0, "pair_dim": 3},
    {"cell": "gru", "layers": 2, "output": "softmax"},
    {"cell": "mingru", "layers": 2, "block": "pre_norm"},
    {"cell": "lstm", "affix_dim": 2},
    {"cell": "transformer", "layers": 2, "heads": 3},
]


def compiled(config):
    keras.utils.set_random_seed(1)
    with precision(config.precision):
        characters = 12 if config.character_units else 0
        network = build_network(config, 30, characters, NAMES, True, np.ones(30))
        trained = trained_network(network)
        compile_model(trained, config, 10, network.get_layer("crf").loss)
    return network, trained


def some_inputs(config, rows):
    ids = np.array([[*row, *[0] * (7 - len(row))] for row in rows])
    if not config.character_units:
        return [ids, ids * 7]
    letters = np.array([[[1 + i * j % 11 for j in range(1, 4)] for i in row] for row in ids])
    inputs = [ids, letters * (ids != 0)[..., None]]
    return [*inputs, np.repeat(ids[..., None] * 5, AFFIXES, 2)] if config.affix_dim else inputs


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v["cell"])
def test_padding_changes_nothing_and_tags_are_allowed(variant):
    config = TaggingConfig(**{**TINY, **variant})
    network, _ = compiled(config)
    inputs = some_inputs(config, [[3, 7, 2, 9], [5], []])
    found = network(inputs)
    short = network([one[:, :4] for one in inputs])
    np.testing.assert_allclose(found["marginals"][:, :4], short["marginals"], atol=1e-5)
    np.testing.assert_array_equal(found["tags"][:, :4], short["tags"])
    there = np.array([[1, 1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0] * 7])
    np.testing.assert_allclose(np.sum(found["marginals"], -1), there, atol=1e-5)
    if config.output == "crf":
        for row, size in zip(found["tags"].numpy(), (4, 1, 0), strict=True):
            tags = [NAMES[i] for i in row[:size]]
            assert tags_of(spans_of(tags), size) == tags


@pytest.mark.system
def test_a_training_step_under_xla_equals_one_without():
    weights, variant = [], {"cell": "gru", "bidirectional": False}
    for jit in (False, True):
        config = TaggingConfig(**{**TINY, **variant}, jit=jit, learning_rate=0.1, max_length=7)
        network, trained = compiled(config)
        trained.optimizer.epsilon = 0.1
        inputs = some_inputs(config, [[3, 7, 2, 9], [5, 3], [4], [8, 9, 10]])
        tags = np.array([[1, 2, 0, 3, -1, -1, -1], [0, 0] + [-1] * 5] * 2)
        with contextlib.nullcontext() if jit else eagerly():
            trained.train_on_batch(inputs, tags, np.array([1.0, 1, 0, 0]))
        weights.append(network.get_weights())
    before = compiled(TaggingConfig(**{**TINY, **variant}))[0].get_weights()
    for plain, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, xla, atol=2e-4)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, weights[0], strict=True))


@pytest.mark.system
@eagerly()
def test_softmax_chooses_each_tag_by_itself():
    config = TaggingConfig(**TINY, output="softmax")
    network, trained = compiled(config)
    inputs = some_inputs(config, [[3, 7, 2, 9, 4, 4, 4], [5, 1, 2, 3, 4, 5, 6]])
    trained.train_on_batch(inputs, np.arange(14).reshape(2, 7) % 5, np.ones(2))
    found = network(inputs)
    scores = found["scores"].numpy()
    np.testing.assert_allclose(found["marginals"], tf.nn.softmax(scores), atol=1e-5)
    np.testing.assert_array_equal(found["tags"], scores.argmax(-1))
    assert not network.get_layer("crf").transitions.numpy().any()


def test_rare_words_are_read_as_unknown_more_often():
    layer = ReadAsUnknown(np.array([0.0, 0.0, 0.5, 0.1]), seed=1)
    ids = np.tile([[2, 3, 0]], (4000, 1))
    found = layer(ids, training=True).numpy()
    np.testing.assert_allclose((found == UNKNOWN).mean(0), [0.5, 0.1, 0], atol=0.03)
    assert set(found[:, 0]) == {UNKNOWN, 2} and (layer(ids).numpy() == ids).all()


def test_measures_are_seqevals():
    rng = random.Random(0)
    tags = ["O", "B-a", "I-a", "B-b", "I-b"]
    for _ in range(20):
        truth, said = ([[rng.choice(tags) for _ in range(8)] for _ in range(5)] for _ in "ab")
        found = measures([["w"] * 8] * 5, truth, said, {"w"}, True)
        assert found["f1"] == pytest.approx(f1_score(truth, said, zero_division=0))
        report = classification_report(truth, said, output_dict=True, zero_division=0)
        for kind, row in found["by_type"].items():
            assert row["f1"] == pytest.approx(report[kind]["f1-score"])
            assert row["precision"] == pytest.approx(report[kind]["precision"])
            assert row["spans"] == report[kind]["support"]


def test_words_that_are_new_are_measured_by_themselves():
    found = measures([["a", "b", "c"]], [["X", "Y", "X"]], [["X", "X", "X"]], {"a", "b"}, False)
    assert found["accuracy"] == found["f1"] == pytest.approx(2 / 3)
    assert found["accuracy_unseen"] == 1.0 and found["by_tag"]["X"]["recall"] == 1.0


def test_words_of_texts_without_tags_are_new_ones():
    encoder = TokenEncoder(max_characters=0, name="encoder")
    encoder.adapt(["a", "b", "river"])  # of which the last stood in texts without tags
    config = TaggingConfig(**{**TINY, "character_units": 0, "pair_dim": 0})
    size = encoder.words.vocabulary_size
    network = build_network(config, size, 0, NAMES, True, np.ones(size))
    app = Tagger(config)
    app.model = build_tagger(OffsetTokenizer(name="tokenizer"), encoder, [network], NAMES)
    parts = Splits(Tagged([["a", "b"]], [["O", "B-a"]]), Tagged([["b", "river"]], [["O", "O"]]))
    found = app._evaluate(parts, "validation")
    assert found["baselines"]["most frequent tag"]["accuracy_unseen"] == 1


def test_baselines():
    train, tags = [["a", "b", "a"], ["a", "c"]], [["X", "Y", "X"], ["Y", "Y"]]
    assert most_frequent_tags(train, tags, [["a", "b", "new"]]) == [["X", "Y", "Y"]]
    found = crfsuite(TOKENS[:120], TAGS[:120], TOKENS[120:])
    right = sum(
        a == b for x, y in zip(found, TAGS[120:], strict=True) for a, b in zip(x, y, strict=True)
    )
    assert right / sum(map(len, found)) > 0.95
    assert {"suffix=is", "shape=Xxxx", "ends", "-1:lower=in"} <= set(features(["in", "Paris"])[1])


def test_long_sentences_are_learned_in_pieces():
    tags = tags_of([Span(2, 9, "a")], 5000, "BIOES")
    tagged = make_tagged([["w"] * 5000], [tags])
    tokens, tags = zip(*in_pieces(tagged, 4), strict=True)
    assert len(tokens) == 1250 and sum(map(len, tokens)) == 5000
    assert tags[0] == ["O", "O", "B-a", "E-a"] and tags[2] == ["S-a", "O", "O", "O"]


def test_training_batches_are_of_few_lengths_under_xla():
    config = TaggingConfig(**TINY, jit=True, max_length=40)
    encoder = TokenEncoder(max_characters=5)
    encoder.adapt(token for row in TOKENS for token in row)
    tagged = Tagged(TOKENS, TAGS, scheme=scheme_of(TAGS))
    names = sorted({tag for row in TAGS for tag in row})
    for (ids, letters), tags, _ in batches(tagged, encoder, names, config).epochs().take(3):
        assert ids.shape[1] in static_lengths(config, 40) and letters.shape[2] == 5
        np.testing.assert_array_equal(tags.numpy() == -1, ids.numpy() == 0)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    config = {**TINY, "units": 24, "embedding_dim": 24, "learning_rate": 2e-2, "epochs": 8}
    return Tagger(**config).fit((TOKENS, TAGS), run_dir=tmp_path_factory.mktemp("runs") / "names")


def test_names_have_their_places_in_the_text(app):
    text = "We  met Jordan\tBaker near the old mill ."
    (answer,) = app.predict([text])
    for span in answer["spans"]:
        assert text[span["start"] : span["end"]] == span["text"] and 0 < span["probability"] <= 1
    assert [span["text"] for span in answer["spans"]] == ["Jordan\tBaker"]
    assert answer["spans"][0]["label"] == "person"


def test_odd_texts_are_answered(app):
    empty, blank, odd, long = app.predict(["", " \n ", "\ud800 \x1f 😀 Zoë", "a " * 5000])
    assert empty["tokens"] == blank["tokens"] == empty["spans"] == []
    assert len(odd["tags"]) == 3 and len(long["tags"]) == 5000
    with pytest.raises(DataError, match="one text"):
        app.predict("We met")


def test_tokens_are_taken_as_they_are(app):
    (given,) = app.predict([["We", "met", "Jordan", "near", "New York"]])
    assert given["tokens"] == ["We", "met", "Jordan", "near", "New York"]
    (odd,) = app.predict([["We", "", "\ud800"]])
    assert len(odd["tags"]) == 3 and odd["tags"][1] == "O"
    (split,) = app.predict(["We met  a.b c"], tokens=True)
    assert split["tokens"] == ["We", "met", "a.b", "c"]
    one = app.predict(["We met Jordan ."])[0]
    assert app.predict([["We", "met", "Jordan", "."]])[0]["probabilities"] == pytest.approx(
        one["probabilities"]
    )


def test_a_batch_answers_as_one_by_one(app):
    together = tags_of_tokens(app.graph, TOKENS[:20])
    alone = [tags_of_tokens(app.graph, [row]).tags[0] for row in TOKENS[:20]]
    assert together.tags == alone


def test_a_saved_run_answers_the_same(app):
    other = rnnapps.load(app.run_dir)
    text = ["In the end Florence was rebuilt on higher ground ."]
    assert other.predict(text) == app.predict(text)


def test_evaluate_takes_another_file_in_another_scheme(app, tmp_path, capsys):
    tokens, tags = make_names(60, seed=9)
    rows = [
        "\n".join(f"{a} {b}" for a, b in zip(x, tags_of(spans_of(y), len(y), "BIOES"), strict=True))
        for x, y in zip(tokens, tags, strict=True)
    ]
    path = tmp_path / "other.bioes"
    path.write_text("\n\n".join(rows))
    assert cli.main(["evaluate", str(app.run_dir), "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    given = app.evaluate((tokens, tags))
    assert found["f1"] == pytest.approx(given["f1"]) and found["f1"] > 0.5
    assert set(found["by_type"]) == {"person", "place", "firm"}


def test_the_command_prints_spans(app, tmp_path, capsys):
    run, text = str(app.run_dir), "We met Jordan near the old mill ."
    assert cli.main(["predict", run, text]) == 0
    assert capsys.readouterr().out == "We met [Jordan](person) near the old mill .\n"
    assert cli.main(["predict", run, text, "--json", "--tokens"]) == 0
    (span,) = json.loads(capsys.readouterr().out)["spans"]
    assert (span["start"], span["end"], span["label"]) == (7, 13, "person")
    (tmp_path / "in.csv").write_text(f"id,text\n7,{text}\n8,\n")
    assert cli.main(["predict", run, str(tmp_path / "in.csv")]) == 0
    header, first, last = capsys.readouterr().out.splitlines()
    assert header == "id,text,tokens,tags,spans" and first.startswith(f"7,{text},")
    assert last.endswith("[]")


def test_colours_are_a_labels_own():
    answer = {"tokens": ["a", "b"], "tags": ["X", "Y"]}
    assert marked("a b", answer) == "a/X b/Y" and coloured("a b", answer).plain == "a/X b/Y "
    span = {"start": 2, "end": 3, "label": "X", "text": "b", "probability": 0.5}
    shown = coloured("a b", {**answer, "spans": [span]})
    assert shown.plain == "a b X 0.50" and {str(part.style) for part in shown.spans}


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        ([["a", "b"]] * 9, [["O", "O"]] * 9, "at least two tags.*only O"),
        ([["a", "b"]] * 9, [["O"]] * 9, "sentence 1: expected a tag for each token"),
        ([["a", "b"]], [["X", "Y"]], "enough distinct sentences"),
        ([[]], [[]], "sentences with tokens"),
    ],
)
def test_what_cannot_be_learned_from(tokens, tags, said):
    with pytest.raises(RnnappsError, match=said):
        Tagger(**TINY).fit((tokens, tags))


def test_a_folder_has_its_parts(tmp_path):
    for name, seed in (("x.train", 1), ("x.testa", 2), ("x.testb", 3)):
        tokens, tags = make_names(30, seed)
        lines = (
            "\n".join(f"{a}\t{b}" for a, b in zip(x, y, strict=True))
            for x, y in zip(tokens, tags, strict=True)
        )
        (tmp_path / name).write_text("\n\n".join(lines))
    parts = load_splits(TaggingConfig(data=str(tmp_path)))
    assert parts.test.tokens == make_names(30, 3)[0]
    assert parts.validation.tokens == make_names(30, 2)[0]
    with pytest.raises(DataError, match="data_dir="):
        load_splits(TaggingConfig(data="wnut17", data_dir=tmp_path))


@pytest.mark.system
@eagerly()
def test_a_run_starts_from_another_and_from_unlabelled_texts(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("".join(f"the river {n} is cold\n" for n in range(300)))
    first = Tagger(**TINY, unlabelled=(str(path),), pretrain_epochs=1, pretrain_only=True)
    first.fit((TOKENS, TAGS), run_dir=tmp_path / "first")
    assert np.isfinite(first.metrics["pretraining"]["perplexity"])
    assert first.encoder(tf.constant(["the river"])).shape == (1, 2, 12)
    with pytest.raises(RnnappsError, match="language model alone"):
        first.predict(["the river"])
    second = Tagger(init_from=str(tmp_path / "first"), epochs=1, batch_size=16).fit((TOKENS, TAGS))
    assert second.config.units == 6 and "started from" in second.info.notes[-1]
