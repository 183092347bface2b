"""Speed and precision of the CRF, against plain loops with TensorFlow's gradients and CRFsuite.

Prints milliseconds, median and minimum; measurements alternate, so that other load on the machine
affects all alike. CRFsuite is included if python-crfsuite is installed. With a tagger's run, its
export tags the sentences of its validation set, against CRFsuite with its features.

    python benchmarks/crf.py [--repeats 30] [--run RUN]
"""

import argparse
import importlib.util
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from common import record, show, show_machine, verdict

import rnnapps
from rnnapps.apps.tagging.baseline import features, train_crfsuite
from rnnapps.apps.tagging.data import load_splits
from rnnapps.layers import CRF

BATCH, STEPS, TAGS = 32, 50, 20
SENTENCES, WORDS, BATCHES = 64, 25, 10
RNG = np.random.default_rng(0)


def made(tags, dtype="float32"):
    crf = CRF(dtype=dtype)
    crf.build((None, None, tags))
    rng = np.random.default_rng(1)
    crf.set_weights([rng.normal(size=w.shape) for w in crf.weights])
    return crf


def plain_log_likelihood(crf, scores, tags, unrolled=False):
    """The log-likelihood without a handwritten gradient and without masks."""
    scores, tags = tf.transpose(scores, (1, 0, 2)), tf.transpose(tags)
    A, start, end = (tf.convert_to_tensor(v) for v in (crf.transitions, crf.start, crf.end))

    def body(t, alpha):
        return t + 1, tf.reduce_logsumexp(alpha[:, :, None] + A, axis=1) + scores[t]

    alpha, steps = start + scores[0], scores.shape[0]
    if unrolled:
        for t in range(1, steps):
            _, alpha = body(t, alpha)
    else:
        limit = {"maximum_iterations": steps - 1}
        _, alpha = tf.while_loop(lambda t, _: t < steps, body, (tf.constant(1), alpha), **limit)
    score = tf.reduce_sum(tf.gather(scores, tags, batch_dims=2), 0)
    score += tf.reduce_sum(tf.gather_nd(A, tf.stack([tags[:-1], tags[1:]], -1)), 0)
    score += tf.gather(start, tags[0]) + tf.gather(end, tags[-1])
    return score - tf.reduce_logsumexp(alpha + end, axis=-1)


def training_step(log_likelihood, crf):
    rng = np.random.default_rng(2)  # same numbers for all contenders
    scores = tf.constant(rng.normal(size=(BATCH, STEPS, TAGS)), tf.float32)
    tags = tf.constant(rng.integers(0, TAGS, (BATCH, STEPS)), tf.int32)
    weights = [v.value for v in crf.weights]

    @tf.function(autograph=False)
    def step(scores):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = -tf.reduce_mean(log_likelihood(scores, tags))
        return loss, tape.gradient(loss, [scores, *weights])

    return lambda: step(scores)


def viterbi(xla):
    crf = made(TAGS)
    scores = tf.constant(RNG.normal(size=(SENTENCES, WORDS, TAGS)), tf.float32)
    function = tf.function(lambda x: crf.decode(x)[0], autograph=False, jit_compile=xla)
    return lambda: function(scores)


def crfsuite_viterbi(folder):
    """Tags sentences from precomputed sums of feature scores, which are not timed."""
    import pycrfsuite

    names, words = [f"t{i}" for i in range(TAGS)], [f"w{i}" for i in range(500)]
    trainer = pycrfsuite.Trainer(verbose=False)
    for _ in range(100):
        drawn = RNG.choice(words, WORDS)
        trainer.append([[word] for word in drawn], list(RNG.choice(names, WORDS)))
    trainer.set_params({"max_iterations": 5, "feature.possible_transitions": True})
    path = str(pathlib.Path(folder, "crf.model"))
    trainer.train(path)
    tagger = pycrfsuite.Tagger()
    tagger.open(path)
    sentences = [
        pycrfsuite.ItemSequence([[word] for word in RNG.choice(words, WORDS)])
        for _ in range(SENTENCES)
    ]

    def run():
        seconds = 0.0
        for sentence in sentences:
            tagger.set(sentence)
            start = time.perf_counter()
            tagger.tag()
            seconds += time.perf_counter() - start
        return seconds

    return run


