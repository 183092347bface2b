"""Beam search over any step function, inside the graph."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

NEVER = -1e9  # the log-probability of what cannot be; unlike -inf, it can be added and multiplied

State = Any  # a nest of tensors, batch first
Step = Callable[[tf.Tensor, State], tuple[tf.Tensor, State]]


class Hypotheses(NamedTuple):
    """What a search found, best first; see `beam_search`.

    Args:
        tokens: int32 `(batch, n_best, time)`, without begin and end, filled up with 0.
        lengths: int32 `(batch, n_best)`, of the tokens.
        log_probabilities: float32 `(batch, n_best)`.
        scores: float32 `(batch, n_best)`, log-probabilities with their penalties.
        alignments: float32 `(batch, n_best, time, memory)`.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    log_probabilities: tf.Tensor
    scores: tf.Tensor
    alignments: tf.Tensor


class _Live(NamedTuple):
    """The beams that go on."""

    tokens: tf.Tensor  # (batch, beam, time), the first of them the begin
    log_probabilities: tf.Tensor  # (batch, beam)
    alignments: tf.Tensor  # (batch, beam, time - 1, memory)


def beam_search(
    step: Step,
    state: State,
    begin: int,
    end: int,
    max_length: tf.Tensor,
    beam_width: int = 5,
    n_best: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    min_length: int = 0,
    alignment: Callable[[State], tf.Tensor] | None = None,
    memory_mask: tf.Tensor | None = None,
    suppress: Sequence[int] = (),
) -> Hypotheses:
    """Finds the likeliest sequences, long ones not put at a disadvantage.

        score(y) = log P(y) / ((5 + |y|) / 6)^length_penalty
                   + coverage_penalty * sum over m of log(min(1, sum over t of w[t, m]))

    where `|y|` counts the end and `w[t, m]` is how much output `t` attends to memory `m`. At each
    step the `beam_width` best continuations are looked at: those that end go to a set of their own,
    which keeps the best `beam_width` and never changes otherwise; the best that do not end live on.
    A row is done when none of its live beams can still come among the `n_best`, whatever follows,
    and what it found does not depend on the other rows of the batch.

    Args:
        step: From the latest tokens `(batch * beam_width,)` and the state before them to the next
            token's logits `(batch * beam_width, vocabulary)`, of whatever scale, and the state
            after. What is the same for all beams of a row belongs into the function, not the state.
        state: The state before the first step: any nest of tensors `(batch, ...)`.
        begin: The token that is given first.
        end: The token that ends a sequence.
        max_length: int32 `(batch,)`, after how many tokens, the end included, each row has to end.
        beam_width: Live beams of a row; 1 with no length penalty is greedy search.
        n_best: Sequences of a row to return, at most `beam_width`.
        length_penalty: 0 for none; the higher, the longer the sequences.
        coverage_penalty: 0 for none; the higher, the more of the memory is attended to.
        min_length: Tokens before the end, at least.
        alignment: From a state to the attention weights of the step before it,
            `(batch * beam_width, memory)`; `None` where nothing is attended to.
        memory_mask: With `alignment`, bool `(batch, memory)`, false where the memory holds nothing.
        suppress: Tokens that are never written; their probability goes to no other.

    Returns:
        `tokens` int32 `(batch, n_best, time)`, without begin and end, filled up with 0; their
        `lengths` `(batch, n_best)`; `log_probabilities` and `scores` `(batch, n_best)`; and
        `alignments` `(batch, n_best, time, memory)`. A row that has fewer than `n_best` sequences
        at all is filled up with empty ones of score `NEVER`.

    Raises:
        ValueError: If a number cannot be.

    Reference:
        [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 7.
    """
    if not 1 <= n_best <= beam_width:
        raise ValueError(f"Expected 1 <= n_best <= beam_width. Received: {n_best=}, {beam_width=}")
    if min(length_penalty, coverage_penalty, min_length) < 0:
        raise ValueError(
            "Expected penalties and a minimum length of at least 0. "
            f"Received: {length_penalty=}, {coverage_penalty=}, {min_length=}"
        )
    max_length = tf.maximum(tf.cast(max_length, tf.int32), 1)
    batch = tf.shape(max_length)[0]
    memory = tf.shape(memory_mask)[1] if alignment else 0

    def split(x):
        return tf.reshape(x, [batch, beam_width, *_shape(x)[1:]])

    def merge(x):
        return tf.reshape(x, [batch * beam_width, *_shape(x)[2:]])

    def penalty(length):
        return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** length_penalty

    def score(log_probabilities, length, weights):
        """Of sequences of one length, with attention weights `(batch, beams, length, memory)`."""
        scores = log_probabilities / penalty(length)
        if alignment and coverage_penalty:
            covered = tf.math.log(tf.clip_by_value(tf.reduce_sum(weights, 2), 1e-6, 1.0))
            covered = tf.where(memory_mask[:, tf.newaxis], covered, 0.0)
            scores += coverage_penalty * tf.reduce_sum(covered, -1)
        return tf.where(log_probabilities > NEVER / 2, scores, NEVER)

    def body(t, live, ended, state, done):
        logits, state = step(merge(live.tokens[:, :, -1]), tf.nest.map_structure(merge, state))
        seen = alignment(state) if alignment else tf.zeros([batch * beam_width, 0])
        state = tf.nest.map_structure(split, state)
        weights = split(tf.cast(seen, tf.float32))[:, :, tf.newaxis]
        weights = tf.concat([live.alignments, weights], 2)  # (batch, beam, t + 1, memory)

        # (batch, beam, vocabulary): of each continuation of each live beam
        vocabulary = logits.shape[-1]
        step_log_p = split(tf.nn.log_softmax(tf.cast(logits, tf.float32)))
        must_end = (t + 1 >= max_length)[:, tf.newaxis]  # (batch, 1)
        is_end = tf.range(vocabulary) == end
        allowed = tf.where(is_end, must_end | (t >= min_length), ~must_end)  # (batch, vocabulary)
        for token in suppress:
            allowed &= tf.range(vocabulary) != token
        log_p = tf.where(
            allowed[:, tf.newaxis], live.log_probabilities[..., tf.newaxis] + step_log_p, NEVER
        )

        # Each beam ends in one way: among twice as many as are kept, enough do not end.
        log_p, index = tf.math.top_k(
            tf.reshape(log_p, (batch, beam_width * vocabulary)), 2 * beam_width
        )
        beam, token = index // vocabulary, index % vocabulary  # (batch, 2 * beam)

        # The best that end, among those that had ended before.
        ends = (token == end)[:, :beam_width] & ~done[:, tf.newaxis]
        ending_log_p = tf.where(ends, log_p[:, :beam_width], NEVER)
        ending_weights = _pick(weights, beam[:, :beam_width])
        ending = Hypotheses(
            tf.pad(_pick(live.tokens, beam[:, :beam_width]), [[0, 0], [0, 0], [0, 1]]),
            tf.where(ends, t, 0),
            ending_log_p,
            score(ending_log_p, t + 1, ending_weights),
            ending_weights,
        )
        ended = ended._replace(
            tokens=tf.pad(ended.tokens, [[0, 0], [0, 0], [0, 1]]),
            alignments=tf.pad(ended.alignments, [[0, 0], [0, 0], [0, 1], [0, 0]]),
        )
        both = tf.nest.map_structure(lambda *two: tf.concat(two, 1), ended, ending)
        ended = _pick(both, tf.math.top_k(both.scores, beam_width)[1])

        # The best that do not end live on.
        log_p, best = tf.math.top_k(tf.where(token == end, NEVER, log_p), beam_width)
        beam, token = _pick((beam, token), best)  # (batch, beam)
        tokens = tf.concat([_pick(live.tokens, beam), token[..., tf.newaxis]], 2)
        live = _Live(tokens, log_p, _pick(weights, beam))

        # A log-probability only falls; its penalty is the least at the greatest length.
        bound = log_p[:, 0] / penalty(max_length)
        done |= (log_p[:, 0] <= NEVER / 2) | (ended.scores[:, n_best - 1] >= bound)
        return t + 1, live, ended, _pick(state, beam), done

    nothing = tf.fill([batch, beam_width], NEVER)
    first = tf.where(
        tf.range(beam_width) > 0, NEVER, tf.zeros([batch, 1])
    )  # one beam to begin with
    weights = tf.zeros([batch, beam_width, 0, memory])
    live = _Live(tf.fill([batch, beam_width, 1], begin), first, weights)
    lengths = tf.zeros([batch, beam_width], tf.int32)
    ended = Hypotheses(tf.zeros_like(live.tokens), lengths, nothing, nothing, weights)
    state = tf.nest.map_structure(lambda x: split(tf.repeat(x, beam_width, 0)), state)
    done = tf.fill([batch], False)

    def growing(x):
        return tf.TensorShape([None, beam_width, *[None] * (len(x.shape) - 2)])

    ended = tf.while_loop(
        lambda t, live, ended, state, done: ~tf.reduce_all(done),
        body,
        (tf.constant(0), live, ended, state, done),
        shape_invariants=(
            tf.TensorShape([]),
            tf.nest.map_structure(growing, live),
            tf.nest.map_structure(growing, ended),
            tf.nest.map_structure(lambda x: tf.TensorShape([None, *x.shape[1:]]), state),
            tf.TensorShape([None]),
        ),
    )[2]
    best = Hypotheses(*(x[:, :n_best] for x in ended))
    longest = tf.reduce_max(tf.concat([[0], tf.reshape(best.lengths, [-1])], 0))
    return best._replace(
        tokens=best.tokens[:, :, 1 : longest + 1], alignments=best.alignments[:, :, :longest]
    )


def _shape(x: tf.Tensor) -> list:
    """The dimensions, static where they are known."""
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape)]


def _pick(nest, indices: tf.Tensor):
    """Of each row those beams at `indices (batch, beams)`."""
    return tf.nest.map_structure(lambda x: tf.gather(x, indices, batch_dims=1), nest)
