import gzip
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import rnnapps
from rnnapps import CharGenConfig, CharGenerator, cli
from rnnapps.apps.chargen import answers
from rnnapps.apps.chargen import mixture as chargen_mixture
from rnnapps.apps.chargen.answers import token_nats
from rnnapps.apps.chargen.baseline import compressed_bits
from rnnapps.apps.chargen.data import (
    encode,
    given_splits,
    load_splits,
    make_streams,
    make_tokenizer,
    passes,
    sample,
    stream_shape,
)
from rnnapps.apps.chargen.mixture import beside_ngrams
from rnnapps.apps.chargen.model import build_network
from rnnapps.apps.chargen.pipeline import TextGenerator, compiled, signatures
from rnnapps.data import Streams
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.text import ByteTokenizer, CharacterTokenizer, KneserNey, kneser_ney, whole_characters
from rnnapps.training import StreamedNetwork, compile_model, fit, make_strategy, precision

TINY = {
    "units": 12, "embedding_dim": 8, "window": 16, "learning_rate": 2e-2, "dropout": 0.0,
    "ngrams": 0,
}  # fmt: skip
BYTES = ByteTokenizer()
rng = np.random.default_rng(0)
# Which animal began a line is told again at its end: what lies between does not say it.
TEXT = "".join(
    f"{animal}: " + "".join(rng.choice([*"abcd "], 8)) + f" .{animal}\n"
    for animal in rng.choice(["cat", "dog"], 700)
)
CODE = sample()[:20_000]
VARIANTS = [
    {"cell": "simple_rnn", "embedding_dim": 0},
    {"cell": "lstm", "layers": 3, "residual": True, "normalization": "layer"},
    {"cell": "gru", "tied": True},
    {"cell": "mingru", "layers": 2, "block": "pre_norm"},
    {"cell": "slstm"},
    {"cell": "peephole_lstm"},
    {"cell": "layer_norm_lstm", "tied": True, "embedding_dim": 12, "residual": True},
    {"cell": "attention_lstm"},
    {"cell": "transformer", "heads": 2, "window": 3},
    {"cell": "transformer", "heads": 3, "window": 3, "positions": "sinusoidal", "tied": True},
    {"cell": "transformer", "window": 3, "positions": "learned", "learned_positions": 4},
]
NAMES = [f"{variant['cell']}-{i}" for i, variant in enumerate(VARIANTS)]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chargen")
    (folder / "animals.txt").write_text(TEXT)
    settings = {**TINY, "units": 32, "epochs": 12, "batch_size": 8, "layers": 1, "ngrams": 6}
    app = CharGenerator(**settings, data=str(folder / "animals.txt"))
    app.fit(run_dir=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def app(run_dir):
    return rnnapps.load(run_dir)


@pytest.fixture(scope="module")
def mixed():
    """A generator in which n-grams have their say."""
    settings = {"units": 32, "epochs": 3, "batch_size": 4, "layers": 1, "validation_share": 0.1}
    return CharGenerator(**{**TINY, **settings, "ngrams": 2}).fit(CODE)


def ask(capsys, *arguments, status=0):
    capsys.readouterr()
    assert cli.main([str(a) for a in arguments]) == status
    return capsys.readouterr()


# The network.


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_a_step_does_what_a_call_does_and_windows_what_the_whole_does(variant):
    keras.utils.set_random_seed(0)
    network = build_network(CharGenConfig(**{**TINY, **variant}), 9)
    ids = tf.constant(rng.integers(0, 9, (3, 7)))
    whole, last = network(ids)
    first, state = network(ids[:, :4])
    second, state = network(ids[:, 4:], state)
    np.testing.assert_allclose(tf.concat([first, second], 1), whole, rtol=1e-4, atol=1e-5)
    stepped, columns = network.initial_state(3), []
    for t in range(7):
        logits, stepped = network.step(ids[:, t], stepped)
        columns.append(logits)
    np.testing.assert_allclose(tf.stack(columns, 1), whole, rtol=1e-4, atol=1e-5)
    for one, other, third in zip(last, state, stepped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one, third, rtol=1e-4, atol=1e-5)
    next_token = TextGenerator(ByteTokenizer(), network).next_token
    assert (next_token(ids[:, 0], last)[0][:, :2].numpy() == -np.inf).all()


def streamed(config, ids, replicas=1):
    keras.utils.set_random_seed(1)
    with make_strategy("mirrored" if replicas > 1 else "cpu").scope():
        network = StreamedNetwork(build_network(config, 9), config.batch_size // replicas)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compile_model(network, config, 10, loss)
    network.optimizer.epsilon = 0.1  # else Adam magnifies rounding where gradients vanish
    return network, Streams(ids, config.batch_size, config.window)


def test_the_state_is_carried_from_window_to_window():
    ids = rng.integers(2, 9, 4 * 40)
    config = CharGenConfig(**{**TINY, "window": 8, "batch_size": 4})
    network, streams = streamed(config, ids)
    found = network.evaluate(streams.one_pass(), verbose=0)
    rows = ids.reshape(4, 40)
    logits, _ = network.network(np.pad(rows[:, :-1], [[0, 0], [1, 0]]))
    costs = keras.losses.sparse_categorical_crossentropy(rows, logits, from_logits=True)
    assert found == pytest.approx(float(tf.reduce_mean(costs)), abs=1e-5)
    assert network.evaluate(streams.one_pass(), verbose=0) == pytest.approx(found, abs=1e-6)


@pytest.mark.system
@pytest.mark.parametrize("other", ["replicas", "xla"])
def test_two_replicas_and_xla_take_the_steps_of_one(other):
    ids = rng.integers(2, 9, 4 * 48)
    weights = []
    for changed in (False, True):
        jit = changed and other == "xla"
        config = CharGenConfig(**{**TINY, "batch_size": 4, "clip_norm": 0.01, "jit": jit})
        network, streams = streamed(config, ids, 2 if changed and other == "replicas" else 1)
        network.fit(streams.epochs(), steps_per_epoch=5, verbose=0, shuffle=False)
        weights.append([w.numpy() for w in network.trainable_variables])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


@pytest.mark.system
def test_a_run_goes_on_with_another_number_of_replicas(tmp_path):
    ids = rng.integers(2, 9, 4 * 48)
    config = CharGenConfig(**{**TINY, "batch_size": 4})
    weights = []
    for name, replicas in (("same", 1), ("other", 2)):
        for count, epochs in ((1, 1), (replicas, 2)):
            network, streams = streamed(config, ids, count)
            history = fit(network, streams, None, config, epochs, tmp_path / name)
        assert [row["epoch"] for row in history] == [1, 2]
        weights.append([w.numpy() for w in network.trainable_variables])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_a_transformer_s_state_is_what_recomputing_its_window_gives():
    """Prompts longer than the window and shorter, in one batch; then token by token."""
    keras.utils.set_random_seed(2)
    config = CharGenConfig(**{**TINY, "window": 6}, cell="transformer", heads=2, layers=2)
    tokenizer = CharacterTokenizer(lower=False, verbatim=True)
    tokenizer.adapt([TEXT])
    network = build_network(config, tokenizer.vocabulary_size)
    for weight in network.trainable_variables:  # or all it writes is one token
        weight.assign(weight + rng.normal(size=weight.shape) / 3)
    generator = TextGenerator(tokenizer, network)
    prompts, one = ["cat: abcd abcd", "", "dog"], tf.ones(3, tf.int32)
    options = (0 * one + 20, 0.5 + 0.0 * tf.ones(3), one, tf.ones(3), one)  # greedy
    generate = tf.function(generator.generate, autograph=False)
    written = generate(tf.constant(prompts), *options)["text"].numpy()
    for prompt, text in zip(prompts, written, strict=True):
        ids = np.array([0, *encode(tokenizer, prompt), *encode(tokenizer, text.decode())])
        for t in len(ids) - np.array([20, 12, 1]):
            seen = ids[max(0, t - 13) : t]  # what two layers of six tokens see
            logits = network(seen[None])[0][0, -1].numpy()
            logits[:2] = -np.inf
            assert logits.argmax() == ids[t]


# Streams.


def test_streams_read_the_text_in_order_and_every_epoch_elsewhere():
    ids = np.arange(100, 203)
    streams = Streams(ids, 3, 8, seed=5)
    assert len(streams) == 4
    epochs = [list(streams.epochs(e).take(4).as_numpy_iterator()) for e in range(3)]
    for epoch in epochs:
        before = np.zeros((3, 1))
        for w, ((read, begins), wanted) in enumerate(epoch):
            assert read.shape == wanted.shape == (3, 8)
            assert begins.tolist() == [w == 0] * 3
            np.testing.assert_array_equal(read[:, 1:], wanted[:, :-1])
            np.testing.assert_array_equal(read[:, 0], before[:, -1])
            before = wanted
        runs = np.concatenate([wanted for _, wanted in epoch], axis=1)
        steps = np.diff(runs, axis=1)
        assert np.isin(steps, [1, -102]).all()  # the text is a ring
        assert len(np.unique(runs)) == 96
    assert len({epoch[0][1][0, 0] for epoch in epochs}) > 1
    later = list(streams.epochs(0).skip(8).take(4).as_numpy_iterator())
    for ((a, _), b), ((c, _), d) in zip(later, epochs[2], strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    passed = np.concatenate([wanted for _, wanted in streams.one_pass()], axis=1)
    np.testing.assert_array_equal(passed.reshape(-1), ids[:96])


def start(text, folder, units=8):
    flags = ["--data", text, "--units", units, "--epochs", 6, "--window", 16, "--batch-size", 4,
             "--dropout", 0.3, "--recurrent-dropout", 0.2, "--embedding-dim", 6,
             "--schedule", "plateau", "--run-dir", folder]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "rnnapps.cli", "train", "chargen", *map(str, flags)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.system
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT[:6000])
    unbroken, broken = start(text, tmp_path / "unbroken"), start(text, tmp_path / "broken")
    state = tmp_path / ".broken.partial" / "network"
    while not any(int(p.name[6:]) >= 2 for p in state.glob("epoch-*")):
        assert broken.poll() is None, broken.communicate()[1]
        time.sleep(0.005)
    os.kill(broken.pid, signal.SIGKILL)
    broken.wait()
    assert not (tmp_path / "broken").exists()
    resumed = start(text, tmp_path / "broken")
    for process in (unbroken, resumed):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    expected, received = (rnnapps.load(tmp_path / name) for name in ("unbroken", "broken"))
    pd.testing.assert_frame_equal(pd.DataFrame(expected.history), pd.DataFrame(received.history))
    for a, b in zip(expected.model.get_weights(), received.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_windows_and_streams_follow_the_length_of_the_text():
    usual, held = CharGenConfig(), np.ones(2000, np.int32)
    assert stream_shape(10**6, usual) == (32, 128)
    for tokens in (12_000, 30_000, 90_000, 200_000, 400_000):
        streams, _ = make_streams(np.ones(tokens, np.int32), held, usual, 1)
        assert 90 <= len(streams) <= 250
    assert stream_shape(30_000, CharGenConfig(batch_size=16, window=64)) == (16, 64)
    alone = CharGenConfig(ngrams=0)
    assert given_splits(alone, train="a" * 69_999).notes[0].startswith("69,999 characters are few")
    assert not given_splits(alone, train="a" * 70_000).notes
    assert not given_splits(usual, train="a" * 69_999).notes  # n-grams need no more
    assert [passes(tokens, usual) for tokens in (30_000, 499_999, 500_000)] == [20, 20, 10]
    assert passes(30_000, CharGenConfig(epochs=3)) == 3
    assert stream_shape(30_000, usual, replicas=8) == (32, 32)  # what 8 devices can share


# What it learns, and what it says of it.


@pytest.mark.system
def test_the_network_remembers_what_no_short_ngram_does(app, run_dir):
    found = app.evaluate()
    names = list(found["baselines"])
    assert names == ["Kneser-Ney 6-gram", "lzma", "bz2"]
    best = min(b["nats_per_character"] for b in found["baselines"].values())
    assert found["nats_per_character"] < best
    assert found["bits_per_character"] == pytest.approx(found["nats_per_character"] / np.log(2))
    assert found["perplexity"] == pytest.approx(np.exp(found["nats_per_character"]))
    assert found["unknown"] == 0
    assert (run_dir / "figures" / "bits_per_character.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((run_dir / "metrics.json").read_text())["test"] == found
    # A context of one token is worth less than one of twenty.
    test = load_splits(app.config).test
    short = app.evaluate(test, context=1)["nats_per_character_windowed"]
    assert short > app.evaluate(test, context=20)["nats_per_character_windowed"]


def test_costs_are_those_of_the_network_mixed_with_the_ngrams(mixed, monkeypatch):
    mixture = mixed.model.get_layer("mixture")
    weight = float(mixture.weight)
    assert 0.02 < weight < 0.98

    def costs(ids):
        logits, _ = mixed.network(np.pad(ids[None, :-1], [[0, 0], [1, 0]]))
        network = tf.nn.softmax(logits[0]).numpy()[np.arange(len(ids)), ids]
        return -np.log(weight * network + (1 - weight) * np.exp(-mixture.ngrams.nats(ids)))

    ids = encode(mixed.tokenizer, CODE[-1200:])
    np.testing.assert_allclose(token_nats(mixed.graph, ids), costs(ids), atol=1e-4)
    monkeypatch.setattr(answers, "_PART", 500)  # the state goes on from part to part
    np.testing.assert_allclose(token_nats(mixed.graph, ids), costs(ids), atol=1e-4)
    monkeypatch.setattr(answers, "_LONG", 1000)  # from several places on, each with a warm-up
    monkeypatch.setattr(answers, "_STREAMS", 7)
    monkeypatch.setattr(answers, "_WARM_UP", 200)
    np.testing.assert_allclose(token_nats(mixed.graph, ids), costs(ids), atol=1e-3)
    windows = token_nats(mixed.graph, ids, context=10)
    np.testing.assert_allclose(windows[10:20], costs(ids[11:22])[1:], atol=1e-4)


def test_the_weight_of_the_ngrams_suits_the_validation_part(mixed, app):
    mixture = mixed.model.get_layer("mixture")
    ids = encode(mixed.tokenizer, given_splits(mixed.config, train=CODE).validation)
    network = token_nats(compiled(TextGenerator(mixed.tokenizer, mixed.network)), ids)
    weights = np.linspace(0.01, 0.99, 99)[:, None]
    ngrams = np.exp(-mixture.ngrams.nats(ids))
    costs = -np.log(weights * np.exp(-network) + (1 - weights) * ngrams).mean(1)
    assert float(mixture.weight) == pytest.approx(weights[costs.argmin(), 0], abs=0.01)
    found = mixed.metrics["validation"]
    assert found["nats_per_character"] == pytest.approx(costs.min(), abs=1e-3)
    alone = found["baselines"]["network alone"]["nats_per_character"]
    assert alone == pytest.approx(network.mean(), abs=1e-4)
    assert found["nats_per_character"] < alone
    # Of random letters n-grams say nothing, and are left out; nothing held out leaves 0.7.
    assert [layer.name for layer in app.model.layers] == ["text", "tokenizer", "network"]
    unweighed = beside_ngrams(mixed.network, 2, ids, ids[:0], len)
    assert float(unweighed.weight) == pytest.approx(0.7)


def test_the_first_of_many_held_out_tokens_choose_the_weight(mixed, monkeypatch):
    asked, ids = [], np.tile(np.arange(1, 6, dtype=np.int32), 40)
    monkeypatch.setattr(chargen_mixture, "_HELD", 50)
    beside_ngrams(mixed.network, 2, ids, ids, lambda held: asked.append(held) or np.ones(len(held)))
    assert [len(held) for held in asked] == [50]


def test_a_mixture_is_saved_and_writes_as_a_network_does(mixed, tmp_path):
    mixed.save(tmp_path / "run")
    again = rnnapps.load(tmp_path / "run")
    prompts = ["import ", "", "def f(self, ab"]
    options = {"length": 70, "seed": [3, 4, 5], "temperature": 0.7}
    together = again.predict(prompts, **options)
    assert together == mixed.predict(prompts, **options)
    for prompt, seed, text in zip(prompts, [3, 4, 5], together, strict=True):
        assert again.predict([prompt], length=70, seed=seed, temperature=0.7) == [text]
    assert len(again.predict(["import "], length=8, beam_width=3)[0]) == 8
    other = CharGenerator(epochs=1, window=16, init_from=str(tmp_path / "run"), ngrams=0)
    assert "started from" in other.fit(CODE[:3000]).info.notes[-1]


@pytest.mark.parametrize("order", [1, 2, 5])
def test_ngrams_step_as_they_are_called_and_stay_what_they_are(order, tmp_path):
    text = encode(BYTES, TEXT[:3000])
    ngrams = KneserNey(order, BYTES.vocabulary_size)
    ngrams.adapt(text)
    ids = tf.constant(np.concatenate([text[None, :30], rng.integers(0, 258, (1, 30))]), tf.int32)
    whole, last = ngrams(ids)
    np.testing.assert_allclose(tf.reduce_sum(whole, 2), 1, rtol=1e-5)
    assert not whole[..., 0].numpy().any()
    _, nodes = ngrams(ids[:, :11])
    second, nodes = ngrams(ids[:, 11:], nodes)
    np.testing.assert_array_equal(second, whole[:, 11:])
    np.testing.assert_array_equal(nodes, last)
    nodes, step = ngrams.initial_state(2), tf.function(ngrams.step, autograph=False)
    for t in range(30):
        probabilities, nodes = step(ids[:, t], nodes)
        np.testing.assert_allclose(probabilities, whole[:, t], rtol=1e-6)
    np.testing.assert_array_equal(nodes, last)
    again = KneserNey.from_config(ngrams.get_config())
    again.set_weights(ngrams.get_weights())
    np.testing.assert_array_equal(again(ids)[0], whole)
    # What a client may send for what was read before answers with something, too.
    odd = tf.fill([2, order - 1], 2**31 - 1)
    np.testing.assert_allclose(tf.reduce_sum(ngrams.step(ids[:, 0], odd)[0], 1), 1, rtol=1e-5)


def test_the_number_of_ngrams_is_bounded(monkeypatch):
    ids = encode(BYTES, TEXT[:3000])
    ngrams = KneserNey(6, BYTES.vocabulary_size)
    ngrams.adapt(ids)
    monkeypatch.setattr(kneser_ney, "_MOST", sum(ngrams.sizes[:4]))
    few = KneserNey(6, BYTES.vocabulary_size)
    few.adapt(ids)
    four = KneserNey(4, BYTES.vocabulary_size)
    four.adapt(ids)
    assert few.sizes == four.sizes == ngrams.sizes[:4]
    np.testing.assert_array_equal(few.nats(ids), four.nats(ids))


@pytest.mark.system
def test_bfloat16_learns_is_kept_and_answers(tmp_path):
    settings = {**TINY, "epochs": 1, "batch_size": 4, "precision": "mixed_bfloat16"}
    for cell in ("lstm", "attention_lstm"):
        app = CharGenerator(**settings, cell=cell).fit(TEXT, run_dir=tmp_path / cell)
        assert np.isfinite(app.history[0]["val_loss"])
        again = rnnapps.load(tmp_path / cell)
        ids = tf.constant([[2, 3, 4]])
        assert again.network(ids)[0].dtype == tf.float32
        assert again.network.dense.compute_dtype == "float32"
        assert again.network.recurrent.compute_dtype == "bfloat16"
        for before, after in zip(app.network.weights, again.network.weights, strict=True):
            np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(again.network(ids)[0], app.network(ids)[0])
        # Where the processor itself computes in bfloat16, two graphs of one network may round
        # otherwise: oneDNN fuses what stands together, in an order that is each graph's own.
        (_, costs), (_, kept) = app.score("cat: abc .cat\n")[0], again.score("cat: abc .cat\n")[0]
        assert kept == pytest.approx(costs, rel=2**-8)
        assert len(again.predict(["cat"], length=20, seed=1)[0]) == 20


@pytest.mark.system
@pytest.mark.parametrize(
    ("cell", "order"),
    [*itertools.product(["lstm", "attention_lstm"], [0, 3]), ("gru", 0), ("transformer", 3)],
)
def test_what_is_streamed_in_bfloat16_is_of_types_that_json_holds(cell, order):
    tokenizer = CharacterTokenizer(lower=False, verbatim=True)
    tokenizer.adapt([TEXT])
    with precision("mixed_bfloat16"):
        config = CharGenConfig(**TINY, cell=cell, heads=2)
        network = build_network(config, tokenizer.vocabulary_size)
    ids = encode(tokenizer, TEXT)
    mixed = beside_ngrams(network, order, ids, ids[:0], len) if order else network
    generator = TextGenerator(tokenizer, mixed)
    assert network.recurrent.compute_dtype == "bfloat16"
    for name, one in signatures(generator).items():
        answer = tf.function(one.function, autograph=False)(*one.example)
        kinds = {tensor.dtype.name for tensor in answer.values()}
        assert kinds <= {"float32", "int32", "string"}, name
    prompt, seed, half = tf.constant(["cat", ""]), tf.constant([3, 4]), tf.constant([0.5, 0.5])
    step = tf.function(generator.step, autograph=False)
    state, text = generator.start(prompt), tf.constant(["", ""])
    for _ in range(12):
        state = step(state.pop("token"), half, seed, *state.values())
        text += state.pop("text")
    zeros = tf.zeros_like(seed)
    whole = generator.generate(prompt, zeros + 12, half, zeros, tf.ones_like(half), seed)
    assert text.numpy().tolist() == whole["text"].numpy().tolist()


def test_an_exported_generator_refuses_what_takes_too_long():
    tokenizer = ByteTokenizer()
    generator = TextGenerator(
        tokenizer, build_network(CharGenConfig(**TINY), tokenizer.vocabulary_size)
    )
    one, ratio = tf.constant([1]), tf.constant([1.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"100,000\. Received: 2147483647\."):
        generator.generate(tf.constant(["a"]), one * (2**31 - 1), ratio, one, ratio, one)
    long = tf.constant(["a" * 1_048_577])
    for ask in (generator.serve, generator.score, generator.start):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"1,000,000 bytes.* 1048577"):
            ask(long)


def test_scores_make_an_odd_line_stand_out(app):
    lines = TEXT.splitlines(keepends=True)[:9]
    lines[4] = "dcat::ogab.\n"
    scored = app.score("".join(lines))
    assert [line for line, _ in scored] == lines
    assert int(np.argmax([bits for _, bits in scored])) == 4
    total = sum(bits * len(line) for line, bits in scored) * np.log(2)
    assert total == pytest.approx(
        token_nats(app.graph, encode(app.tokenizer, "".join(lines))).sum(), rel=1e-4
    )
    assert app.score("") == []


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_ngram_probabilities_sum_to_one(order):
    ids = rng.integers(1, 6, 300) ** 2 % 7 + 1
    model = KneserNey(order, 9)
    model.adapt(ids)
    assert model.order == order
    for context in ([], [1], [5, 3], list(ids[-6:]), list(ids[:5]), [7, 7, 7, 7, 7, 7, 8]):
        each = [np.exp(-model.nats(np.array([*context, token]))[-1]) for token in range(1, 9)]
        assert min(each) > 0
        assert sum(each) == pytest.approx(1, abs=1e-6)


def test_bigrams_agree_with_their_definition():
    ids = rng.choice([1, 2, 3, 4], 400, p=[0.5, 0.3, 0.15, 0.05])
    ids = np.where(rng.random(400) < 0.5, np.roll(ids, 1), ids)
    model = KneserNey(2, 6)
    model.adapt(ids)
    pairs = list(itertools.pairwise(ids.tolist()))

    def share(counts, backoff):
        n = [sum(c == k for c in counts.values()) or 1 for k in (1, 2, 3, 4)]
        y = n[0] / (n[0] + 2 * n[1])
        d = [0, *(min(max(k - (k + 1) * y * n[k] / n[k - 1], 0.1), k) for k in (1, 2, 3))]
        cut = {w: d[min(c, 3)] for w, c in counts.items()}
        return d, cut, backoff

    before = {w: max(1, len({a for a, b in pairs if b == w})) for w in set(ids.tolist())}
    _, cut, _ = share(before, None)
    rest = sum(cut.values()) / sum(before.values())
    unigram = {w: (before.get(w, 0) - cut.get(w, 0)) / sum(before.values()) + rest / 5
               for w in range(1, 6)}  # fmt: skip
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    _, cut, _ = share(counts, None)
    for a, b in itertools.product(range(1, 5), range(1, 6)):
        total = sum(c for (x, _), c in counts.items() if x == a)
        rest = sum(v for (x, _), v in cut.items() if x == a) / total
        expected = (counts.get((a, b), 0) - cut.get((a, b), 0)) / total + rest * unigram[b]
        assert np.exp(-model.nats(np.array([a, b]))[1]) == pytest.approx(expected)


def test_compressors_are_charged_for_the_test_part_alone():
    noise = rng.bytes(4000)
    bits = compressed_bits(noise, noise[:2000])
    assert bits["lzma"] < 2000 < 0.9 * 16000 < compressed_bits(noise, rng.bytes(2000))["lzma"]
    assert bits["bz2"] > 0


# What it writes.


def test_prompts_of_different_lengths_do_not_touch_each_other(app):
    prompts = ["cat: ab", "", "dog: aaaa bbbb .d", "c"]
    seeds = [3, 4, 5, 6]
    together = app.predict(prompts, length=50, seed=seeds)
    for prompt, seed, text in zip(prompts, seeds, together, strict=True):
        assert app.predict([prompt], length=50, seed=seed) == [text]
        assert len(text) == 50
    assert app.predict(prompts, length=50, seed=3) == together
    assert app.predict(["cat: "] * 2, length=50)[0] != app.predict(["cat: "] * 2, length=50)[1]
    assert app.predict([]) == []
    assert app.predict(["cat"], length=0) == [""]
    # Across several blocks, and across calls, the state goes on.
    assert app.predict(["cat: "], length=100, top_k=1)[0].startswith(
        app.predict(["cat: "], length=40, top_k=1)[0]
    )
    whole = app.predict(["cat: "], length=90, seed=1)[0]
    assert app.predict(["cat: "], length=90, seed=1, stop=["\n"])[0] == whole.split("\n")[0] + "\n"


def test_without_arguments_it_writes_on_from_what_was_set_aside(app):
    first = load_splits(app.config).test.splitlines()[0]
    assert app.predict(length=5) == app.predict([first], length=5)


def test_a_stream_of_a_million_begins_at_once(app):
    stream = app.stream(["cat"], length=10**6)
    pieces = [next(stream)[0] for _ in range(40)]
    assert "".join(pieces) == app.predict(["cat"], length=len("".join(pieces)))[0]


def test_beam_search_finds_the_likeliest_text(app):
    prompt, length = "dog: ab", 3
    found = app.predict([prompt, "cat"], length=length, beam_width=100)
    before = encode(app.tokenizer, prompt)
    texts = np.array([*itertools.product(range(2, app.tokenizer.vocabulary_size), repeat=length)])
    read = np.concatenate([np.tile(before, (len(texts), 1)), texts], axis=1)
    costs = app.graph["nats"](tf.constant(read, tf.int32)).numpy()[:, -length:].sum(1)
    best = app.tokenizer.detokenize(texts[np.argmin(costs)][None].astype("int32")).numpy()[0]
    assert found[0] == best.decode()
    assert len(found[1]) == length


def test_unknown_characters_are_read_with_a_warning_and_never_written(app):
    with pytest.warns(UserWarning, match="never seen in training, and read as unknown: 'é', '好'"):
        texts = app.predict(["cat é好é", "cat"], length=200, temperature=5.0)
    assert set("".join(texts)) <= set(TEXT)
    with warnings.catch_warnings(action="error"):
        app.predict(["cat"], length=1)


def test_bytes_of_a_character_come_out_together():
    content = "aé猫😀".encode() + b"\xff\xc3(\xe7\x8c\xf0\x9f\x98b" + "好".encode()
    pending, text = tf.zeros([1, 3], tf.int32), ""
    for byte in content:
        piece, pending = whole_characters(pending, tf.constant([byte + 2]))
        text += piece.numpy()[0].decode()
    assert text == content.decode("utf-8", "replace")


@pytest.mark.system
@pytest.mark.parametrize(("texts", "threads"), [(7, 1), (8, 0)])  # 0: TensorFlow's own choice
def test_few_texts_are_written_with_one_thread(run_dir, texts, threads):
    arguments = ["predict", str(run_dir), *["cat"] * texts, "--length", "2"]
    ask = "import tensorflow as tf; print(tf.config.threading.get_intra_op_parallelism_threads())"
    script = f"from rnnapps import cli; assert cli.main({arguments}) == 0; {ask}"
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)
    assert done.stdout.split()[-1] == b"%d" % threads, done.stderr


# Texts of all kinds.


@pytest.mark.system
def test_chinese_with_rare_characters_left_out(tmp_path):
    common = "".join(map(chr, range(0x4E00, 0x4E40)))
    text = "".join(rng.choice([*common], 3000)) + "龘" + "".join(rng.choice([*common], 3000))
    app = CharGenerator(**TINY, epochs=1, min_count=2).fit(text)
    assert app.tokenizer.vocabulary_size == 2 + len(common)
    assert set(app.predict(["一"], length=60, temperature=3.0)[0]) <= set(common)


@pytest.mark.system
def test_words_and_bytes_keep_everything(tmp_path):
    text = "Not  bad,\tnot bad <br /> at\r\nall! I'd see it; L'été 😀\n\n" * 40
    for name in ("word", "byte", "character"):
        config = CharGenConfig(**TINY, tokenizer=name)
        tokenizer = make_tokenizer(config, text)
        ids = encode(tokenizer, text)
        assert (
            b"".join(np.array(tokenizer.vocabulary, object)[ids].tolist()).decode() == text
            if (name == "byte")
            else "".join(np.array(tokenizer.vocabulary)[ids]) == text
        )
    app = CharGenerator(**{**TINY, "epochs": 1}, tokenizer="word").fit(text)
    written = app.predict(["Not  bad"], length=50)[0]
    assert set(written) <= set(text)
    found = app.evaluate(text[:500])
    share = len(encode(app.tokenizer, text[:500])) / 500
    assert found["nats_per_character"] == pytest.approx(np.log(found["perplexity"]) * share)

    (tmp_path / "any.bin").write_bytes(bytes(range(256)) * 40)
    app = CharGenerator(**TINY, epochs=1, tokenizer="byte", data=str(tmp_path / "any.bin")).fit()
    assert app.evaluate()["unknown"] == 0


def test_the_sample_is_the_standard_library():
    text = sample()
    assert len(text) == 2_000_000
    assert text.startswith(pathlib.Path(os.__file__).with_name("__future__.py").read_text())


def test_files_folders_and_parts(tmp_path):
    for name, content in (("b.py", "b = 1"), ("a/c.py", "c = 2\n"), ("d.txt", "no")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    config = {"window": 1, "glob": "*.py", "data": str(tmp_path)}
    with pytest.raises(DataError, match=r"at least 21 characters.* Received: .* 12"):
        load_splits(CharGenConfig(**config))
    (tmp_path / "b.py").write_text("b = 1" * 40)
    splits = load_splits(CharGenConfig(**config))
    assert splits.train + splits.validation + splits.test == "c = 2\n" + "b = 1" * 40 + "\n"
    assert (len(splits.validation), len(splits.test)) == (9, 10)
    (tmp_path / "text.gz").write_bytes(gzip.compress(TEXT.encode()))
    packed = load_splits(CharGenConfig(data=str(tmp_path / "text.gz")))
    assert packed.train + packed.validation + packed.test == TEXT


def test_tiny_shakespeare_is_tested_on_its_last_tenth(test_data, tmp_path):
    import tensorflow_datasets as tfds

    text = next((test_data / "tiny_shakespeare").glob("*.txt")).read_text()
    cuts = [0, int(len(text) * 0.9), int(len(text) * 0.95), len(text)]
    parts = {
        name: [(name, {"text": text[a:b]})]
        for name, a, b in zip(("train", "validation", "test"), cuts, cuts[1:], strict=False)
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_shakespeare", version="1.0.0", data_dir=tmp_path,
        features=tfds.features.FeaturesDict({"text": tfds.features.Text()}), split_datasets=parts,
    )  # fmt: skip
    splits = load_splits(CharGenConfig(data="tiny_shakespeare", data_dir=tmp_path))
    assert splits.test == text[cuts[1] :]
    assert splits.train + splits.validation == text[: cuts[1]]
    assert len(splits.validation) == int(cuts[1] * 0.05)


# Mistakes.


def test_a_run_is_only_measured_beside_the_text_it_learned_from(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT[:3000])
    CharGenerator(**TINY, epochs=1, data=str(path)).fit(run_dir=tmp_path / "run")
    path.write_text("x" + TEXT[:3000])
    with pytest.raises(RunError, match=r"did not learn from .* as it is now"):
        rnnapps.load(tmp_path / "run").evaluate()
    with pytest.raises(DataError, match=r"Expected one text .* an empty one"):
        rnnapps.load(tmp_path / "run").evaluate("")
    with pytest.raises(ConfigError, match="context= to be at least 1"):
        rnnapps.load(tmp_path / "run").evaluate(TEXT, context=-1)


@pytest.mark.parametrize(
    ("content", "flags", "sentence"),
    [
        (b"", "", "text.txt is empty."),
        (b"abc" * 40, "--window 128", "at least 141 characters: the training part must fill one"),
        (b"abc" * 9, "", "at least 34 characters: the training part must fill one --window"),
        (b"ab\0c" * 90, "", "is not a text: it holds the byte 0x00 (at offset 2)"),
        (b"abc " * 90 + b"\xff", "", "line 1: byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbf" + b"a" * 90 + b"\xff", "", "line 1: byte 0xff is not UTF-8"),
        (b"abc " * 90, "--min-count 999", "a character that stands 999 times (--min-count)"),
        (b"\x1f\x8b", "--data text.gz", "text.gz ends before all of it is unpacked"),
        (b"a", "--data nowhere.txt", "No such file or folder: nowhere.txt (--data)."),
        (b"a", "--data tiny", "--data to be sample, tiny_shakespeare, or the path"),
        (b"a", "--data . --glob *.py", "holds no file that --glob '*.py' matches"),
        (b"a b " * 200, "--tokenizer word --window 400", "at least 400 words (--window"),
        (b"a", "--tied --embedding-dim 0", "--tied"),
    ],
)
def test_texts_that_cannot_be_learned(content, flags, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("text.txt", "text.gz"):
        pathlib.Path(name).write_bytes(content)
    words = ["train", "chargen", "--data", "text.txt", "--run-dir", "run", *flags.split()]
    out, err = ask(capsys, *words, status=2)
    *said, mistake = err.splitlines()
    assert sentence in mistake
    assert all(line.startswith("rnnapps: text.txt: ") for line in said) and out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["text.gz", "text.txt"]


def test_bytes_that_are_not_utf8_can_be_replaced(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"abc\xff" * 90)
    splits = load_splits(CharGenConfig(data=str(path), errors="replace"))
    assert splits.train.startswith("abc\ufffdabc")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--temperature 0", "--temperature to be a number over 0. Received: 0.0."),
        ("--temperature -1", "--temperature to be a number over 0. Received: -1.0."),
        ("--temperature nan", "--temperature to be a number over 0. Received: nan."),
        ("--temperature inf", "Received: inf."),
        ("--length -3", "--length to be a whole number at least 0. Received: -3."),
        ("--top-p 0", "--top-p to be a number over 0 and at most 1. Received: 0.0."),
        ("--top-p 1.5", "Received: 1.5."),
        ("--top-k -1", "--top-k to be a whole number at least 0. Received: -1."),
        ("--repetition-penalty 0", "--repetition-penalty to be a number over 0."),
        ("--seed -1", "--seed to be a whole number at least 0. Received: -1."),
        ("--beam-width 0", "--beam-width to be from 1 to 100"),
        ("--beam-width 3 --length 100000", "--length from 1 to 2000"),
        ("--score nowhere.txt", "No such file or folder: nowhere.txt (--score)."),
        ("--lenght 3", "Did you mean --length?"),
    ],
)
def test_options_out_of_range_are_one_sentence(flags, sentence, run_dir, capsys):
    out, err = ask(capsys, "predict", run_dir, "cat", *flags.split(), status=2)
    assert sentence in err
    assert err.count("\n") == 1 and out == ""


def test_the_verbs_on_a_run(run_dir, capsys, tmp_path):
    out, _ = ask(capsys, "predict", run_dir, "cat: ", "--length", 30)
    assert out.startswith("cat: ") and len(out) == 5 + 30 + 1
    found = ask(capsys, "predict", run_dir, "cat: ", "dog", "--length", 30, "--json").out
    rows = [json.loads(line) for line in found.splitlines()]
    assert [row["prompt"] for row in rows] == ["cat: ", "dog"]
    assert "cat: " + rows[0]["text"] + "\n" == out
    out, err = ask(capsys, "predict", run_dir, "ж", "--length", 0)
    assert out == "ж\n"
    assert err == "rnnapps: never seen in training, and read as unknown: 'ж'\n"
    (tmp_path / "lines.txt").write_text(TEXT[:100])
    out, _ = ask(capsys, "predict", run_dir, "--score", tmp_path / "lines.txt")
    assert [line.split("\t")[1] for line in out.splitlines()] == TEXT[:100].splitlines()
    assert all(float(line.split("\t")[0]) > 0 for line in out.splitlines())
    out, _ = ask(capsys, "evaluate", run_dir, "--json", "--context", 20)
    assert json.loads(out)["nats_per_character_windowed"] > 0


@pytest.mark.system
def test_text_is_printed_as_it_is_written(run_dir):
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnapps.cli", "predict", run_dir, "cat", "--length", "1000000"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert len(process.stdout.read(500)) == 500  # long before the last of a million
    process.stdout.close()
    assert process.wait(timeout=60) == 141


def test_a_writer_of_bytes_reads_prompts_that_are_no_text():
    network = build_network(CharGenConfig(**TINY), 258)
    generator = TextGenerator(ByteTokenizer(), network)
    answer = generator.start(tf.constant([b"\xff\x00", b""]))
    assert answer["token"].numpy().tolist() == [2, 0]
