import itertools

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.decoding import NEVER, beam_search

BEGIN, END = 0, 1


class ToyModel:
    """A recurrent network of random weights that attends, in NumPy and in TensorFlow."""

    def __init__(self, vocabulary, batch, seed, units=4, memory=3):
        rng = np.random.default_rng(seed)
        self.vocabulary, self.batch = vocabulary, batch
        self.embedding = rng.normal(0, 1, (vocabulary, units)).astype("float32")
        self.kernel = rng.normal(0, 1, (units, units)).astype("float32")
        self.output = rng.normal(0, 1.5, (units, vocabulary)).astype("float32")
        self.attention = rng.normal(0, 2, (units, memory)).astype("float32")
        self.first = rng.normal(0, 1, (batch, units)).astype("float32")
        self.mask = np.arange(memory) < rng.integers(1, memory + 1, (batch, 1))

    def step(self, tokens, state):
        h = tf.tanh(tf.gather(self.embedding, tokens) + state["h"] @ self.kernel)
        scores = tf.where(state["mask"] > 0, h @ self.attention, -1e9)
        state = {"h": h, "mask": state["mask"], "weights": tf.nn.softmax(scores)}
        return h @ self.output, state

    def state(self):
        mask = tf.cast(self.mask, tf.float32)
        return {"h": tf.constant(self.first), "mask": mask, "weights": tf.zeros_like(mask)}

    def search(self, max_length, attends=True, rows=slice(None), **options):
        state = tf.nest.map_structure(lambda x: x[rows], self.state())
        if attends:
            options |= {"alignment": lambda s: s["weights"], "memory_mask": self.mask[rows]}
        length = tf.constant(max_length)[rows]
        compiled = tf.function(lambda: beam_search(self.step, state, BEGIN, END, length, **options))
        return compiled()

    def step_numpy(self, row, token, h):
        """One step of one sequence: log-probabilities, weights, state."""
        h = np.tanh(self.embedding[token] + h @ self.kernel)
        logits = (h @ self.output).astype("float64")
        scores = np.where(self.mask[row], h @ self.attention, -1e9)
        weights = np.exp(scores - scores.max())
        return logits - np.logaddexp.reduce(logits), weights / weights.sum(), h

    def score_numpy(self, row, log_p, weights, length_penalty=0.0, coverage_penalty=0.0):
        covered = np.log(np.clip(np.sum(weights, 0), 1e-6, 1))[self.mask[row]].sum()
        return log_p / ((5 + len(weights)) / 6) ** length_penalty + coverage_penalty * covered


def exhaustive(model, row, max_length, min_length, suppress=(), **penalties):
    """Every sequence that there is, best first: `(score, log-probability, tokens)`."""
    found = []
    others = [token for token in range(model.vocabulary) if token not in (END, *suppress)]
    for length in range(min(min_length, max_length - 1), max_length):
        for tokens in itertools.product(others, repeat=length):
            h, log_p, seen = model.first[row], 0.0, []
            for before, token in zip((BEGIN, *tokens), (*tokens, END), strict=True):
                step_log_p, weights, h = model.step_numpy(row, before, h)
                log_p += step_log_p[token]
                seen.append(weights)
            found.append((model.score_numpy(row, log_p, seen, **penalties), log_p, tokens))
    return sorted(found, reverse=True)


