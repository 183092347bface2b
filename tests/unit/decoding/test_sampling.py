"""Sampling, against what NumPy computes of a chain whose next token hangs on the last one."""

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.decoding import (
    BLOCK,
    SamplingOptions,
    no_stop,
    prefill,
    sample,
    sample_block,
    sample_token,
    start_sampling,
    uniform,
)

VOCABULARY = 7
NO_STOP = no_stop()
TABLE = np.random.default_rng(0).normal(0, 2, (VOCABULARY, VOCABULARY)).astype("float32")
TABLE[:, 0] = -np.inf  # what is never drawn


def step(tokens, state):
    """Logits hang on the token and, a little, on all before it; the state tells them apart."""
    state = state * 0.5 + tf.cast(tokens, tf.float32)[:, None] * [1.0, -2.0]
    return tf.gather(TABLE, tokens) + 0.1 * state[:, :1], state


def options(rows, length=40, temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, seed=0):
    def vector(value, kind):
        return tf.constant(np.broadcast_to(value, rows).astype(kind))

    return SamplingOptions(
        vector(length, "int32"), vector(temperature, "float32"), vector(top_k, "int32"),
        vector(top_p, "float32"), vector(repetition_penalty, "float32"), vector(seed, "int32"),
    )  # fmt: skip


def draft(first, stop=NO_STOP):
    return start_sampling(tf.constant(first), tf.zeros([len(first), 2]), VOCABULARY, stop)


def drawn(first, stop=NO_STOP, **settings):
    chosen = options(len(first), **settings)
    return tf.function(lambda: sample(step, draft(first, stop), chosen, stop))().numpy()


def test_padding_leaves_no_trace_in_a_short_prompts_state():
    prompts = [[3, 1, 4, 1, 5], [2], [6, 5, 3]]
    padded = tf.ragged.constant(prompts).to_tensor(6)
    last, state = prefill(step, padded, tf.constant([5, 1, 3]), tf.zeros([3, 2]))
    assert last.numpy().tolist() == [5, 2, 3]
    for row, prompt in enumerate(prompts):
        _, alone = prefill(
            step, tf.constant([prompt]), tf.constant([len(prompt)]), tf.zeros([1, 2])
        )
        np.testing.assert_array_equal(state[row], alone[0])
    assert state.numpy()[1].tolist() == [0, 0]


def probabilities(logits, temperature=1.0, top_k=0, top_p=1.0):
    """By the definitions: the top k, renormalized, and of those the fewest that make up p."""
    p = np.exp(logits / temperature - np.max(logits / temperature))
    p /= p.sum()
    order = np.argsort(-p)
    if top_k:
        p[order[top_k:]] = 0
        p /= p.sum()
    kept = order[: 1 + int(np.sum(np.cumsum(p[order])[:-1] < top_p))]
    return np.where(np.isin(np.arange(len(p)), kept), p, 0) / p[kept].sum()


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.3}, {"temperature": 4.0, "top_k": 3}, {"top_p": 0.7},
     {"top_k": 4, "top_p": 0.8}, {"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4},
     {"top_k": 3, "temperature": 1e6}, {"top_p": 0.5, "temperature": 1e6}],
)  # fmt: skip
def test_tokens_are_drawn_with_their_probabilities(settings):
    rows = 4000
    noise = tf.constant((np.arange(rows) + 0.5) / rows, tf.float32)
    for logits in TABLE[:3]:
        many = tf.tile(logits[None], [rows, 1])
        tokens = sample_token(many, noise, options(rows, **settings), tf.constant(True)).numpy()
        share = np.bincount(tokens, minlength=VOCABULARY) / rows
        np.testing.assert_allclose(share, probabilities(logits, **settings), atol=2 / rows)
        assert share[0] == 0


def test_one_of_k_is_greedy():
    found = drawn([1, 5], top_k=1, seed=[3, 4], length=20)
    state = np.zeros((2, 2), "float32")
    tokens = np.array([1, 5])
    for column in found.T[:20]:
        logits, state = step(tf.constant(tokens), state)
        tokens = np.argmax(logits, axis=1)
        np.testing.assert_array_equal(column, tokens)
    assert not found[:, 20:].any()


def test_a_row_hangs_on_its_own_prompt_options_and_seed_alone():
    rows = {
        "length": [40, 0, 33, 64, 5], "temperature": [1.0, 0.5, 3.0, 1.0, 1.0],
        "top_k": [0, 2, 0, 0, 3], "top_p": [1.0, 1.0, 0.8, 1.0, 1.0],
        "repetition_penalty": [1.0, 1.0, 1.0, 1.7, 1.0], "seed": [7, 7, 8, 9, 7],
    }  # fmt: skip
    first = [1, 2, 3, 4, 5]
    together = drawn(first, **rows)
    for row in range(5):
        alone = drawn(first[row : row + 1], **{k: v[row] for k, v in rows.items()})[0]
        length = rows["length"][row]
        np.testing.assert_array_equal(together[row, :length], alone[:length])
        assert together[row, :length].all() and not together[row, length:].any()


