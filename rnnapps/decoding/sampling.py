"""Sampling from any step function, inside the graph, block after block."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

BLOCK = 32  # tokens drawn between two looks at the random numbers; a text does not depend on it
_TIE = 1e-5  # between logits that rounding alone may tell apart: counts of n-grams are often equal

State = Any  # a nest of tensors, batch first
Step = Callable[[tf.Tensor, State], tuple[tf.Tensor, State]]


class SamplingOptions(NamedTuple):
    """How each row of a batch is sampled; every field is a tensor `(batch,)`.

    Args:
        length: int32, tokens to draw, at most.
        temperature: float32, over 0: what logits are divided by.
        top_k: int32, draw among this many of the likeliest tokens; 1 is greedy, 0 is all.
        top_p: float32, in (0, 1]: draw among the likeliest tokens that together have this
            probability, of those that `top_k` leaves.
        repetition_penalty: float32, over 0: over 1, tokens drawn before become less likely.
        seed: int32.

    Reference:
        - [Fan et al., 2018](https://arxiv.org/abs/1805.04833) for top-k
        - [Holtzman et al., 2020](https://arxiv.org/abs/1904.09751) for top-p
        - [Keskar et al., 2019](https://arxiv.org/abs/1909.05858) for the repetition penalty
    """

    length: tf.Tensor
    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    repetition_penalty: tf.Tensor
    seed: tf.Tensor


class SamplingState(NamedTuple):
    """What has been drawn so far, from which sampling goes on.

    Args:
        tokens: int32 `(batch,)`, the latest token of each row, which `step` has not read yet.
        state: The state before it.
        position: int32 `()`, how many tokens were drawn.
        seen: bool `(batch, vocabulary)`, which ones.
        recent_tokens: int32 `(batch, n)`, the latest `n` tokens drawn, as many as the longest stop
            has.
        done: bool `(batch,)`, which rows draw no more.
    """

    tokens: tf.Tensor
    state: State
    position: tf.Tensor
    seen: tf.Tensor
    recent_tokens: tf.Tensor
    done: tf.Tensor


Sampler = Callable[[tf.Tensor, tf.Tensor, SamplingOptions], tf.Tensor]
"""From logits `(batch, vocabulary)`, uniform noise `(batch,)` and options to tokens `(batch,)`."""


def prefill(step: Step, prompt: tf.Tensor, lengths: tf.Tensor, state: State) -> tuple:
    """Reads prompts of different lengths, all but their last tokens.

    Args:
        step: The step function.
        prompt: int32 `(batch, time)`, filled up on the right with anything.
        lengths: int32 `(batch,)`, how many tokens each prompt has, at least 1.
        state: The state before the first token.

    Returns:
        The prompts' last tokens `(batch,)`, and the state before them. What a prompt is filled up
        with leaves no trace in its state.
    """

    def body(t, state):
        _, after = step(prompt[:, t], state)
        return t + 1, _where(t < lengths - 1, after, state)

    last = tf.reduce_max(tf.concat([[1], lengths], 0)) - 1  # 0 where there are no prompts
    _, state = tf.while_loop(lambda t, _: t < last, body, (0, state))
    return tf.gather(prompt, lengths - 1, batch_dims=1), state


def start_sampling(
    tokens: tf.Tensor, state: State, vocabulary_size: int, stop: tf.Tensor
) -> SamplingState:
    """The state of sampling with nothing drawn yet.

    Args:
        tokens: int32 `(batch,)`, what the first step reads.
        state: The state before it.
        vocabulary_size: Number of tokens.
        stop: See `sample_block`.

    Returns:
        The state of sampling.
    """
    batch = tf.shape(tokens)[0]
    return SamplingState(
        tokens,
        state,
        tf.constant(0),
        tf.zeros([batch, vocabulary_size], tf.bool),
        tf.fill([batch, tf.shape(stop)[1]], -1),
        tf.zeros([batch], tf.bool),
    )


def no_stop() -> tf.Tensor:
    """No sequence of tokens after which to stop.

    Returns:
        int32 `(0, 0)`, as `sample` takes it.
    """
    return tf.zeros([0, 0], tf.int32)


def suppressing(step: Step, tokens: Sequence[int], vocabulary_size: int) -> Step:
    """A step function by which tokens are never drawn: it gives them a logit of minus infinity.

    Args:
        step: The step function, of float32 logits.
        tokens: The tokens.
        vocabulary_size: Number of tokens.

    Returns:
        The step function.
    """

    def suppressed(latest, state):
        logits, state = step(latest, state)
        never = tf.reduce_min(tf.one_hot(tokens, vocabulary_size, float("-inf"), 0.0), axis=0)
        return logits + never, state

    return suppressed


def sample_block(
    step: Step,
    sampled: SamplingState,
    options: SamplingOptions,
    stop: tf.Tensor,
    sampler: Sampler | None = None,
) -> tuple:
    """Draws the next `BLOCK` tokens of each row.

    What a row draws depends on its own prompt, options and seed, and on no other row.

    Args:
        step: From the latest tokens `(batch,)` and the state before them to the next token's
            logits `(batch, vocabulary)` and the state after. What it gives a logit of minus
            infinity is never drawn; 0 must be such a token.
        sampled: What was drawn before; its position is a multiple of `BLOCK`.
        options: How to draw.
        stop: int32 `(stops, n)`: sequences of tokens after which a row is done, filled up on the
            left with -1.
        sampler: What draws a token out of logits; `None` for `sample_token`.

    Returns:
        int32 tokens `(batch, BLOCK)`, 0 where a row is done, and the state after.
    """
    position = tf.fill(tf.shape(options.seed), sampled.position)
    noise = uniform(options.seed, position)  # (batch, BLOCK)
    filtered = tf.reduce_any(options.top_k > 0) | tf.reduce_any(options.top_p < 1)
    penalized = tf.reduce_any(options.repetition_penalty != 1)
    stops = tf.shape(stop)[0] > 0
    vocabulary = tf.shape(sampled.seen)[1]
    draw = sampler or functools.partial(sample_token, filtered=filtered)

    def body(t, sampled, drawn):
        logits, state = step(sampled.tokens, sampled.state)
        logits = tf.cond(
            penalized,
            lambda: penalize(logits, sampled.seen, options.repetition_penalty),
            lambda: logits,
        )
        tokens = draw(logits, noise[:, t], options)
        done = sampled.done | (sampled.position >= options.length)
        tokens = tf.where(done, 0, tokens)
        seen = tf.cond(
            penalized,
            lambda: sampled.seen | tf.one_hot(tokens, vocabulary, True, False),
            lambda: sampled.seen,
        )
        recent = tf.concat([sampled.recent_tokens, tokens[:, None]], 1)[:, 1:]
        done |= tf.cond(stops, lambda: matches_stop(recent, stop), lambda: done)
        # A row that is done reads its own 0s: nothing of it is looked at any more.
        after = SamplingState(tokens, state, sampled.position + 1, seen, recent, done)
        return t + 1, after, tf.where(tf.range(BLOCK) == t, tokens[:, None], drawn)

    def going_on(t, sampled, drawn):
        return (t < BLOCK) & ~tf.reduce_all(sampled.done | (sampled.position >= options.length))

    drawn = tf.zeros_like(noise, tf.int32)  # (batch, BLOCK)
    t, sampled, drawn = tf.while_loop(going_on, body, (0, sampled, drawn))
    done = sampled.done | (sampled.position >= options.length)
    return drawn, sampled._replace(position=sampled.position + BLOCK - t, done=done)


def sample(
    step: Step,
    sampled: SamplingState,
    options: SamplingOptions,
    stop: tf.Tensor,
    sampler: Sampler | None = None,
) -> tf.Tensor:
    """Draws until every row is done.

    Args:
        step: See `sample_block`.
        sampled: What was drawn before.
        options: How to draw.
        stop: See `sample_block`.
        sampler: See `sample_block`.

    Returns:
        int32 tokens `(batch, time)`, 0 behind a row's end; time is a multiple of `BLOCK`, and at
        least one.
    """

    def body(t, sampled, blocks):
        tokens, sampled = sample_block(step, sampled, options, stop, sampler)
        return t + 1, sampled, blocks.write(t, tokens)

    # No longer than the longest row; an empty batch has none.
    longest = tf.reduce_max(tf.concat([[1], options.length - sampled.position], 0))
    shape = [sampled.tokens.shape[0], BLOCK]
    blocks = tf.TensorArray(tf.int32, -(-longest // BLOCK), element_shape=shape)
    t, _, blocks = tf.while_loop(
        lambda t, sampled, _: (
            (t == 0) | ~tf.reduce_all(sampled.done | (sampled.position >= options.length))
        ),
        body,
        (0, sampled, blocks),
    )
    tokens = tf.transpose(blocks.gather(tf.range(t)), [1, 0, 2])  # (batch, blocks, BLOCK)
    return tf.reshape(tokens, [tf.shape(sampled.tokens)[0], t * BLOCK])


def uniform(seed: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Each row's own random numbers of the block that its position is in.

    Args:
        seed: int32 `(batch,)`.
        position: int32 `(batch,)`, how many tokens were drawn before.

    Returns:
        float32 `(batch, BLOCK)`; that of a position is at `position % BLOCK`.
    """
    return tf.map_fn(
        lambda pair: tf.random.stateless_uniform([BLOCK], pair),
        tf.stack([seed, position // BLOCK], axis=1),
        fn_output_signature=tf.TensorSpec([BLOCK], tf.float32),
    )


def sample_token(
    logits: tf.Tensor, noise: tf.Tensor, options: SamplingOptions, filtered: tf.Tensor
) -> tf.Tensor:
    """Draws a token of each row.

    Args:
        logits: float32 `(batch, vocabulary)`.
        noise: float32 `(batch,)`, uniform in [0, 1): where in the cumulated probabilities of the
            tokens, in their own order, the drawn one lies.
        options: How to draw.
        filtered: bool `()`, whether any row has `top_k` or `top_p`.

    Returns:
        int32 `(batch,)`.
    """
    # The likeliest token's logit becomes 0, so that no temperature overflows.
    logits = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    logits = tf.maximum(logits / options.temperature[:, None], logits.dtype.min)
    least = tf.cond(
        filtered,
        lambda: least_logit(logits, options.top_k, options.top_p) - _TIE / options.temperature,
        lambda: tf.fill(tf.shape(noise), logits.dtype.min),
    )
    weights = tf.where(logits >= least[:, None], tf.exp(logits), 0.0)
    cumulated = tf.cumsum(weights, axis=1)  # (batch, vocabulary)
    drawn = noise[:, None] * cumulated[:, -1:]
    return tf.reduce_sum(tf.cast(cumulated <= drawn, tf.int32), axis=1)


def least_logit(logits: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """The logit `(batch,)` of the least likely token that top-k and top-p leave."""
    ordered = tf.sort(logits, axis=1, direction="DESCENDING")  # (batch, vocabulary)
    rank = tf.range(tf.shape(logits)[1])
    kept = (top_k[:, None] <= 0) | (rank < top_k[:, None])
    weights = tf.where(kept, tf.exp(ordered), 0.0)
    before = tf.cumsum(weights, axis=1, exclusive=True)
    enough = before >= top_p[:, None] * tf.reduce_sum(weights, axis=1, keepdims=True)
    kept &= (top_p[:, None] >= 1) | ~enough
    count = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)
    return tf.gather(ordered, tf.maximum(count - 1, 0), batch_dims=1)


def penalize(logits: tf.Tensor, seen: tf.Tensor, penalty: tf.Tensor) -> tf.Tensor:
    """Makes tokens that were seen less likely: divides their logits, or multiplies negative ones.

    Args:
        logits: float32 `(batch, vocabulary)`.
        seen: bool `(batch, vocabulary)`.
        penalty: float32 `(batch,)`.

    Returns:
        Logits `(batch, vocabulary)`.
    """
    penalty = penalty[:, None]
    return tf.where(seen, tf.where(logits > 0, logits / penalty, logits * penalty), logits)


def matches_stop(recent_tokens: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
    """Whether each row's latest tokens `(batch, n)` end in one of the stops `(stops, n)`."""
    same = (recent_tokens[:, None] == stop) | (stop < 0)  # (batch, stops, n)
    return tf.reduce_any(tf.reduce_all(same, axis=2), axis=1)


def _where(rows: tf.Tensor, new: State, old: State) -> State:
    """`new` in those rows `(batch,)`, elsewhere `old`."""

    def pick(new, old):
        return tf.where(tf.reshape(rows, [-1] + [1] * (len(new.shape) - 1)), new, old)

    return tf.nest.map_structure(pick, new, old)
