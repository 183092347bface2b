import contextlib
import re
import tarfile

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from eager import eagerly
from sklearn import metrics as sklearn_metrics

import rnnapps
from rnnapps import SentimentClassifier, SentimentConfig, metrics
from rnnapps.apps.sentiment import baseline
from rnnapps.apps.sentiment.app import SentimentClassifier as Classifier
from rnnapps.apps.sentiment.data import class_names, load_splits
from rnnapps.apps.sentiment.model import attention_of, build_network
from rnnapps.apps.sentiment.pipeline import LogitEnsemble
from rnnapps.data import Batches, StoredTexts, make_reviews
from rnnapps.data.stored import TextWriter
from rnnapps.errors import DataError, RnnappsError, RunError
from rnnapps.training import compile_model, make_strategy, precision, static_lengths

TINY = {
    "units": 6, "embedding_dim": 5, "epochs": 1, "dropout": 0.0, "word_dropout": 0.0,
    "batch_size": 64,
}  # fmt: skip
TEXTS, LABELS = make_reviews(200)
# Every cell, pooling, normalization and direction at least once.
VARIANTS = [
    {"cell": "simple_rnn", "pooling": "last", "bidirectional": False},
    {"cell": "lstm", "pooling": "max", "layers": 2, "residual": True, "normalization": "layer"},
    {"cell": "gru", "pooling": "mean", "layers": 2, "normalization": "batch"},
    {"cell": "mingru", "pooling": "last", "block": "pre_norm"},
    {"cell": "slstm", "pooling": "mean"},
    {"cell": "peephole_lstm", "pooling": "attention", "bidirectional": False},
    {"cell": "layer_norm_lstm", "pooling": "max_mean", "bidirectional": False},
    {"cell": "attention_lstm", "layers": 2},
    {"cell": "transformer", "layers": 2, "heads": 3, "pooling": "last"},
]
NAMES = [variant["cell"] for variant in VARIANTS]
LINEAR = ("TF-IDF + logistic regression", "NB-SVM (logistic)")
# Every pooling and block, on the cells that compile fastest: tests/unit/layers compiles each cell.
COMPILED = [
    {"cell": "simple_rnn", "pooling": "attention", "normalization": "batch"},
    {
        "cell": "simple_rnn", "pooling": "max_mean", "bidirectional": False, "layers": 2,
        "residual": True, "normalization": "layer",
    },
    {"cell": "mingru", "pooling": "last", "block": "pre_norm", "bidirectional": False},
    {"cell": "attention_lstm"},
    {"cell": "transformer", "heads": 3, "pooling": "mean"},
]  # fmt: skip


def some_batches(config, batch_size=8):
    rows = [[1 + (i * j) % 30 for j in range(i % 17)] for i in range(32)]  # the first is empty
    ids = tf.ragged.constant(rows, tf.int32)
    lengths = static_lengths(config, config.max_length)
    return Batches(ids, np.arange(32) % 3, batch_size, config.max_length, lengths)


def compiled(config, strategy="auto"):
    keras.utils.set_random_seed(1)
    with make_strategy(strategy).scope(), precision(config.precision):
        network = build_network(config, 40, 3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compile_model(network, config, 10, loss)
    return network


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_padding_changes_nothing_and_empty_texts_pass(variant):
    network = compiled(SentimentConfig(**TINY, **variant))
    ids = np.array([[3, 7, 2, 9], [5, 0, 0, 0], [0, 0, 0, 0]])
    short = network(ids).numpy()
    long = network(np.pad(ids, [[0, 0], [0, 6]])).numpy()
    np.testing.assert_allclose(short, long, atol=1e-5)
    np.testing.assert_allclose(network(ids[1:2, :1]).numpy(), short[1:2], atol=1e-5)
    assert np.isfinite(short).all()


@pytest.mark.system
@pytest.mark.parametrize("variant", COMPILED, ids=lambda v: f"{v['cell']}-{v.get('pooling')}")
def test_a_training_step_under_xla_equals_one_without(variant):
    """What a TPU demands: the step compiles, on batches of fixed lengths."""
    weights = []
    for jit in (False, True):
        config = SentimentConfig(**TINY, **variant, jit=jit, max_length=16, learning_rate=0.1)
        network = compiled(config)
        network.optimizer.epsilon = 0.1  # else Adam magnifies rounding where gradients vanish
        for ids, labels, rows in some_batches(config).epochs().take(1):
            ids = ids if jit else ids[:, : max(1, int(tf.reduce_max(tf.where(ids > 0)[:, 1])) + 1)]
            with contextlib.nullcontext() if jit else eagerly():
                network.train_on_batch(ids, labels, rows)
        weights.append(network.get_weights())
    before = compiled(SentimentConfig(**TINY, **variant)).get_weights()
    for plain, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, xla, atol=2e-4)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, weights[0], strict=True))


