"""Beam search over any step function, inside the graph."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

NEVER = -1e9  # the log-probability of what cannot be; unlike -inf, it can be added and multiplied

State = Any  # a nest of tensors, batch first
Step = Callable[[tf.Tensor, State], tuple[tf.Tensor, State]]


class Hypotheses(NamedTuple):
    """What a search found, best first; see `beam_search`.

    Args:
        tokens: int32 `(batch, n_best, time)`, without bos and eos, filled up with 0.
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

    tokens: tf.Tensor  # (batch, beam, time), the first of them bos
    log_probabilities: tf.Tensor  # (batch, beam)
    alignments: tf.Tensor  # (batch, beam, time - 1, memory)


class _Candidates(NamedTuple):
    """The best continuations of the live beams, twice as many as these, best first."""

    beam: tf.Tensor  # (batch, 2 * beam), which one goes on
    token: tf.Tensor  # (batch, 2 * beam), with what
    log_probabilities: tf.Tensor  # (batch, 2 * beam)
    alignments: tf.Tensor  # (batch, beam, time, memory), of the live beams


def beam_search(
    step: Step,
    state: State,
    bos: int,
    eos: int,
    max_length: tf.Tensor,
    beam_width: int = 5,
    n_best: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    min_length: int = 0,
    alignment: Callable[[State], tf.Tensor] | None = None,
    memory_mask: tf.Tensor | None = None,
    suppress: Sequence[int] = (),
    text_of: Callable[[Hypotheses], tf.Tensor] | None = None,
) -> Hypotheses:
    """Finds the likeliest sequences, long ones not put at a disadvantage.

        score(y) = log P(y) / ((5 + |y|) / 6)^length_penalty
                   + coverage_penalty * sum over m of log(min(1, sum over t of w[t, m]))

    where `|y|` counts eos and `w[t, m]` is how much output `t` attends to memory `m`. At each
    step the `beam_width` best continuations are looked at: those that end go to a set of their own,
    which keeps the best `beam_width` and never changes otherwise; the best that do not end live on.
    A row is done when none of its live beams can still come among the `n_best`, whatever follows,
    and what it found does not depend on the other rows of the batch.

    Args:
        step: From the latest tokens `(batch * beam_width,)` and the state before them to the next
            token's logits `(batch * beam_width, vocabulary)`, of whatever scale, and the state
            after. What is the same for all beams of a row belongs into the function, not the state.
        state: The state before the first step: any nest of tensors `(batch, ...)`.
        bos: The token that is given first.
        eos: The token that ends a sequence.
        max_length: int32 `(batch,)`, after how many tokens, eos included, each row has to end.
        beam_width: Live beams of a row; 1 with no length penalty is greedy search.
        n_best: Sequences of a row to return, at most `beam_width`.
        length_penalty: 0 for none; the higher, the longer the sequences.
        coverage_penalty: 0 for none; the higher, the more of the memory is attended to.
        min_length: Tokens before eos, at least.
        alignment: From a state to the attention weights of the step before it,
            `(batch * beam_width, memory)`; `None` where nothing is attended to.
        memory_mask: With `alignment`, bool `(batch, memory)`, false where the memory holds nothing.
        suppress: Tokens that are never written; their probability goes to no other.
        text_of: From hypotheses, however many of a row, to what they read as, strings
            `(batch, hypotheses)`: of those that read alike only the best is kept, and what is kept
            is filled up with the next ones. `None` where different tokens are different texts.

    Returns:
        `tokens` int32 `(batch, n_best, time)`, without bos and eos, filled up with 0; their
        `lengths` `(batch, n_best)`; `log_probabilities` and `scores` `(batch, n_best)`; and
        `alignments` `(batch, n_best, time, memory)`. A row that has fewer than `n_best` sequences
        at all is filled up with empty ones of score `NEVER`.

    Raises:
        ValueError: If a number is out of range.

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
    search = _Search(
        step, eos, max_length, beam_width, length_penalty, coverage_penalty, min_length, alignment,
        memory_mask, suppress, text_of,
    )  # fmt: skip

    def body(t, live, ended, state, done):
        candidates, state = search.expand(t, live, state)
        ended = search.collect(t, live, candidates, ended, done)
        live, state = search.go_on(live, candidates, state)
        # A log-probability only falls; its penalty is the least at the greatest length.
        best = live.log_probabilities[:, 0]
        bound = best / search.penalty(max_length)
        done |= (best <= NEVER / 2) | (ended.scores[:, n_best - 1] >= bound)
        return t + 1, live, ended, state, done

    live, ended, state = search.first(bos, state)
    done = tf.fill([tf.shape(max_length)[0]], False)

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


@dataclasses.dataclass(frozen=True)
class _Search:
    """The settings of a search, and the three parts of one of its steps."""

    step: Step
    eos: int
    max_length: tf.Tensor
    beam_width: int
    length_penalty: float
    coverage_penalty: float
    min_length: int
    alignment: Callable[[State], tf.Tensor] | None
    memory_mask: tf.Tensor | None
    suppress: Sequence[int]
    text_of: Callable[[Hypotheses], tf.Tensor] | None

    def first(self, bos: int, state: State) -> tuple[_Live, Hypotheses, State]:
        """The one beam that a row begins with, no hypothesis yet, and the state of all beams."""
        batch, width = tf.shape(self.max_length)[0], self.beam_width
        memory = tf.shape(self.memory_mask)[1] if self.alignment else 0
        only = tf.where(tf.range(width) > 0, NEVER, tf.zeros([batch, 1]))
        alignments = tf.zeros([batch, width, 0, memory])
        live = _Live(tf.fill([batch, width, 1], bos), only, alignments)
        nothing, lengths = tf.fill([batch, width], NEVER), tf.zeros([batch, width], tf.int32)
        ended = Hypotheses(tf.zeros_like(live.tokens), lengths, nothing, nothing, alignments)
        state = tf.nest.map_structure(lambda x: self._split(tf.repeat(x, width, 0)), state)
        return live, ended, state

    def expand(self, t: tf.Tensor, live: _Live, state: State) -> tuple[_Candidates, State]:
        """Takes a step with every live beam, and finds their best continuations.

        Each beam ends in one way: among twice as many as are kept, enough do not end.
        """
        batch, width = tf.shape(self.max_length)[0], self.beam_width
        state = tf.nest.map_structure(self._merge, state)
        logits, state = self.step(self._merge(live.tokens[:, :, -1]), state)
        seen = self.alignment(state) if self.alignment else tf.zeros([batch * width, 0])
        state = tf.nest.map_structure(self._split, state)
        seen = self._split(tf.cast(seen, tf.float32))[:, :, tf.newaxis]
        alignments = tf.concat([live.alignments, seen], 2)  # (batch, beam, t + 1, memory)

        # (batch, beam, vocabulary): of each continuation of each live beam
        vocabulary = logits.shape[-1]
        log_p = self._split(tf.nn.log_softmax(tf.cast(logits, tf.float32)))
        log_p += live.log_probabilities[..., tf.newaxis]
        log_p = tf.where(self._allowed(t, vocabulary)[:, tf.newaxis], log_p, NEVER)
        log_p, index = tf.math.top_k(tf.reshape(log_p, (batch, width * vocabulary)), 2 * width)
        return _Candidates(index // vocabulary, index % vocabulary, log_p, alignments), state

    def _allowed(self, t: tf.Tensor, vocabulary: int) -> tf.Tensor:
        """Which tokens `(batch, vocabulary)` may be written at step `t`."""
        must_end = (t + 1 >= self.max_length)[:, tf.newaxis]  # (batch, 1)
        is_eos = tf.range(vocabulary) == self.eos
        allowed = tf.where(is_eos, must_end | (t >= self.min_length), ~must_end)
        for token in self.suppress:
            allowed &= tf.range(vocabulary) != token
        return allowed

    def collect(
        self, t: tf.Tensor, live: _Live, found: _Candidates, ended: Hypotheses, done: tf.Tensor
    ) -> Hypotheses:
        """Puts what ends at step `t` among the best of what had ended before."""
        beam, token, log_p = (x[:, : self.beam_width] for x in found[:3])
        ends = (token == self.eos) & ~done[:, tf.newaxis]  # (batch, beam)
        log_p, alignments = tf.where(ends, log_p, NEVER), _pick(found.alignments, beam)
        tokens = tf.where(ends[..., tf.newaxis], _pick(live.tokens, beam), 0)
        ending = Hypotheses(
            tf.pad(tokens, [[0, 0], [0, 0], [0, 1]]),
            tf.where(ends, t, 0),
            log_p,
            self._score(log_p, t + 1, alignments),
            alignments,
        )
        ended = ended._replace(
            tokens=tf.pad(ended.tokens, [[0, 0], [0, 0], [0, 1]]),
            alignments=tf.pad(ended.alignments, [[0, 0], [0, 0], [0, 1], [0, 0]]),
        )
        both = tf.nest.map_structure(lambda *two: tf.concat(two, 1), ended, ending)
        if self.text_of:
            both = self._distinct(both)
        return _pick(both, tf.math.top_k(both.scores, self.beam_width)[1])

    def _distinct(self, found: Hypotheses) -> Hypotheses:
        """Sorts hypotheses, and puts each that reads like a better one behind all empty ones."""
        found = _pick(found, tf.math.top_k(found.scores, 2 * self.beam_width)[1])
        texts = self.text_of(found._replace(tokens=found.tokens[:, :, 1:]))  # (batch, 2 * beam)
        same = texts[:, :, tf.newaxis] == texts[:, tf.newaxis]
        place, real = tf.range(2 * self.beam_width), found.scores > NEVER / 2
        better = (place < place[:, tf.newaxis]) & real[:, tf.newaxis]  # (batch, this, other)
        repeated = tf.reduce_any(same & better, -1) & real
        return found._replace(scores=tf.where(repeated, 2 * NEVER, found.scores))

    def go_on(self, live: _Live, found: _Candidates, state: State) -> tuple[_Live, State]:
        """Keeps the best continuations that do not end, with their states."""
        log_p = tf.where(found.token == self.eos, NEVER, found.log_probabilities)
        log_p, best = tf.math.top_k(log_p, self.beam_width)
        beam, token = _pick((found.beam, found.token), best)  # (batch, beam)
        tokens = tf.concat([_pick(live.tokens, beam), token[..., tf.newaxis]], 2)
        return _Live(tokens, log_p, _pick(found.alignments, beam)), _pick(state, beam)

    def penalty(self, length: tf.Tensor) -> tf.Tensor:
        """What the log-probability of sequences of this length is divided by."""
        return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** self.length_penalty

    def _score(self, log_p: tf.Tensor, length: tf.Tensor, alignments: tf.Tensor) -> tf.Tensor:
        """Of sequences of one length, with attention weights `(batch, beams, length, memory)`."""
        scores = log_p / self.penalty(length)
        if self.alignment and self.coverage_penalty:
            covered = tf.math.log(tf.clip_by_value(tf.reduce_sum(alignments, 2), 1e-6, 1.0))
            covered = tf.where(self.memory_mask[:, tf.newaxis], covered, 0.0)
            scores += self.coverage_penalty * tf.reduce_sum(covered, -1)
        return tf.where(log_p > NEVER / 2, scores, NEVER)

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        batch = tf.shape(self.max_length)[0]
        return tf.reshape(x, [batch, self.beam_width, *_shape(x)[1:]])

    def _merge(self, x: tf.Tensor) -> tf.Tensor:
        batch = tf.shape(self.max_length)[0]
        return tf.reshape(x, [batch * self.beam_width, *_shape(x)[2:]])


def _shape(x: tf.Tensor) -> list:
    """The dimensions, static where they are known."""
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape)]


def _pick(nest, indices: tf.Tensor):
    """Of each row those beams at `indices (batch, beams)`."""
    return tf.nest.map_structure(lambda x: tf.gather(x, indices, batch_dims=1), nest)
