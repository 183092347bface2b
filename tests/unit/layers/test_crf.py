"""CRF: right by all paths one by one, by the reference, and wherever a Keras model goes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnapps import reference
from rnnapps.layers import CRF, allowed_transitions
from rnnapps.training import make_strategy

WEIGHTS = ("transitions", "start", "end")
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
MASK = np.array([[0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], bool)


def random_crf(tags, rng, scale=1.0, **arguments):
    layer = CRF(dtype="float64", **arguments)
    layer.build((None, None, tags))
    layer.set_weights([scale * rng.normal(size=w.shape) for w in layer.weights])
    return layer


def reference_of(layer):
    oracle = reference.CRF(layer.start.shape[0])
    oracle.set_params(**{v.name: v.numpy() for v in layer.weights})
    return oracle


@st.composite
def problems(draw):
    """Shapes, any mask at all, any transitions at all, and a seed for the numbers."""
    batch, time, tags = (draw(st.integers(1, most)) for most in (3, 5, 3))
    row = st.lists(st.booleans(), min_size=time, max_size=time)
    mask = draw(st.none() | st.lists(row, min_size=batch, max_size=batch))
    flat = st.lists(st.booleans(), min_size=(tags + 1) ** 2, max_size=(tags + 1) ** 2)
    allowed = draw(st.none() | flat)
    allowed = None if allowed is None else np.reshape(allowed, (tags + 1, tags + 1))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))  # of which nothing may underflow
    return batch, time, tags, mask, allowed, scale, draw(st.integers(0, 2**31))


def is_allowed(path, allowed):
    outside = len(allowed) - 1
    return all(allowed[i][j] for i, j in itertools.pairwise([outside, *path, outside]))


@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_all_paths_one_by_one(problem):
    batch, time, tags, mask, allowed, scale, seed = problem
    rng = np.random.default_rng(seed)
    layer = random_crf(tags, rng, scale, allowed=allowed)
    A, b, e = (v.numpy() for v in layer.weights)
    s = scale * rng.normal(size=(batch, time, tags))
    mask = np.ones((batch, time), bool) if mask is None else np.array(mask)
    scores = layer(s, mask=mask)
    truth = rng.integers(0, tags, (batch, time))
    log_p = layer.log_likelihood(scores, truth).numpy()
    best, log_best = (one.numpy() for one in layer.decode(scores))
    marginals = layer.marginals(scores).numpy()
    assert not best[~mask].any() and not marginals[~mask].any()
    for n, seen in enumerate(mask):
        if not seen.any():
            assert log_p[n] == log_best[n] == 0
            continue
        x = s[n, seen]
        score = {
            path: b[path[0]] + x[range(len(path)), path].sum() + e[path[-1]]
            + sum(A[i, j] for i, j in itertools.pairwise(path))
            for path in itertools.product(range(tags), repeat=len(x))
            if allowed is None or is_allowed(path, allowed)
        }  # fmt: skip
        if not score:  # nothing is allowed
            assert np.isfinite([log_p[n], log_best[n]]).all() and np.isfinite(marginals).all()
            continue
        top = max(score.values())
        log_z = top + np.log(sum(np.exp(one - top) for one in score.values()))
        path, found = tuple(truth[n, seen]), tuple(best[n, seen])
        if path in score:
            np.testing.assert_allclose(log_p[n], score[path] - log_z, atol=1e-9)
        else:
            assert log_p[n] < -5000
        np.testing.assert_allclose([score[found], log_best[n] + log_z], top, atol=1e-9)
        expected = np.zeros_like(x)
        for path, one in score.items():
            expected[range(len(path)), path] += np.exp(one - log_z)
        np.testing.assert_allclose(marginals[n, seen], expected, atol=1e-9)


@given(problem=problems())
@settings(max_examples=15, deadline=None)
def test_equals_the_reference(problem):
    batch, time, tags, mask, _, _, seed = problem
    rng = np.random.default_rng(seed)
    layer = random_crf(tags, rng)
    s, truth = rng.normal(size=(batch, time, tags)), rng.integers(0, tags, (batch, time))
    d_log_p, x = rng.normal(size=batch), tf.constant(s)
    with tf.GradientTape() as tape:
        tape.watch(x)
        log_p = layer.log_likelihood(layer(x, mask=mask), truth)
        loss = tf.reduce_sum(log_p * d_log_p)
    gradients = tape.gradient(loss, [x, *(v.value for v in layer.weights)])
    oracle = reference_of(layer)
    expected, cache = oracle.forward(s, truth, mask)
    np.testing.assert_allclose(log_p, expected, atol=1e-10)
    expected = oracle.backward(d_log_p, cache)
    expected = [expected.inputs, *(expected.params[name] for name in WEIGHTS)]
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), theirs, atol=1e-9)
    best, _ = layer.decode(s, mask)
    np.testing.assert_array_equal(best, oracle.decode(s, mask)[0])
    np.testing.assert_allclose(layer.marginals(s, mask), cache.marginals, atol=1e-10)


def test_gradients_with_impossible_transitions_are_central_differences():
    rng = np.random.default_rng(0)
    layer = random_crf(5, rng, allowed=allowed_transitions(NAMES))
    s, truth = rng.normal(size=(4, 4, 5)), np.array([[1, 2, 2, 0]] * 4)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]], bool)

    def loss():
        return float(tf.reduce_sum(layer.log_likelihood(layer(s, mask=mask), truth)))

    with tf.GradientTape() as tape:
        found = tf.reduce_sum(layer.log_likelihood(layer(s, mask=mask), truth))
    gradients = tape.gradient(found, [v.value for v in layer.weights])
    for variable, gradient in zip(layer.weights, gradients, strict=True):
        value = variable.numpy()
        for index in np.ndindex(value.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = value.copy()
                moved[index] += step
                variable.assign(moved)
                ends.append(loss())
            variable.assign(value)
            slope = (ends[0] - ends[1]) / 2e-5
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-8)


def test_500_steps_in_float32_are_those_of_float64():
    rng = np.random.default_rng(1)
    wide = random_crf(20, rng)
    narrow = CRF()
    narrow.build((None, None, 20))
    narrow.set_weights(wide.get_weights())
    s, truth = 3 * rng.normal(size=(4, 500, 20)), rng.integers(0, 20, (4, 500))

    @tf.function(autograph=False)
    def everything():
        return [(one.log_likelihood(one(s), truth), one.marginals(s)) for one in (wide, narrow)]

    (exact, probabilities), (found, close) = everything()
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    np.testing.assert_allclose(close, probabilities, atol=1e-5)


def model_of(crf, **embedding):
    words = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(50, 8, mask_zero=True, **embedding)(words)
    x = keras.layers.Dense(5)(x)
    return keras.Model(words, crf(x)), keras.Model(words, crf(x, return_tags=True))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    words = np.where(MASK, rng.integers(1, 50, MASK.shape), 0).astype("int32")
    return words, np.where(MASK, rng.integers(0, 3, MASK.shape), 0)


def test_a_model_learns_and_goes_on_after_it_was_saved(data, tmp_path):
    words, tags = data
    keras.utils.set_random_seed(0)
    crf = CRF(allowed=allowed_transitions(NAMES), transition_regularizer="l2", name="crf")
    model, tagger = model_of(crf)
    model.compile(keras.optimizers.Adam(0.1), loss=crf.loss)
    tags = np.where(tags == 2, 0, tags)  # what is allowed
    first = model.train_on_batch(words, tags)
    for _ in range(60):
        last = model.train_on_batch(words, tags)
    assert last < 0.2 * first
    np.testing.assert_array_equal(tagger.predict(words, verbose=0), tags)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("crf").get_config() == crf.get_config()
    np.testing.assert_array_equal(again.predict(words, verbose=0), model.predict(words, verbose=0))
    with pytest.raises(ValueError, match="compile again with loss="):
        again.train_on_batch(words, tags)
    again.compile(again.optimizer, loss=again.get_layer("crf").loss)
    np.testing.assert_allclose(
        again.train_on_batch(words, tags), model.train_on_batch(words, tags), rtol=1e-5
    )
    np.testing.assert_allclose(
        again.get_layer("crf").transitions, crf.transitions, rtol=1e-5, atol=1e-6
    )


def test_what_predict_returns_has_the_mask_in_it(data):
    words, _ = data
    crf = CRF()
    model, tagger = model_of(crf)
    scores = model.predict(words, verbose=0)
    tags, log_p = crf.decode(scores)
    np.testing.assert_array_equal(tags, tagger.predict(words, verbose=0))
    raw = np.random.default_rng(0).normal(size=(4, 4, 5))
    np.testing.assert_array_equal(crf.decode(raw, MASK)[0], crf.decode(crf(raw, mask=MASK))[0])
    np.testing.assert_allclose(np.sum(crf.marginals(scores), -1), MASK, atol=1e-6)
    assert log_p[2] == 0


def test_a_negative_tag_masks_its_step(data):
    crf = CRF()
    raw = np.random.default_rng(0).normal(size=(4, 4, 5))
    _, tags = data
    expected = crf.log_likelihood(crf(raw, mask=MASK), tags)
    np.testing.assert_allclose(crf.log_likelihood(crf(raw), np.where(MASK, tags, -1)), expected)


def test_the_best_path_is_found_however_large_its_score():
    rng = np.random.default_rng(0)
    crf = CRF()
    crf.build((None, None, 5))
    crf.set_weights([rng.normal(size=w.shape) for w in crf.weights])
    s = rng.integers(-24, 24, (1, 300, 5)) / 8  # which float32 holds with 4096 more, too
    np.testing.assert_array_equal(crf.decode(s + 4096)[0], crf.decode(s)[0])


def test_scores_that_are_no_numbers_are_not_taken_for_masked_steps():
    crf, x = CRF(), np.full((2, 3, 5), np.nan, "float32")
    crf.build(x.shape)
    loss = crf.loss(np.zeros((2, 3)), crf(x, mask=[[True] * 3, [True, False, False]]))
    assert np.isnan(loss)  # by which training ends, where 0 would be the best loss of all


def test_under_bfloat16_sums_are_of_float32():
    crf = CRF(dtype="mixed_bfloat16")
    raw = tf.cast(np.random.default_rng(0).normal(size=(2, 300, 5)), tf.bfloat16)
    scores = crf(raw)
    assert scores.dtype == tf.float32 and crf.transitions.dtype == "float32"
    plain = CRF()
    plain.build((None, None, 5))
    plain.set_weights(crf.get_weights())
    tags = np.zeros((2, 300))
    expected = plain.log_likelihood(tf.cast(raw, tf.float32), tags)
    np.testing.assert_array_equal(crf.log_likelihood(scores, tags), expected)
    assert CRF.from_config(crf.get_config()).compute_dtype == "float32"


@pytest.mark.parametrize(
    ("shape", "xla"), [((None, None, 5), False), ((4, 4, 5), True)], ids=["graph", "xla"]
)
def test_a_graph_does_what_eager_code_does(shape, xla, data):
    rng = np.random.default_rng(3)
    crf = random_crf(5, rng, allowed=allowed_transitions(NAMES))
    raw, (_, tags) = tf.constant(rng.normal(size=(4, 4, 5))), data

    def everything(raw, mask):
        with tf.GradientTape() as tape:
            tape.watch(raw)
            log_p = crf.log_likelihood(crf(raw, mask=mask), tags)
        gradient = tape.gradient(log_p, raw)
        return log_p, gradient, *crf.decode(raw, mask), crf.marginals(raw, mask)

    signature = [tf.TensorSpec(shape, tf.float64), tf.TensorSpec(shape[:2], tf.bool)]
    compiled = tf.function(everything, input_signature=signature, jit_compile=xla, autograph=False)
    pairs = zip(compiled(raw, MASK), everything(raw, tf.constant(MASK)), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_an_export_decodes_without_python(data, tmp_path):
    words, _ = data
    _, tagger = model_of(CRF(allowed=allowed_transitions(NAMES)))
    tagger.export(str(tmp_path / "1"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1"))
    found = served.serve(tf.constant(words))
    np.testing.assert_array_equal(found, tagger.predict(words, verbose=0))
    longer = np.pad(words, [[0, 0], [3, 5]])
    expected = np.pad(found, [[0, 0], [3, 5]])
    np.testing.assert_array_equal(served.serve(tf.constant(longer)), expected)


@pytest.mark.system
def test_replicas_learn_what_one_does(data):
    words, tags = data
    learned = []
    for name in ("cpu", "mirrored"):
        keras.utils.set_random_seed(4)
        with make_strategy(name).scope():
            crf = CRF()
            model, _ = model_of(crf)
            model.compile(keras.optimizers.SGD(0.1), loss=crf.loss)
        dataset = tf.data.Dataset.from_tensors((words, tags)).unbatch().batch(4)
        model.fit(dataset, epochs=2, verbose=0)
        learned.append(model.get_weights())
    for one, both in zip(*learned, strict=True):
        np.testing.assert_allclose(one, both, atol=1e-6)


def test_what_may_follow_what_by_names():
    def pairs(tags):
        names = [*tags, "outside"]
        allowed = allowed_transitions(tags)
        return {f"{names[i]} {names[j]}" for i, j in np.argwhere(allowed)}

    bio = pairs(["O", "B-X", "I-X", "I-Y"])
    assert {"O B-X", "B-X I-X", "I-X I-X", "I-X B-X", "B-X outside"} <= bio
    assert not bio & {"O I-X", "outside I-X", "B-X I-Y", "I-X I-Y", "O I-Y"}
    bioes = pairs(["O", "B-X", "I-X", "E-X", "S-X", "E-Y"])
    assert {"B-X I-X", "B-X E-X", "I-X E-X", "E-X S-X", "S-X outside", "O S-X"} <= bioes
    assert not bioes & {"B-X O", "B-X outside", "I-X S-X", "E-X I-X", "S-X E-X", "B-X E-Y"}
    bmes = pairs(["B", "M", "E", "S"])
    assert bmes == {
        "B M", "B E", "M M", "M E", "E B", "E S", "S B", "S S", "E outside", "S outside",
        "outside B", "outside S", "outside outside",
    }  # fmt: skip
    assert pairs(["O", "U_X"]) == pairs(["O", "U_X"]) and "O U_X" in pairs(["O", "U_X"])
    with pytest.raises(ValueError, match=r"Expected tags of BIO.*Received: 'NOUN'"):
        allowed_transitions(["NOUN"])


def test_another_number_of_tags_is_refused():
    with pytest.raises(ValueError, match=r"Expected allowed of shape \(4, 4\).*Received: \(6, 6\)"):
        CRF(allowed=allowed_transitions(NAMES)).build((None, None, 3))