@pytest.mark.system
def test_two_replicas_take_the_step_of_one():
    config = SentimentConfig(**TINY, clip_norm=0.01)  # each replica's share would do otherwise
    weights = []
    for strategy in ("cpu", "mirrored"):
        network = compiled(config, strategy)
        assert make_strategy("mirrored").num_replicas_in_sync == 2
        network.optimizer.epsilon = 0.1
        network.fit(some_batches(config).epochs(), steps_per_epoch=4, verbose=0, shuffle=False)
        weights.append(network.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@eagerly()
def test_bfloat16_trains_and_stays_float32_outside():
    app = SentimentClassifier(**TINY, precision="mixed_bfloat16").fit((TEXTS, LABELS))
    network = app.model.get_layer("network")
    assert network.get_layer("recurrent").compute_dtype == "bfloat16"
    assert {w.dtype for w in network.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert np.isfinite(app.history[0]["loss"])


def test_the_sample_needs_word_order(sample_run):
    app = rnnapps.load(sample_run)
    found = app.evaluate()
    assert found["accuracy"] >= 0.97
    linear = [found["baselines"][name]["accuracy"] for name in LINEAR]
    assert max(linear) < 0.9
    assert found["baselines"]["network alone"]["accuracy"] >= 0.95
    one, other = app.predict([
        "although the plot was dull , the cast was superb .",
        "although the cast was superb , the plot was dull .",
    ])  # fmt: skip
    assert (one["label"], other["label"]) == ("positive", "negative")


def test_odd_texts_are_answered(sample_run):
    app = rnnapps.load(sample_run)
    odd = ["", "😀🎬", "a<br /><br>b", "word " * 10_000, "好看", "\x00\u2028", b"\xff\xfe bytes"]
    for answer in app.predict(odd):
        assert answer["label"] in ("positive", "negative")
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert app.predict([]) == []
    with pytest.raises(DataError, match="Expected a list of texts"):
        app.predict("one text")
    alone, among = app.predict(["the cast"])[0], app.predict([*odd, "the cast"])[-1]
    assert alone["probability"] == pytest.approx(among["probability"], abs=1e-5)


@pytest.mark.parametrize("variant", [{"pooling": "attention"}, {"cell": "attention_lstm"}])
@eagerly()
def test_explanations_weigh_each_word_of_the_text(variant):
    app = SentimentClassifier(**TINY, **variant, ngrams=0, max_length=6).fit((TEXTS, LABELS))
    pairs = app.predict(["The plot was dull"], explain=True)[0]["tokens"]
    assert [token for token, _ in pairs] == ["the", "plot", "was", "dull"]
    assert sum(weight for _, weight in pairs) == pytest.approx(1, abs=1e-4)
    assert min(weight for _, weight in pairs) > 0
    pairs = app.predict(["a b c d e f g h"], explain=True)[0]["tokens"]
    assert [token for token, _ in pairs] == ["a", "b", "c", "f", "g", "h"]
    assert app.predict([""], explain=True)[0]["tokens"] == []


def test_a_network_without_attention_says_how_to_get_one(sample_run):
    with pytest.raises(RunError, match="pooling=attention or cell=attention_lstm"):
        rnnapps.load(sample_run).predict(["hello"], explain=True)


@eagerly()
def test_integer_and_many_classes_from_lists_frames_and_datasets(tmp_path):
    stars = [10 if label == "positive" else 2 for label in LABELS]
    stars[::5] = [1] * len(stars[::5])
    frame = pd.DataFrame({"text": TEXTS, "label": stars})
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, stars)).batch(7)
    apps = [SentimentClassifier(**TINY).fit(given) for given in ((TEXTS, stars), frame, dataset)]
    for app in apps:
        assert app.classes == ["1", "2", "10"]
    answers = [app.predict(["the plot was dull"])[0]["probabilities"] for app in apps]
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)
    assert answers[0] == pytest.approx(answers[2], abs=1e-5)
    found = apps[0].evaluate((TEXTS, stars))
    assert "roc_auc" not in found
    assert np.sum(found["confusion"]) == len(TEXTS)
    with pytest.raises(DataError, match=r"classes that training lacks: \['3'\]"):
        apps[0].evaluate((TEXTS, [3] * len(TEXTS)))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((["a", "b"], ["x", "x"]), "two classes. Received: the training part, with only x"),
        ((["a", "b"], ["x"]), "2 texts, 1 labels"),
        ((["a", "b"], [None, float("nan")]), "no label in row 1"),
        ((["a", "b"], ["x", "y"]), "enough distinct texts"),
    ],
)
def test_data_that_cannot_be_learned_from(given, sentence):
    with pytest.raises(DataError, match=sentence):
        SentimentClassifier(**TINY).fit(given)


