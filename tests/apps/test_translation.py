import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
import sacrebleu
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import TranslationConfig, Translator, cli
from rnnapps.apps.translation import pipeline
from rnnapps.apps.translation.baseline import IBMModel1
from rnnapps.apps.translation.data import load_splits
from rnnapps.apps.translation.metrics import bleu_by_length, text_measures
from rnnapps.apps.translation.model import EncoderDecoder
from rnnapps.apps.translation.pipeline import special_tokens
from rnnapps.data import PairBatches, Pairs
from rnnapps.decoding import Hypotheses
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.training import SmoothedCrossentropy, compile_model, make_strategy, static_lengths

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TINY = {
    "units": 6, "embedding_dim": 5, "epochs": 1, "batch_size": 16, "max_tokens": 60, "dropout": 0.0,
    "hidden_dropout": 0.0,
}  # fmt: skip
# Every cell, decoder, score, tokenizer and vocabulary at least once.
VARIANTS = [
    {"cell": "lstm", "input_feeding": True, "tokenizer": "word"},
    {
        "cell": "slstm",
        "score": "general",
        "layers": 2,
        "tokenizer": "character",
        "vocabulary": "separate",
    },
    {"cell": "simple_rnn", "score": "dot", "tied": False, "tokenizer": "bpe"},
    {"cell": "peephole_lstm", "score": "scaled_dot", "input_feeding": True},
    {"decoder": "first_state", "cell": "layer_norm_lstm", "tokenizer": "character"},
    {
        "decoder": "every_step", "vocabulary": "separate", "tied": False, "tokenizer": "word",
        "cell": "mingru", "block": "pre_norm",
    },
    {
        "cell": "transformer", "heads": 3, "positions": "sinusoidal", "layers": 2,
        "tokenizer": "character",
    },
    {
        "cell": "transformer", "heads": 2, "positions": "learned", "learned_positions": 100,
        "vocabulary": "separate", "tied": False, "tokenizer": "word",
    },
]  # fmt: skip
NAMES = ["+".join(map(str, variant.values())) for variant in VARIANTS]
# The kinds of decoders, on the cell that compiles fastest: tests/unit/layers compiles each cell and
# attention.
COMPILED = [
    {"cell": "simple_rnn", "input_feeding": True},
    {"cell": "simple_rnn", "decoder": "every_step", "block": "pre_norm"},
    {"cell": "transformer", "heads": 3, "positions": "sinusoidal"},
]


