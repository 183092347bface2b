"""Applications that start from word vectors: what they begin with, and who needs the file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import CharGenerator, SentimentClassifier, Tagger, Translator
from rnnapps.apps.chargen.data import make_tokenizer
from rnnapps.apps.translation.data import make_tokenizers
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.tuning.space import make_space

WIDTH = 6
TEXTS = [f"a {word} film of {n} minutes" for n in range(40) for word in ("fine", "dull")]
REVIEWS = (TEXTS, ["good", "bad"] * 40)
TINY = {"epochs": 1, "units": 4, "bidirectional": False, "ngrams": 0}
FROZEN = {"vectors_frozen": True}


@pytest.fixture
def vectors(tmp_path):
    def write(words, name="vectors.txt", width=WIDTH):
        rows = np.random.default_rng(0).normal(size=(len(words), width)).astype(np.float32)
        lines = (
            f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, rows, strict=True)
        )
        (tmp_path / name).write_text("".join(lines))
        return tmp_path / name, dict(zip(words, rows, strict=True))

    return write


def network_at_start(app, given, **options):
    """What is about to be trained, which it then is not."""
    found = []

    class Start(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            found.append(self.model)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.fit(given, callbacks=[Start()], **options)
    return found[0]


def rows_by_token(embedding, tokenizer):
    return dict(zip(tokenizer.vocabulary, *embedding.get_weights(), strict=False))


def test_a_classifier_starts_from_them_and_does_without_the_file(vectors, tmp_path, capsys):
    path, known = vectors(["Fine", "film", "of", "dull"])
    with eagerly():
        app = SentimentClassifier(**TINY, **FROZEN, vectors=path)
        app.fit(REVIEWS, run_dir=tmp_path / "run")
    said = capsys.readouterr().err
    assert f"embedding_dim is {WIDTH}, the width of {path}" in said
    assert f"{path} has 4 of " in said
    assert app.config.embedding_dim == WIDTH
    path.unlink()
    for one in (app, rnnapps.load(tmp_path / "run")):
        network, tokenizer = one.model.get_layer("network"), one.model.get_layer("tokenizer")
        rows = rows_by_token(network.get_layer("embedding"), tokenizer)
        for word, row in known.items():  # frozen: as they were
            np.testing.assert_array_equal(rows[word.lower()], row)
        assert one.predict(["a dull film"])[0]["label"] in ("good", "bad")
    assert rnnapps.load(tmp_path / "run").evaluate(REVIEWS)["accuracy"] >= 0
    served = tf.saved_model.load(str(app.export(tmp_path / "served")))
    answer = served.signatures["serving_default"](text=tf.constant(["a dull film"]))
    assert answer["label"].numpy()[0].decode() == app.predict(["a dull film"])[0]["label"]


def test_both_sides_of_a_translator_have_their_own(vectors):
    source, source_rows = vectors(["le", "mai"], "source")
    target, target_rows = vectors(["May"], "target")
    days = range(1, 31)
    pairs = [f"le {n} mai" for n in days], [f"May {n}" for n in days]
    settings = {"units": 8, "tokenizer": "word", "vocabulary": "separate", "vectors": source}
    app = Translator(**settings, target_vectors=target)
    network = network_at_start(app, pairs)
    tokenizers = make_tokenizers(app._load(pairs).train, app.config)
    rows = rows_by_token(network.source_embedding, tokenizers[0])
    np.testing.assert_array_equal(rows["le"], source_rows["le"])
    np.testing.assert_array_equal(rows[" mai"], source_rows["mai"])  # a word takes its space along
    rows = rows_by_token(network.target_embedding, tokenizers[1])
    np.testing.assert_array_equal(rows["may"], target_rows["May"])
    assert network.source_embedding.trainable
    wide, _ = vectors(["May"], "wide", 7)
    with pytest.raises(ConfigError, match="target_vectors= to be of width 6, as vectors= is"):
        Translator(**settings, target_vectors=wide).fit(pairs)


@pytest.mark.parametrize("tied", [False, True])
def test_a_generator_of_words_starts_from_them(tied, vectors):
    path, known = vectors(["cat", "The", "mat"])
    text = "the cat sat on the mat\n" * 300
    app = CharGenerator(units=8, layers=1, tokenizer="word", tied=tied, **FROZEN, vectors=path)
    embedding = network_at_start(app, text).network.embedding
    rows = rows_by_token(embedding, make_tokenizer(app.config, app._load(text).train))
    np.testing.assert_array_equal(rows[" cat"], known["cat"])
    assert not np.array_equal(rows["the"], known["The"])  # case counts here
    assert not embedding.trainable


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (SentimentClassifier, {"tokenizer": "subword"}, "Expected tokenizer=word with vectors="),
        (CharGenerator, {}, "Expected tokenizer=word with vectors=.*'character'"),
        (CharGenerator, {"tokenizer": "byte"}, "Expected tokenizer=word with vectors=.*'byte'"),
        (Translator, {}, "Expected tokenizer=word with vectors=.*'unigram'"),
        (Translator, {"tokenizer": "word"}, "Expected vocabulary=separate with vectors="),
    ],
)
def test_what_has_no_words_of_one_language_has_no_vectors(kind, settings, said):
    with pytest.raises(ConfigError, match=said):
        kind(**settings, vectors="vectors.txt")


def test_what_contradicts_them_is_named(vectors):
    with pytest.raises(ConfigError, match="Expected vectors= with vectors_frozen="):
        SentimentClassifier(**FROZEN)
    path, _ = vectors(["fine"])
    with pytest.raises(ConfigError, match=r"Expected vectors= or init_from=.*Received: both"):
        SentimentClassifier(vectors=path, init_from="runs/sentiment")
    with pytest.raises(ConfigError, match="vectors= to be of width 64, as embedding_dim= says"):
        SentimentClassifier(vectors=path, embedding_dim=64).fit(REVIEWS)
    chinese = ([f"这个酒店很好{n}" for n in range(80)], REVIEWS[1])
    with pytest.raises(DataError, match=r"Expected words with vectors.*made characters"):
        SentimentClassifier(**TINY, vectors=path).fit(chinese)


def test_a_search_leaves_their_width_alone(vectors):
    config = SentimentClassifier(vectors=vectors(["fine"])[0]).config
    assert "embedding_dim" not in make_space(config)
    with pytest.raises(ConfigError, match="'embedding_dim' cannot be tuned with vectors="):
        make_space(config, ["embedding_dim"])
    assert "embedding_dim" in make_space(SentimentClassifier().config)


@eagerly()
def test_a_run_goes_on_with_the_vectors_it_began_with_only(vectors, tmp_path):
    path, _ = vectors(["fine", "dull"])

    def interrupt(epoch, logs):
        if epoch:
            raise KeyboardInterrupt

    app = SentimentClassifier(**{**TINY, "epochs": 2}, vectors=path)
    killer = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        app.fit(REVIEWS, run_dir=tmp_path / "run", callbacks=[killer])
    before = path.read_text()
    vectors(["fine", "film"])
    with pytest.raises(RunError, match=r"learned from other vectors .* use that"):
        app.fit(REVIEWS, run_dir=tmp_path / "run")
    path.write_text(before)
    network_at_start(app, REVIEWS, run_dir=tmp_path / "run")


@pytest.mark.system
def test_what_starts_from_a_run_leaves_its_vectors_as_they_are(vectors, tmp_path):
    path, _ = vectors(["fine", "cat", "a"])
    small = {"epochs": 1, "units": 4, **FROZEN, "vectors": path}
    tokens = [text.split() for text in TEXTS]
    tags = [["B-what", *["O"] * (len(one) - 1)] for one in tokens]
    given = {
        SentimentClassifier: (REVIEWS, {"bidirectional": False, "ngrams": 0}),
        CharGenerator: ("the cat sat on the mat\n" * 300, {"tokenizer": "word", "ngrams": 0}),
        Tagger: ((tokens, tags), {"character_units": 0}),
    }
    for kind, (examples, settings) in given.items():
        run = str(tmp_path / kind.name)
        with eagerly():
            kind(**small, **settings).fit(examples, run_dir=run)
        app = kind(init_from=run, epochs=1)
        model = network_at_start(app, examples)
        first = model.network.embedding if kind is CharGenerator else model.get_layer("embedding")
        assert not first.trainable, kind
        assert app.info.notes[-1].endswith("its word vectors stay frozen")


@pytest.mark.system
@eagerly()
def test_a_translator_that_goes_on_leaves_the_side_frozen_that_was(vectors, tmp_path):
    source, rows = vectors(["le", "mai"], "source")
    target, _ = vectors(["May"], "target")
    days = range(1, 31)
    pairs = [f"le {n} mai" for n in days], [f"May {n}" for n in days]
    app = Translator(
        units=8, epochs=1, tokenizer="word", vocabulary="separate", **FROZEN, vectors=source
    ).fit(pairs, run_dir=tmp_path / "run")
    source.unlink(), target.unlink()

    def sides(one):
        sides = one.network.source_embedding, one.network.target_embedding
        return [side.get_weights()[0] for side in sides]

    before = sides(app)
    app.update(
        ([f"le {n} mai" for n in range(40, 60)], [f"May {n}" for n in range(40, 60)]),
        epochs=1,
        tolerance=0.99,
    )
    after = rows_by_token(app.network.source_embedding, app.model.source_tokenizer)
    np.testing.assert_array_equal(after["le"], rows["le"])
    assert np.abs(sides(app)[1][:3] - before[1][:3]).max() > 0
    child = Translator(init_from=str(tmp_path / "run"), epochs=1)
    child.fit(pairs, run_dir=tmp_path / "child")
    assert rnnapps.load(tmp_path / "child").info.frozen == ["vectors"]
    network = network_at_start(Translator(init_from=str(tmp_path / "child")), pairs)
    assert not network.source_embedding.trainable
    assert network.target_embedding.trainable
    after = rows_by_token(child.network.source_embedding, child.model.source_tokenizer)
    np.testing.assert_array_equal(after["le"], rows["le"])