@eagerly()
def test_a_run_is_only_measured_beside_the_data_it_learned_from(tmp_path):
    app = SentimentClassifier(**TINY).fit((TEXTS, LABELS), run_dir=tmp_path / "own")
    with pytest.raises(DataError, match="learned from what fit"):
        rnnapps.load(tmp_path / "own").evaluate()
    assert app.evaluate((TEXTS, LABELS))["accuracy"] > 0

    path = tmp_path / "reviews.csv"
    frame = pd.DataFrame({"text": TEXTS, "label": LABELS})
    frame.to_csv(path, index=False)
    app = SentimentClassifier(**TINY, data=str(path)).fit(run_dir=tmp_path / "run")
    found = rnnapps.load(tmp_path / "run").evaluate()
    assert set(found["baselines"]) == {"network alone", *LINEAR}
    ids = app.model.get_layer("tokenizer")(tf.constant(TEXTS))
    expected = tf.nn.softmax(app.networks[0](ids))[:, 1]
    found = app.evaluate((TEXTS, LABELS))["baselines"]["network alone"]
    assert found["log_loss"] == pytest.approx(sklearn_metrics.log_loss(LABELS, expected), rel=1e-4)
    frame.loc[len(frame)] = ["one more", "positive"]
    frame.to_csv(path, index=False)
    with pytest.raises(RunError, match=r"did not learn from .*reviews.csv as it is now"):
        rnnapps.load(tmp_path / "run").evaluate()


@eagerly()
def test_a_model_that_learned_anew_leaves_its_run_as_it_was(tmp_path):
    app = SentimentClassifier(**TINY)
    app.fit((TEXTS, LABELS), run_dir=tmp_path / "run")
    app.evaluate((TEXTS[:20], LABELS[:20]))
    before = (tmp_path / "run" / "metrics.json").read_text()
    app.fit((TEXTS[:80], LABELS[:80]))
    assert "test" not in app.metrics
    app.evaluate((TEXTS[:20], LABELS[:20]))
    assert (tmp_path / "run" / "metrics.json").read_text() == before
    with pytest.raises(DataError, match="Expected train where validation is given"):
        app.fit(validation=(TEXTS, LABELS))


def test_before_training_there_is_no_model(tmp_path):
    app = SentimentClassifier(**TINY)
    for verb in (lambda: app.predict(["a"]), lambda: app.save(tmp_path / "run")):
        with pytest.raises(RunError, match="no model yet"):
            verb()
    assert list(tmp_path.iterdir()) == []


@eagerly()
def test_saving_and_loading_keep_every_answer(sample_run, tmp_path):
    app = rnnapps.load(sample_run)
    app.save(tmp_path / "copy")
    again = Classifier.load(tmp_path / "copy")
    assert again.config == app.config
    assert again.predict(TEXTS[:9]) == app.predict(TEXTS[:9])
    expected = {"config.toml", "model.keras", "history.csv", "metrics.json", "run.json"}
    expected |= {"train_hashes.npz", "figures"}
    assert {p.name for p in (tmp_path / "copy").iterdir()} == expected
    app.save(tmp_path / "copy")  # a run of the same application is replaced
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")
    with pytest.raises(RunError, match="does not hold a run"):
        app.save(tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_the_model_file_alone_answers(sample_run):
    app = rnnapps.load(sample_run)
    model = keras.models.load_model(sample_run / "model.keras", compile=False)
    answer = model(tf.constant(TEXTS[:5]))
    expected = app.predict(TEXTS[:5])
    assert [label.decode() for label in answer["label"].numpy()] == [e["label"] for e in expected]
    np.testing.assert_allclose(
        answer["probability"], [e["probability"] for e in expected], atol=1e-5
    )


def test_metrics_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1], 500)
    labels = (rng.random(500) < probabilities[:, 1] ** 2).astype(int)
    found = metrics.classification(labels, probabilities, ["no", "yes"])
    predicted = probabilities[:, 1] > 0.5
    assert found["accuracy"] == pytest.approx((predicted == labels).mean())
    assert found["roc_auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities[:, 1])
    )
    assert found["log_loss"] == pytest.approx(-np.log(probabilities[range(500), labels]).mean())
    # A forecaster that is right as often as it says has no calibration error; this one has.
    true = (rng.random(20_000) < 0.8).astype(int)
    honest = np.tile([0.2, 0.8], (20_000, 1))
    assert metrics.calibration_error(true, honest) < 0.01
    assert metrics.calibration_error(true, np.tile([0.01, 0.99], (20_000, 1))) == pytest.approx(
        0.99 - true.mean(), abs=1e-6
    )


