"""The recursions of a linear chain: forward-backward, Viterbi, and gradients by hand.

Everything here is time-major, `(time, batch, tags)`. The score of a path is the sum of its tags'
scores, its transitions, and its start and end scores. Masks are true up to the end of a row; a row
may be empty, and values after its end are ignored.

The sum over all paths uses probabilities, not logarithms: a step is then one matrix product. They
are float64, in which ratios down to e^-600 count, and rescaled at each step to sum to 1. The
backward pass is the forward-backward algorithm: after its loop, the gradients of scores and
transitions are products over all steps at once.
"""

import tensorflow as tf

from rnnapps.layers.custom_gradient import custom_gradient
from rnnapps.layers.scan import arrays_like, loop

_LEAST = -600.0  # scores are clipped to this far below the largest
_TINY = 1e-300  # the smallest divisor
_UNROLL = 4  # steps per loop iteration, as the loop's overhead dominates


def log_partition(scores, transitions, start, end, mask):
    """The log-partition function: log-sum-exp of the scores of all paths.

    Args:
        scores: `(time, batch, tags)`; time is at least 1.
        transitions: Scores from each tag to the next one, `(tags, tags)`.
        start: Scores of the first tag, `(tags,)`.
        end: Scores of the last tag, `(tags,)`.
        mask: Booleans `(time, batch)`.

    Returns:
        `(batch,)`; 0 for empty rows.
    """

    @custom_gradient
    def run(scores, transitions, start, end):
        log_z, found = _forward(scores, transitions, start, end, mask)

        def gradient(d_log_z):
            each, pairs, last = _backward(*found, mask, tf.cast(d_log_z, tf.float64))
            sums = (tf.reduce_sum(one, axis=0) for one in (each[0], last))
            return tuple(tf.cast(one, scores.dtype) for one in (each, pairs, *sums))

        return tf.cast(log_z, scores.dtype), gradient

    return run(scores, transitions, start, end)


def marginals(scores, transitions, start, end, mask):
    """The marginal probability of each tag at each step.

    Args:
        scores: As in `log_partition`, like the other arguments.
        transitions: `(tags, tags)`.
        start: `(tags,)`.
        end: `(tags,)`.
        mask: Booleans `(time, batch)`.

    Returns:
        `(time, batch, tags)`; zeros after a row's end.
    """
    log_z, found = _forward(scores, transitions, start, end, mask)
    return tf.cast(_backward(*found, mask, tf.ones_like(log_z))[0], scores.dtype)


def best_path(scores, transitions, start, end, mask):
    """The path with the highest score (Viterbi).

    Args:
        scores: As in `log_partition`, like the other arguments.
        transitions: `(tags, tags)`.
        start: `(tags,)`.
        end: `(tags,)`.
        mask: Booleans `(time, batch)`.

    Returns:
        int32 tags `(time, batch)`, undefined after a row's end.
    """
    steps = scores.shape[0] or tf.shape(scores)[0]
    scores = tf.transpose(scores, (0, 2, 1))  # (time, tags, batch): maxima over rows at once
    each = transitions[:, :, tf.newaxis]  # (from, to, 1)

    def forward(t, delta, deltas):
        into = tf.reduce_max(delta[:, tf.newaxis] + each, axis=0)  # (to, batch)
        delta = into + tf.gather(scores, t + 1)
        delta -= tf.reduce_max(delta, axis=0)  # keeps precision over long texts
        return delta, deltas.write(t + 1, delta)

    first = start[:, tf.newaxis] + scores[0]
    (deltas,) = arrays_like(steps, 1, first)
    _, deltas = loop(forward, steps - 1, (first, deltas.write(0, first)), unroll=_UNROLL)
    deltas = tf.transpose(deltas.stack(), (0, 2, 1))  # (time, batch, tags)
    ends, last = _ends(mask), _at_end(deltas, mask) + end  # (time, batch), (batch, tags)
    final = tf.argmax(last, axis=-1, output_type=tf.int32)
    onto = tf.transpose(transitions)  # (to, from)

    def backward(t, tag, tags):
        from_each = tf.gather(deltas, t) + tf.gather(onto, tag)  # (batch, from)
        before = tf.argmax(from_each, axis=-1, output_type=tf.int32)
        tag = tf.where(tf.gather(ends, t), final, before)
        return tag, tags.write(t, tag)

    (tags,) = arrays_like(steps, 1, final)
    state = (final, tags.write(steps - 1, final))
    _, tags = loop(backward, steps - 1, state, reverse=True, unroll=_UNROLL)
    return tags.stack()