def test_blocks_make_the_same_text_as_one_go():
    first, chosen = [1, 2], options(2, length=[100, 70], seed=[1, 2])
    whole = drawn(first, length=[100, 70], seed=[1, 2])
    block = tf.function(lambda so_far: sample_block(step, so_far, chosen, NO_STOP))
    so_far, blocks = draft(first), []
    while not tf.reduce_all(so_far.done):
        tokens, so_far = block(so_far)
        blocks.append(tokens)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    assert whole.shape == (2, -(-100 // BLOCK) * BLOCK)


def test_seeds_repeat_and_differ():
    numbers = uniform(tf.range(400), tf.zeros(400, tf.int32)).numpy()
    assert numbers.mean() == pytest.approx(0.5, abs=0.01)
    assert numbers.var() == pytest.approx(1 / 12, abs=0.005)
    assert np.abs(np.corrcoef(numbers[:40]) - np.eye(40)).max() < 0.75
    np.testing.assert_array_equal(uniform(tf.constant([5]), tf.constant([31]))[0], numbers[5])
    assert (uniform(tf.constant([5]), tf.constant([32])).numpy() != numbers[5]).all()
    one, other = drawn([1, 1], seed=[1, 2])
    np.testing.assert_array_equal(one, drawn([1], seed=1)[0])
    assert (one != other).any()


def test_a_row_ends_behind_a_stop():
    free = drawn([1, 2], length=64, seed=[1, 2])
    pair = [*free[0, 9:11]]
    stop = tf.constant([[-1, 99], pair])
    found = drawn([1, 2], stop, length=64, seed=[1, 2])
    for row, text in zip(found, free, strict=True):
        ends = [t + 1 for t in range(1, 64) if [*text[t - 1 : t + 1]] == pair]
        end = ends[0] if ends else 64
        np.testing.assert_array_equal(row[:end], text[:end])
        assert not row[end:].any()
    assert np.count_nonzero(found[0]) <= 11


def test_a_sampler_of_ones_own_draws():
    """Any callable does: here one that takes the least likely token that may be drawn."""

    def least_likely(logits, noise, options):
        shown = tf.where(tf.math.is_inf(logits), np.inf, logits)
        return tf.argmin(shown, axis=1, output_type=tf.int32)

    run = tf.function(lambda: sample(step, draft([3]), options(1, 5), NO_STOP, least_likely))
    token, state, expected = tf.constant([3]), tf.zeros([1, 2]), []
    for _ in range(5):
        logits, state = step(token, state)
        token = tf.constant([1 + int(np.argmin(logits[0, 1:]))])
        expected.append(int(token[0]))
    assert run().numpy()[0, :5].tolist() == expected


def test_a_penalty_changes_the_logits_of_what_was_written():
    found = drawn([1, 2], repetition_penalty=[3.0, 1.0], top_k=1, length=20)
    for row, penalty in ((0, 3.0), (1, 1.0)):
        state, token, written = np.zeros((1, 2), "float32"), 1 + row, set()
        for received in found[row, :20]:
            logits, state = step(tf.constant([token]), state)
            logits = logits.numpy()[0]
            for old in written:
                logits[old] *= penalty if logits[old] < 0 else 1 / penalty
            token = int(logits.argmax())
            written.add(token)
            assert token == received
    assert len(set(found[0])) > len(set(found[1]))


def test_nothing_to_do():
    assert not drawn([1, 2], length=0).any()
    first = start_sampling(tf.zeros([0], tf.int32), tf.zeros([0, 2]), VOCABULARY, NO_STOP)
    empty = sample(step, first, options(0), NO_STOP)
    assert empty.shape[0] == 0


def test_rounding_does_not_choose_among_tokens_that_are_equally_likely():
    noise = tf.constant(np.linspace(0, 1, 200, endpoint=False), tf.float32)
    for chances, settings in (
        ([0.4, 0.3, 0.1, 0.1, 0.1], {"top_k": 3}),
        ([0.4, 0.3, 0.1, 0.1, 0.1], {"top_p": 0.75}),
        ([0.2, 0.2, 0.2, 0.2, 0.2], {"top_k": 1, "temperature": 0.05}),
    ):
        logits = np.log(np.float32([chances])).repeat(200, 0)
        nearly = logits * (1 + 1e-6 * np.random.default_rng(0).standard_normal(logits.shape))
        drawn = [
            sample_token(
                tf.constant(one, tf.float32), noise, options(200, **settings), tf.constant(True)
            ).numpy()
            for one in (logits, nearly)
        ]
        assert np.mean(drawn[0] != drawn[1]) < 0.02 and set(drawn[1]) == {0, 1, 2, 3, 4}