def plain_search(
    model, row, max_length, beam_width, n_best, min_length=0, suppress=(), **penalties
):
    """The search as a loop over lists: `(score, log-probability, tokens, weights)`, best first."""
    live, ended = [(0.0, (), model.first[row], [])], []
    for t in range(max_length):
        candidates = []
        for log_p, tokens, h, seen in live:
            latest = tokens[-1] if tokens else BEGIN
            step_log_p, weights, after = model.step_numpy(row, latest, h)
            for token in set(range(model.vocabulary)) - set(suppress):
                must_end, may_end = t + 1 == max_length, t >= min_length
                if not (may_end or must_end) if token == END else must_end:
                    continue
                follows = (log_p + step_log_p[token], (*tokens, token), after, [*seen, weights])
                candidates.append(follows)
        candidates.sort(key=lambda c: -c[0])
        for log_p, tokens, _, seen in candidates[:beam_width]:
            if tokens[-1] == END:
                score = model.score_numpy(row, log_p, seen, **penalties)
                ended.append((score, log_p, tokens[:-1], seen[:-1]))
        ended = sorted(ended, key=lambda e: -e[0])[:beam_width]
        live = [c for c in candidates if c[1][-1] != END][:beam_width]
        if not live:
            break
        bound = live[0][0] / ((5 + max_length) / 6) ** penalties.get("length_penalty", 0.0)
        if len(ended) >= n_best and ended[n_best - 1][0] >= bound:
            break
    return ended[:n_best]


def sequences(found, row):
    lengths = found.lengths.numpy()[row]
    return [tuple(t[:n]) for t, n in zip(found.tokens.numpy()[row], lengths, strict=True)]


PENALTIES = [
    {},
    {"length_penalty": 0.8},
    {"length_penalty": 1.5, "coverage_penalty": 0.4},
    {"coverage_penalty": 0.2, "min_length": 2},
    {"length_penalty": 0.8, "suppress": [0]},
]


@pytest.mark.parametrize("options", PENALTIES)
def test_a_beam_as_wide_as_the_space_finds_what_exhaustive_search_finds(options):
    model, max_length = ToyModel(vocabulary=4, batch=3, seed=0), [4, 3, 2]
    width = 3**3 + 1
    found = model.search(max_length, beam_width=4 * width, n_best=width, **options)
    penalties = {"min_length": 0, **options}
    for row in range(3):
        expected = exhaustive(model, row, max_length[row], **penalties)[:width]
        assert sequences(found, row)[: len(expected)] == [tokens for _, _, tokens in expected]
        missing = [NEVER] * (width - len(expected))
        np.testing.assert_allclose(found.scores[row], [e[0] for e in expected] + missing, 1e-4)
        np.testing.assert_allclose(
            found.log_probabilities[row], [e[1] for e in expected] + missing, 1e-4
        )


@pytest.mark.parametrize("options", PENALTIES)
@pytest.mark.parametrize(("beam_width", "n_best"), [(1, 1), (2, 1), (3, 3), (5, 2)])
def test_the_graph_finds_what_a_plain_loop_finds(beam_width, n_best, options):
    model, max_length = ToyModel(vocabulary=7, batch=16, seed=beam_width), [9, 1, 12, 5] * 4
    found = model.search(max_length, beam_width=beam_width, n_best=n_best, **options)
    for row in range(16):
        expected = plain_search(model, row, max_length[row], beam_width, n_best, **options)
        n = len(expected)
        assert sequences(found, row)[:n] == [e[2] for e in expected]
        np.testing.assert_allclose(found.scores[row, :n], [e[0] for e in expected], 1e-4)
        for i, (_, _, tokens, weights) in enumerate(expected):
            received = found.alignments[row, i, : len(tokens)]
            np.testing.assert_allclose(received, np.reshape(weights, (-1, 3)), atol=1e-5)
        assert (found.scores[row, n:].numpy() == NEVER).all()


LETTERS = ["", "", "a", "aa", "b"]  # two ways to write what begins with two a's


def reads(tokens):
    return "".join(LETTERS[token] for token in tokens)


def text_of(found):
    real = tf.sequence_mask(found.lengths, tf.shape(found.tokens)[2])
    return tf.strings.reduce_join(tf.where(real, tf.gather(LETTERS, found.tokens), ""), -1)