def path_score(scores, tags, transitions, start, end, mask):
    """The score of given paths.

    Args:
        scores: As in `log_partition`, like the other arguments.
        tags: int32 `(time, batch)`.
        transitions: `(tags, tags)`.
        start: `(tags,)`.
        end: `(tags,)`.
        mask: Booleans `(time, batch)`.

    Returns:
        `(batch,)`; 0 for empty rows.
    """
    of_steps = tf.gather(scores, tags, batch_dims=2)  # (time, batch)
    of_ends = tf.where(_ends(mask), tf.gather(end, tags), 0.0)
    into = tf.gather_nd(transitions, tf.stack([tags[:-1], tags[1:]], axis=-1))
    into = tf.concat([tf.gather(start, tags[:1]), into], axis=0)
    return tf.reduce_sum(tf.where(mask, of_steps + of_ends + into, 0.0), axis=0)


def _ends(mask):
    """Booleans `(time, batch)`, true at each row's last step."""
    return mask & ~tf.concat([mask[1:], tf.zeros_like(mask[:1])], axis=0)


def _at_end(values, mask):
    """Values `(time, batch, tags)` at each row's last step, `(batch, tags)`."""
    last = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.int32), axis=0) - 1, 0)
    return tf.gather(tf.transpose(values, (1, 0, 2)), last, batch_dims=1)


def _exp(scores, axis):
    """The exponential of scores minus their maximum along `axis`, and the maximum."""
    scores = tf.cast(scores, tf.float64)
    largest = tf.reduce_max(scores, axis=axis, keepdims=True)
    return tf.exp(tf.maximum(scores - largest, _LEAST)), largest


def _forward(scores, transitions, start, end, mask):
    """Log Z `(batch,)`, and what the backward pass needs.

    With x, A, b, e the exponentials of the four kinds of scores, and p summing to 1:

        u[t] = p[t-1] A,  u[0] = b
        p[t] = u[t] x[t] / c[t]
        Z    = product over t of c[t] times sum over j of p[T, j] e[j]
    """
    steps = scores.shape[0] or tf.shape(scores)[0]
    x, x_by = _exp(scores, -1)  # (time, batch, tags), (time, batch, 1)
    A, A_by = _exp(transitions, (0, 1))
    b, b_by = _exp(start, 0)
    e, e_by = _exp(end, 0)

    def scaled(p):
        return p / tf.reduce_sum(p, axis=-1, keepdims=True)  # no sum is below e^-600

    def body(t, p, ps):
        p = scaled((p @ A) * tf.gather(x, t + 1))
        return p, ps.write(t + 1, p)

    first = scaled(b * x[0])
    (ps,) = arrays_like(steps, 1, first)
    _, ps = loop(body, steps - 1, (first, ps.write(0, first)), unroll=_UNROLL)
    ps = ps.stack()
    before = tf.tensordot(ps[:-1], A, 1)  # (time - 1, batch, tags)
    u = tf.concat([tf.zeros_like(first[tf.newaxis]) + b, before], axis=0)
    by = tf.concat([b_by + x_by[:1], A_by + x_by[1:]], axis=0)[..., 0]
    c = tf.reduce_sum(u * x, axis=-1)  # (time, batch)
    last = _at_end(ps, mask) * e
    end_c = tf.reduce_sum(last, axis=-1)
    log_z = tf.reduce_sum(tf.where(mask, tf.math.log(c) + by, 0.0), axis=0)
    log_z = tf.where(mask[0], log_z + tf.math.log(end_c) + e_by, 0.0)
    return log_z, (ps, u, A, last / end_c[:, tf.newaxis])


def _backward(ps, u, A, last, mask, d_log_z):
    """The gradients of the scores, the transitions and the end scores.

    With d[t, j] the marginal probability of tag j at step t:

        r[t]   = d[t] / u[t]
        d[t-1] = p[t-1] (A r[t]); at a row's last step, p e divided by its sum
        pairs  = A times the sum over t of the outer product of p[t-1] and r[t]
    """
    steps = ps.shape[0] or tf.shape(ps)[0]
    last = last * tf.where(mask[0], d_log_z, 0.0)[:, tf.newaxis]
    ends = tf.where(_ends(mask)[..., tf.newaxis], last, 0.0)  # (time, batch, tags)
    by_u = 1 / tf.maximum(u, _TINY)
    A_t = tf.transpose(A)

    def body(t, d, ds):
        d = ((d * tf.gather(by_u, t + 1)) @ A_t) * tf.gather(ps, t) + tf.gather(ends, t)
        return d, ds.write(t, d)

    first = ends[-1]
    (ds,) = arrays_like(steps, 1, first)
    state = (first, ds.write(steps - 1, first))
    _, ds = loop(body, steps - 1, state, reverse=True, unroll=_UNROLL)
    ds = ds.stack()
    pairs = A * tf.tensordot(ps[:-1], (ds * by_u)[1:], [[0, 1], [0, 1]])
    return ds, pairs, last