def times_of(functions, repeats):
    """Milliseconds of each function; one that returns a number has timed itself."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 3):
        for name, function in functions.items():
            start = time.perf_counter()
            found = function()
            seconds = found if isinstance(found, float) else time.perf_counter() - start
            if repeat >= 3:  # the first calls trace and warm the caches
                times[name].append(1e3 * seconds)
    return {name: {"ms": statistics.median(x), "least": min(x)} for name, x in times.items()}


def measure_training(repeats):
    crf = made(TAGS)
    functions = {
        "hand-written": training_step(crf.log_likelihood, crf),
        "tf.while_loop": training_step(lambda *x: plain_log_likelihood(crf, *x), crf),
        "unrolled": training_step(lambda *x: plain_log_likelihood(crf, *x, unrolled=True), crf),
    }
    first, gradients = {}, {}
    for name, function in functions.items():
        start = time.perf_counter()
        gradients[name] = [tf.convert_to_tensor(one) for one in function()[1]]
        first[name] = time.perf_counter() - start
        for one, other in zip(gradients["hand-written"], gradients[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # else no comparison
    rows = times_of(functions, repeats)
    rows = {name: {**row, "first call, s": first[name]} for name, row in rows.items()}
    show(f"{BATCH} x {STEPS} x {TAGS}", rows, ["ms", "least", "first call, s"])
    record("crf-training", rows)
    ratio = rows["hand-written"]["ms"] / rows["tf.while_loop"]["ms"]
    verdict("loss and gradient, hand-written : tf.while_loop", ratio, 0.7)


def measure_viterbi(repeats):
    functions = {"Viterbi": viterbi(xla=False), "Viterbi by XLA": viterbi(xla=True)}
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("pycrfsuite"):
            functions["CRFsuite"] = crfsuite_viterbi(folder)
        rows = times_of(functions, repeats)
    show(f"{SENTENCES} x {WORDS} x {TAGS}", rows, ["ms", "least"])
    record("crf-viterbi", rows)
    if theirs := rows.get("CRFsuite"):
        verdict("Viterbi : CRFsuite, time", rows["Viterbi"]["ms"] / theirs["ms"], 1)


def measure_export(run, repeats):
    """Strings to tags: the whole export, against CRFsuite with features from Python."""
    app = rnnapps.load(run)
    parts = load_splits(app.config)
    texts = [" ".join(tokens) for tokens in parts.validation.tokens[: BATCHES * SENTENCES]]
    batches = [texts[i : i + SENTENCES] for i in range(0, len(texts), SENTENCES)]
    with tempfile.TemporaryDirectory() as folder:
        version = tf.saved_model.load(str(app.export(pathlib.Path(folder, "export"))))
        answer = version.signatures["serving_default"]
        train, path = parts.train, pathlib.Path(folder, "crfsuite")
        tagger = train_crfsuite(train.tokens, train.tags, path)

        def export():
            return [answer(text=tf.constant(batch))["tags"].numpy() for batch in batches]

        def crfsuite():
            return [[tagger.tag(features(text.split())) for text in batch] for batch in batches]

        name = pathlib.Path(run).name
        contenders = {f"{name}, the whole export": export, f"{name}, CRFsuite": crfsuite}
        rows = times_of(contenders, repeats)
    for row in rows.values():
        row["sentences a second"] = 1e3 * len(texts) / row["ms"]
    show(f"{len(texts)} sentences", rows, ["ms", "least", "sentences a second"])
    record("crf-export", rows)
    ours, theirs = (row["ms"] for row in rows.values())
    print(f"export : CRFsuite with its features, time: {ours / theirs:.3g}")


def measure_precision():
    scores = 3 * RNG.normal(size=(8, 500, TAGS))
    tags = RNG.integers(0, TAGS, (8, 500))
    wide, narrow = (
        tf.function(made(TAGS, dtype).log_likelihood, autograph=False)(scores, tags).numpy()
        for dtype in ("float64", "float32")
    )
    verdict("500 steps, float32 : float64", np.abs(narrow / wide - 1).max(), 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--run", help="a tagger's run, whose export alone is measured")
    options = parser.parse_args()
    show_machine()
    if options.run:
        return measure_export(options.run, options.repeats)
    measure_training(options.repeats)
    measure_viterbi(options.repeats)
    measure_precision()


if __name__ == "__main__":
    main()