def test_blending_trusts_the_better_model():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good = 3.0 * (np.eye(2)[labels] + rng.normal(0, 0.5, (400, 2)))
    noise = rng.normal(0, 1, (400, 2))
    ensemble = LogitEnsemble(2)
    ensemble.adapt([noise, good], labels)
    scale = ensemble.scale.numpy()
    assert scale[1] > 0.5 > 0.1 > scale[0] >= 0


@pytest.mark.system
def test_imdb_reads_through_tfds(test_data, tmp_path):
    """A data set of that name in the folder that --data-dir names."""
    import tensorflow_datasets as tfds

    rows = {"train": [], "test": []}
    with tarfile.open(test_data / "imdb" / "aclImdb_v1.tar.gz") as archive:
        for member in archive:
            found = re.search(r"(train|test)/(pos|neg)/1\d\d\d_", member.name)
            if found:
                text = archive.extractfile(member).read().decode()
                rows[found[1]].append((member.name, {"text": text, "label": found[2]}))
    label = tfds.features.ClassLabel(names=["neg", "pos"])
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imdb_reviews", config="plain_text", version="1.0.0", data_dir=tmp_path,
        features=tfds.features.FeaturesDict({"label": label, "text": tfds.features.Text()}),
        split_datasets=rows,
    )  # fmt: skip
    splits = load_splits(SentimentConfig(data="imdb_reviews", data_dir=tmp_path))
    assert len(splits.test) == 2000
    assert len(splits.train) + len(splits.validation) == 2000
    assert dict(zip(splits.test.texts, splits.test.labels, strict=True)) == {
        row["text"]: row["label"] for _, row in rows["test"]
    }


@pytest.mark.system
@eagerly()
def test_chinese_reviews_are_cut_into_characters(test_data):
    config = SentimentConfig(
        data=str(test_data / "chnsenticorp" / "waimai_10k.csv"), text_column="review"
    )
    splits = load_splits(config)
    assert class_names(splits.train) == ["0", "1"]
    parts = (splits.train, splits.validation, splits.test)
    shares = [part.labels.count("1") / len(part) for part in parts]
    assert max(shares) - min(shares) < 0.01
    few = splits.train.take(range(0, len(splits.train), 30))
    app = SentimentClassifier(**TINY).fit(few)
    vocabulary = app.model.get_layer("tokenizer").vocabulary
    assert "好" in vocabulary
    assert max(map(len, vocabulary[2:])) == 1


def test_a_missing_column_of_a_real_table_is_named(test_data):
    path = test_data / "chnsenticorp" / "waimai_10k.csv"
    with pytest.raises(RnnappsError, match=r"no column 'text'.*its columns are label, review"):
        load_splits(SentimentConfig(data=str(path)))


def test_attention_of_a_plain_network_is_none():
    assert attention_of(compiled(SentimentConfig(**TINY))) is None


def test_baselines_lose_no_class_of_many_stored_texts(tmp_path, monkeypatch):
    labels = np.array([0, 1, 1, 0] * 3)
    labels[5] = 2  # which every second text would leave out
    texts = [("a good film", "a bad film", "rare words")[label] for label in labels]
    writer = TextWriter(tmp_path)
    writer.add(texts)
    writer.close()
    monkeypatch.setattr(baseline, "_MOST", sum(map(len, texts)) // 2 + 1)
    found = baseline.baselines(StoredTexts(tmp_path), labels, texts[4:7])
    for probabilities in found.values():
        assert probabilities.argmax(1).tolist() == [0, 2, 1]