@pytest.mark.parametrize("n_best", [1, 4, 12])
def test_texts_that_read_alike_are_listed_once_and_the_list_is_filled_up(n_best):
    model, lengths = ToyModel(vocabulary=5, batch=3, seed=2), [4, 3, 2]
    options = {"length_penalty": 0.8, "suppress": [0]}
    found = model.search(lengths, beam_width=100, n_best=n_best, text_of=text_of, **options)
    for row in range(3):
        distinct = {}
        for score, _, tokens in exhaustive(model, row, lengths[row], 0, [0], length_penalty=0.8):
            distinct.setdefault(reads(tokens), score)
        expected = [*distinct.items()][:n_best]
        received = [reads(tokens) for tokens in sequences(found, row)]
        assert received[: len(expected)] == [text for text, _ in expected]
        scores = [score for _, score in expected] + [NEVER] * (n_best - len(expected))
        np.testing.assert_allclose(found.scores[row], scores, 1e-4)
        missing = slice(len(expected), None)  # what there is none of is empty
        assert not found.tokens[row, missing].numpy().any()
        assert not found.lengths[row, missing].numpy().any()
    if n_best == 12:  # which says that there was something to leave out
        alike = [reads(tokens) for tokens in sequences(model.search(lengths, beam_width=100,
                 n_best=n_best, **options), 0)]  # fmt: skip
        assert len(set(alike)) < len(alike)


def test_a_beam_of_one_is_greedy():
    model = ToyModel(vocabulary=6, batch=8, seed=3)
    found = model.search([10] * 8, beam_width=1, attends=False)
    for row in range(8):
        h, token, greedy = model.first[row], BEGIN, []
        for _ in range(9):
            log_p, _, h = model.step_numpy(row, token, h)
            token = int(log_p.argmax())
            if token == END:
                break
            greedy.append(token)
        assert sequences(found, row) == [tuple(greedy)]


def test_a_row_does_not_see_its_neighbours():
    model, options = ToyModel(6, 5, seed=5), {"beam_width": 4, "n_best": 4, "length_penalty": 0.6}
    lengths = [3, 20, 7, 1, 12]
    together = model.search(lengths, **options)
    for row in range(5):
        alone = model.search(lengths, rows=slice(row, row + 1), **options)
        assert sequences(alone, 0) == sequences(together, row)
        np.testing.assert_allclose(alone.scores[0], together.scores[row], rtol=1e-5)


def test_no_rows_and_shapes_that_only_the_graph_knows():
    model = ToyModel(6, 3, seed=6)
    spec = {
        "h": tf.TensorSpec((None, 4)),
        "mask": tf.TensorSpec((None, None)),
        "weights": tf.TensorSpec((None, None)),
    }

    @tf.function(input_signature=[spec, tf.TensorSpec((None,), tf.int32)])
    def search(state, lengths):
        return beam_search(
            model.step, state, BEGIN, END, lengths, 3, 2,
            alignment=lambda s: s["weights"], memory_mask=state["mask"] > 0,
        )  # fmt: skip

    none = search(tf.nest.map_structure(lambda x: x[:0], model.state()), tf.zeros(0, tf.int32))
    assert none.tokens.shape == (0, 2, 0)
    found = search(model.state(), tf.constant([6, 6, 6]))
    eager = beam_search(model.step, model.state(), BEGIN, END, tf.constant([6, 6, 6]), 3, 2)
    np.testing.assert_array_equal(found.tokens, eager.tokens)


def test_the_loop_ends_as_soon_as_no_live_beam_can_win():
    """A model that ends at once with probability 0.9: the second best takes one step more."""
    steps = []

    def step(tokens, state):
        steps.append(1)
        logits = tf.math.log([[0.05, 0.9, 0.05]]) * tf.ones_like(state)
        return logits, state

    start = tf.ones((1, 1))
    tf.config.run_functions_eagerly(True)
    beam_search(step, start, BEGIN, END, tf.constant([50]), beam_width=2)
    tf.config.run_functions_eagerly(False)
    assert len(steps) == 1


@pytest.mark.parametrize(
    "options", [{"beam_width": 0}, {"n_best": 6}, {"n_best": 0}, {"length_penalty": -1.0}]
)
def test_numbers_that_cannot_be(options):
    model = ToyModel(4, 1, seed=0)
    with pytest.raises(ValueError, match="Expected"):
        beam_search(model.step, model.state(), BEGIN, END, tf.constant([3]), **options)