def numbers(count, seed=0, longest=6):
    """Numbers in words, and in digits with spaces between."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 10, rng.integers(1, longest + 1)) for _ in range(count)]
    texts = [" ".join(DIGITS[i] for i in row) for row in rows]
    return texts, [" ".join(map(str, row)) for row in rows]


PAIRS = numbers(300)
FEW = numbers(60)


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """A translator of numbers, trained until it can."""
    settings = {
        "units": 32, "embedding_dim": 32, "epochs": 14, "batch_size": 16, "learning_rate": 1e-2,
        "dropout": 0.1, "hidden_dropout": 0.1, "tokenizer": "word",
    }  # fmt: skip
    return Translator(**settings).fit(PAIRS, run_dir=tmp_path_factory.mktemp("runs") / "numbers")


def some_batches(config, batch_size=8):
    rows = [[4 + (i * j) % 30 for j in range(i % 9)] for i in range(32)]
    sources = tf.ragged.constant(rows, tf.int32)
    targets = tf.ragged.constant([row[::-1] for row in rows], tf.int32)
    lengths = static_lengths(config, config.max_length)
    return PairBatches(sources, targets, 2, 3, batch_size, lengths)


def compiled(config, strategy="auto"):
    keras.utils.set_random_seed(1)
    with make_strategy(strategy).scope():
        network = EncoderDecoder(config, 40, 40)
        compile_model(network, config, 10, SmoothedCrossentropy(config.label_smoothing))
    return network


@pytest.mark.system
@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
@eagerly()
def test_every_variant_writes_what_it_scores_and_keeps_it(variant, tmp_path):
    app = Translator(**TINY, **variant).fit(FEW)
    texts = ["one two", "", "seven", "nine nine nine zero one"]
    answers = app.predict([*texts, "one " * 8], n_best=3, length_penalty=0.0)
    again = app.predict(texts, n_best=3, length_penalty=0.0)  # with less to fill up
    assert answers[1]["translation"] == ""
    for one, other in zip(answers, again, strict=False):
        scores = [best["score"] for best in one["n_best"]]
        assert scores == sorted(scores, reverse=True)
        found = [best["translation"] for best in one["n_best"]]
        assert len(set(found)) == len(found)
        np.testing.assert_allclose(scores, [best["log_probability"] for best in one["n_best"]])
        np.testing.assert_allclose(scores, [b["score"] for b in other["n_best"]], rtol=1e-4)
    if variant.get("tokenizer") == "character":  # whose tokens can be read off a text
        best = answers[3]["n_best"]
        received = app.score([texts[3]] * 3, [one["translation"] for one in best])
        np.testing.assert_allclose(received, [one["log_probability"] for one in best], rtol=1e-4)
    app.save(tmp_path / "run")
    again = rnnapps.load(tmp_path / "run").score(texts, ["1 2"] * 4)
    np.testing.assert_allclose(again, app.score(texts, ["1 2"] * 4), rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_padding_changes_nothing(variant):
    network = compiled(TranslationConfig(**TINY, **variant))
    sources, targets = np.array([[7, 8, 9], [5, 0, 0], [0, 0, 0]]), np.array([[2, 6, 7]] * 3)
    short = network((sources, targets)).numpy()
    wide = [[0, 0], [0, 4]]
    long = network((np.pad(sources, wide), np.pad(targets, wide))).numpy()[:, :3]
    np.testing.assert_allclose(short, long, atol=1e-5)
    alone = network((sources[1:2, :1], targets[1:2])).numpy()
    np.testing.assert_allclose(alone, short[1:2], atol=1e-5)
    assert np.isfinite(short).all()


@pytest.mark.system
@pytest.mark.parametrize("variant", COMPILED, ids=lambda v: "+".join(map(str, v.values())))
def test_a_training_step_under_xla_equals_one_without(variant):
    weights = []
    for jit in (False, True):
        config = TranslationConfig(
            **TINY, **variant, jit=jit, max_length=16, learning_rate=0.1, layers=1
        )
        network = compiled(config)
        network.optimizer.epsilon = 0.1  # else Adam magnifies rounding where gradients vanish
        for inputs, outputs, rows in some_batches(config).epochs().take(1):
            with contextlib.nullcontext() if jit else eagerly():
                network.train_on_batch(inputs, outputs, rows)
        weights.append(network.get_weights())
    before = compiled(TranslationConfig(**TINY, **variant, layers=1)).get_weights()
    for plain, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, xla, atol=2e-4)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, weights[0], strict=True))


@pytest.mark.system
def test_two_replicas_and_bfloat16_train():
    for settings in ({"strategy": "mirrored"}, {"precision": "mixed_bfloat16"}):
        app = Translator(**TINY, **settings).fit(FEW)
        assert np.isfinite(app.history[0]["loss"])
        assert {weight.dtype for weight in app.model.network.weights} >= {"float32"}
        assert app.predict(["one"])[0]["score"] <= 0
        assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "variant", [{"input_feeding": True}, {}, {"decoder": "first_state"}], ids=str
)
def test_a_slow_state_moves_token_by_token_in_bfloat16(variant):
    ends = []
    for precision in ("float32", "mixed_bfloat16"):
        config = TranslationConfig(**TINY, **variant, cell="gru", precision=precision)
        network = EncoderDecoder(config, 40, 40)
        for weight in network.decoder.weights:
            if weight.shape[-1] == 18:  # the cell's, gates z, r, h
                weight.assign(tf.zeros_like(weight))
            if weight.shape == (2, 18):
                weight.assign([[6.0] * 6 + [0.0] * 6 + [1, -1, 0.5, 2, -0.5, 3], [0.0] * 18])
        encoded, state = network.encode(tf.constant([[4, 5]]))
        kinds, state = [one.dtype for one in state], [0 * one for one in state]
        for _ in range(60):
            logits, state, _ = network.decode(tf.constant([[7]]), state, encoded)
        assert [one.dtype for one in state] == kinds  # as beam search needs it
        assert logits.dtype == tf.float32
        ends.append(tf.cast(state[0], tf.float32).numpy())
    np.testing.assert_allclose(*ends, rtol=0.01)
    assert abs(ends[0]).max() > 0.1


def test_the_loss_is_keras_own():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(2, 3, 7)), tf.float32)
    ids, weights = rng.integers(0, 7, (2, 3)), np.array([[1, 1, 0], [1, 0, 0]])
    received = SmoothedCrossentropy(0.2)(ids, logits, sample_weight=weights)
    every = keras.losses.categorical_crossentropy(
        tf.one_hot(ids, 7), logits, from_logits=True, label_smoothing=0.2
    )
    assert float(received) == pytest.approx(np.average(every, weights=weights), rel=1e-5)


def test_it_learns_to_translate_and_where_to_look(counter):
    texts, expected = numbers(200, seed=7)
    received = [answer["translation"] for answer in counter.predict(texts)]
    assert np.mean([a == b for a, b in zip(received, expected, strict=True)]) > 0.95
    found = counter.align(["three one four one five"])[0]
    assert found["source_tokens"] == ["three", "one", "four", "one", "five"]
    assert found["target_tokens"] == ["3", "1", "4", "1", "5"]
    weights = np.array(found["alignment"])
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert (weights.argmax(1) == np.arange(5)).mean() >= 0.8
    right, wrong = counter.score(["one two"] * 2, ["1 2", "2 1"])
    assert right > -1 > wrong


@pytest.mark.system
def test_a_transformer_learns_to_reverse_and_is_measured_as_it_writes():
    rows = [[4 + (7 * i + j * (i % 5 + 1)) % 30 for j in range(1 + i % 5)] for i in range(128)]
    sources, targets = (
        tf.ragged.constant(side, tf.int32) for side in (rows, [r[::-1] for r in rows])
    )
    settings = {
        "units": 16, "embedding_dim": 16, "heads": 2, "max_length": 6, "learning_rate": 1e-2,
        "schedule": "constant", "warmup": 0.0, "label_smoothing": 0.0,
    }  # fmt: skip
    network = compiled(TranslationConfig(**{**TINY, **settings}, cell="transformer"))
    batches = PairBatches(sources, targets, 2, 3, 32)
    losses = [float(network.train_on_batch(*one)) for one in batches.epochs().take(100)]
    assert losses[-1] < losses[0] / 2
    longer = np.array([[2, *[(3 * i) % 30 + 4 for i in range(15)]]], np.int32)  # than the window
    encoded, state = network.encode(sources[:1].to_tensor())
    whole, _, looked = network.decode(longer, None, encoded)
    for t in range(longer.shape[1]):
        logits, state, weights = network.decode(longer[:, t : t + 1], state, encoded)
        np.testing.assert_allclose(logits[:, 0], whole[:, t], atol=1e-4)
        np.testing.assert_allclose(weights[:, 0], looked[:, t], atol=1e-5)


@pytest.mark.system
def test_a_transformers_search_finds_the_same_whatever_room_its_state_begins_with(monkeypatch):
    settings = {**TINY, "cell": "transformer", "heads": 3, "positions": "sinusoidal", "layers": 2}
    settings["max_length"] = 24  # the window: a search goes further
    texts, found = tf.constant(["one two three four five six seven", "eight", ""]), []
    with eagerly():
        app = Translator(**settings, tokenizer="character").fit(FEW)
    for room in (1, 24):  # grows to the window; is as large from the beginning
        monkeypatch.setattr(pipeline, "_ROOM", room)
        search = tf.function(lambda texts: app.model.search(texts, 2, min_length=30))
        found.append(search(texts))
    assert int(tf.reduce_max(found[0].lengths)) >= 30
    np.testing.assert_array_equal(found[0].tokens, found[1].tokens)
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=1e-5)
    np.testing.assert_allclose(found[0].alignments, found[1].alignments, atol=1e-5)


def test_the_search_can_be_steered(counter):
    text = ["two three"]
    longest = counter.predict(text, min_length=5)[0]["translation"]
    assert len(longest.split()) >= 5
    greedy = counter.predict(text, beam_width=1, length_penalty=0.0)[0]["n_best"]
    assert len(greedy) == 1
    several = counter.predict(text, n_best=8)[0]["n_best"]
    assert len({one["translation"] for one in several}) == 8
    drawn = {counter.sample(text, temperature=3.0, seed=seed)[0] for seed in range(5)}
    assert len(drawn) > 1
    assert counter.sample(text * 3, temperature=0.05) == ["2 3"] * 3
    many = counter.sample(text * 80, temperature=3.0)
    assert len(set(many)) > 32  # as many as are drawn at a time
    assert counter.sample(text * 3, temperature=3.0, seed=50) == many[50:53]
    for wrong, sentence in (
        ({"beam_width": 0}, "Expected beam_width= to be at least 1. Received: 0."),
        ({"n_best": 0}, "Expected n_best= to be at least 1"),
        ({"n_best": 3, "beam_width": 2}, "at most the beam_width= of 2. Received: 3."),
        ({"length_penalty": -1.0}, "length_penalty= to be at least 0"),
        ({"length_penalty": float("nan")}, "length_penalty= to be at least 0"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            counter.predict(text, **wrong)
    for temperature in (0.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="temperature= to be over 0"):
            counter.sample(text, temperature=temperature)


def test_an_unknown_word_becomes_the_one_it_attends_to(counter):
    model, texts = counter.model, tf.constant(["one Xylophon three", "two"])
    one, three = model.target_tokenizer(tf.constant(["1 3"])).numpy()[0]
    assert model.target_tokenizer.vocabulary[three] == " 3"
    weights = np.zeros((2, 1, 3, 3), np.float32)
    weights[0, 0, [0, 1, 2], [0, 1, 2]] = 1
    zeros = tf.zeros((2, 1))
    tokens = tf.constant([[[one, 1, three]], [[one, 0, 0]]])
    found = Hypotheses(tokens, tf.constant([[3], [1]]), zeros, zeros, tf.constant(weights))
    expected = [[b"1 xylophon 3"], [b"1"]]
    assert model.texts(texts, found).numpy().tolist() == expected
    alone = found._replace(tokens=tf.constant([[[1, 1, three]], [[one, 0, 0]]]))
    assert model.texts(texts, alone).numpy()[0, 0] == b"one xylophon 3"


@eagerly()
def test_words_are_put_together_as_they_were():
    texts = ["a man, in a hat.", "don't (ever) go!"] * 20
    app = Translator(**TINY, tokenizer="word").fit((texts, texts), (texts, texts))
    tokenizer = app.model.target_tokenizer
    assert [
        one.decode() for one in tokenizer.detokenize(tokenizer(tf.constant(texts))).numpy()
    ] == texts


def test_a_long_translation_is_scored_in_parts(counter):
    text, translation = "one two", "1 2 " * 90  # longer than is read at a time
    model = counter.model
    special, tokenizer = special_tokens(model.target_tokenizer), model.target_tokenizer
    ids = tokenizer(tf.constant([translation.strip()])).numpy()[0]
    inputs, outputs = [special.bos, *ids], [*ids, special.eos]
    logits = model.network((model.source_ids(tf.constant([text])), np.array([inputs])))[0]
    log_p = tf.nn.log_softmax(logits).numpy()[np.arange(len(outputs)), outputs]
    assert counter.score([text], [translation.strip()])[0] == pytest.approx(log_p.sum(), rel=1e-4)


def test_nothing_to_learn_or_measure_from_is_a_mistake(counter):
    with pytest.raises(DataError, match="Expected validation pairs to learn"):
        Translator(**TINY).fit(PAIRS, ([], []))
    with pytest.raises(DataError, match="Expected pairs to measure on"):
        counter.evaluate(([], []))


def test_odd_texts_are_answered(counter, capsys):
    odd = ["", " ", "😀🎬", "a<br /><br>b", "one " * 5_000, "好看", "\x00\u2028", b"\xff\xfe bytes"]
    for answer in counter.predict(odd):
        assert isinstance(answer["translation"], str)
        assert answer["score"] <= 0
    assert [answer["translation"] for answer in counter.predict(["", "  "])] == ["", ""]
    assert counter.predict([]) == counter.align([]) == counter.score([], []) == []
    alone, among = counter.predict(["six"])[0], counter.predict([*odd, "six"])[-1]
    assert alone["translation"] == among["translation"] == "6"
    with pytest.raises(DataError, match="Expected a list of texts"):
        counter.predict("one text")
    with pytest.raises(DataError, match=r"as many targets as texts\. Received: 2 texts, 1 targets"):
        counter.score(["a", "b"], ["c"])
    assert capsys.readouterr().err == ""
    assert cli.main(["predict", str(counter.run_dir), "one", "two " * 5_000]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "1"
    assert err == (
        "rnnapps: line 2: only the first 100 of its 5,000 tokens are read (--max-length).\n"
    )


def test_what_predict_prints(counter, capsys):
    def ask(*arguments):
        assert cli.main(["predict", str(counter.run_dir), *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    assert ask("one two", "three") == ["1 2", "3"]
    rows = [line.split("\t") for line in ask("one two", "three", "--n-best", "2")]
    assert [(row[0], row[2]) for row in rows][::2] == [("1", "1 2"), ("2", "3")]
    assert [float(row[1]) for row in rows[:2]] == sorted([float(r[1]) for r in rows[:2]])[::-1]
    assert json.loads(ask("one", "--json")[0])["translation"] == "1"
    assert ask("one two", "--align") == ["1(one) 2(two)"]
    score, text, translation = ask("one two\t1 2", "--score")[0].split("\t")
    assert (text, translation) == ("one two", "1 2")
    assert float(score) == pytest.approx(counter.score(["one two"], ["1 2"])[0], abs=1e-3)
    assert ask("one two", "--sample", "--temperature", "0.05") == ["1 2"]


def test_measures_are_sacrebleus(counter):
    texts, right = numbers(60, seed=3)
    found = counter.evaluate((texts, right))
    received = [answer["translation"] for answer in counter.predict(texts)]
    bleu = sacrebleu.corpus_bleu(received, [right], lowercase=True)
    assert found["bleu"] == pytest.approx(bleu.score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(received, [right]).score)
    assert "tok:13a" in found["signatures"]["bleu"]
    log_p = counter.score(texts, right)
    tokens = sum(len(text.split()) + 1 for text in right)
    assert found["perplexity"] == pytest.approx(np.exp(-np.sum(log_p) / tokens), rel=1e-4)
    assert sum(group["count"] for group in found["by_length"]) == 60
    for name in ("bleu_by_length", "attention_1"):
        path = counter.run_dir / "figures" / f"{name}.png"
        assert path.read_bytes()[:4] == b"\x89PNG"


def test_case_counts_where_it_is_to():
    pairs = Pairs(["a"], ["Two Words"])
    assert text_measures(pairs, ["two words"], lowercase=False)["exact_match"] == 0.0
    assert text_measures(pairs, ["two words"])["exact_match"] == 1.0


def test_texts_are_grouped_by_their_words():
    sources = ["a b", "a b c d e", "a b c d e f", "a " * 101]
    groups = bleu_by_length(Pairs(sources, ["x"] * 4), ["x"] * 4)
    assert [(one["up_to"], one["count"]) for one in groups] == [(5, 2), (10, 1), (101, 1)]


def test_the_lexicon_learns_which_words_belong_together():
    pairs = Pairs(
        ["das Haus", "das Buch", "ein Buch", "ein rotes Haus"],
        ["the house", "the book", "a book", "a red house"],
    )
    model = IBMModel1(pairs)
    assert model(["das rotes Buch", "ein Hund", ""]) == ["the red book", "a hund", ""]


@pytest.mark.system
@eagerly()
def test_the_averaged_weights_are_the_mean_of_the_last_epochs(tmp_path):
    class Watch(keras.callbacks.Callback):
        seen = []  # noqa: RUF012  (one for the test)

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append([v.numpy() for v in self.model.trainable_variables])

    settings = {**TINY, "epochs": 4, "average": 2, "learning_rate": 1e-2, "schedule": "constant"}
    app = Translator(**settings).fit(FEW, callbacks=[Watch()])
    best = int(np.argmin([row["val_loss"] for row in app.history]))
    mean = [(a + b) / 2 for a, b in zip(*Watch.seen[-2:], strict=True)]
    expected = mean if app.metrics["averaged"] else Watch.seen[best]
    for value, variable in zip(expected, app.model.network.trainable_variables, strict=True):
        np.testing.assert_allclose(variable, value, atol=1e-6)


@pytest.mark.system
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\n" for a, b in zip(*PAIRS, strict=True)))
    settings = {**TINY, "epochs": 4, "dropout": 0.3, "data": path, "average": 2}
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]

    def start(run_dir):
        command = [sys.executable, "-m", "rnnapps.cli", "train", "translation", *flags]
        return subprocess.Popen(
            [*command, "--run-dir", run_dir], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )

    broken, unbroken = start(tmp_path / "broken"), start(tmp_path / "unbroken")
    state = tmp_path / ".broken.partial" / "network"
    while not any(int(p.name[6:]) >= 2 for p in state.glob("epoch-*")):
        assert broken.poll() is None, broken.communicate()[1]
        time.sleep(0.005)
    os.kill(broken.pid, signal.SIGKILL)
    broken.wait()
    for process in (unbroken, start(tmp_path / "broken")):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    one, other = (rnnapps.load(tmp_path / name) for name in ("unbroken", "broken"))
    pd.testing.assert_frame_equal(pd.DataFrame(one.history), pd.DataFrame(other.history))
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.system
@eagerly()
def test_pairs_from_lists_frames_and_datasets():
    sources, targets = FEW
    dataset = tf.data.Dataset.from_tensor_slices(FEW).batch(7)
    given = (FEW, pd.DataFrame({"de": sources, "en": targets}), dataset)
    apps = [Translator(**TINY).fit(pairs) for pairs in given]
    answers = [app.predict(["one two"])[0]["score"] for app in apps]
    np.testing.assert_allclose(answers, answers[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "settings", "sentence"),
    [
        ("a\tb\n" * 9, {}, "enough distinct texts to set some aside. Received: 1"),
        ("".join(f"w{i} " * 50 + "\tx\n" for i in range(99)), {}, "all left out; see max_length="),
        ("".join(f"\ttext {i}\n" for i in range(99)), {}, "enough distinct texts"),
        (None, {"data": "multi31k"}, "data= to be sample, multi30k.* Did you mean multi30k?"),
        (
            None,
            {"data": "multi30k", "source": "fr"},
            "source= to be a language of multi30k: de, en",
        ),
        (
            None,
            {"data": "ted_hrlr_translate", "source": "xx"},
            "languages of ted_hrlr_translate: az",
        ),
        (None, {"data": "nowhere.tsv"}, "No such file or folder: nowhere.tsv"),
        (None, {"data": "sample", "max_tokens": 20}, "Cannot make subwords with max_tokens= 20"),
    ],
)
def test_data_that_cannot_be_learned_from(content, settings, sentence, tmp_path):
    if content:
        settings = {"data": str(tmp_path / "pairs.tsv")}
        (tmp_path / "pairs.tsv").write_text(content)
    with pytest.raises(DataError, match=sentence):
        Translator(**{**TINY, **settings}).fit(run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--beam-width 0", "Expected --beam-width to be greater than or equal to 1."),
        ("--source de --target de", "Expected --source and --target to differ. Received: 'de'"),
        ("--decoder every_step --input-feeding", "Expected --decoder=attention with"),
        ("--data multi30k --source english", "a language of multi30k: de, en. Received: 'english'"),
        ("--data one.de --target-data two.en", "a line of two.en for each line of one.de. Received:"
         " 2 lines for 3."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    arguments, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.de").write_text("a\nb\nc\n")
    (tmp_path / "two.en").write_text("a\nb\n")
    assert cli.main(["train", "translation", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert not [p for p in tmp_path.rglob("*") if p.name not in ("runs", "one.de", "two.en")]


@pytest.mark.system
@eagerly()
def test_a_vocabulary_larger_than_the_data_allows_is_as_large_as_it_allows(capsys):
    for tokenizer in ("unigram", "bpe", "word"):
        app = Translator(**{**TINY, "max_tokens": 30_000}, tokenizer=tokenizer).fit(FEW)
        assert 20 < special_tokens(app.model.target_tokenizer).size < 400
        assert ("subwords instead of" in capsys.readouterr().err) == (tokenizer != "word")


def test_a_run_is_only_measured_beside_the_data_it_learned_from(counter):
    with pytest.raises(DataError, match="learned from what fit"):
        rnnapps.load(counter.run_dir).evaluate()


def test_without_arguments_it_translates_what_was_set_aside(counter):
    app = rnnapps.load(counter.run_dir)
    app.given = (None, numbers(3, seed=5))
    assert app.predict() == app.predict(numbers(3, seed=5)[0])


@eagerly()
def test_a_network_without_attention_says_how_to_get_one():
    app = Translator(**TINY, decoder="first_state").fit(FEW)
    with pytest.raises(RunError, match="decoder=attention"):
        app.align(["one"])


@pytest.mark.system
def test_multi30k_either_way(test_data, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "multi30k").symlink_to(test_data / "multi30k")
    settings = {"data": "multi30k", "data_dir": tmp_path}
    one = load_splits(TranslationConfig(**settings))
    other = load_splits(TranslationConfig(**settings, source="en", target="de"))
    assert [len(part) for part in (one.train, one.validation, one.test)] == [29_000, 1_014, 1_000]
    assert one.train.sources == other.train.targets
    assert one.test.targets[0] == "A man in an orange hat starring at something."
