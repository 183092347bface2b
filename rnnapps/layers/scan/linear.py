"""The loop of a recurrence that is linear in its state."""

import tensorflow as tf

from rnnapps.layers.custom_gradient import custom_gradient
from rnnapps.layers.scan.loop import (
    ELEMENTWISE_STEPS,
    arrays_like,
    loop,
    states_before,
)
from rnnapps.layers.scan.traced_once import traced_once


@traced_once
def linear(kept, added, h):
    """Run `h[t] = kept[t] * h[t-1] + added[t]` over time.

    A loop reads and writes each step once: scans by doubling, by pairs of steps and by blocks of
    steps were no faster at the shapes of benchmarks/layers.py, with XLA or without. The gradient is
    the same recurrence, backward in time.

    Args:
        kept: The factor of the state, `(time, batch, units)`.
        added: The term added to it, `(time, batch, units)`.
        h: The initial state, `(batch, units)`.

    Returns:
        The states `(time, batch, units)`, and the last state.
    """
    steps = kept.shape[0] or tf.shape(kept)[0]

    def run_loop(kept, added, h, reverse: bool = False):
        def turn(t, h, hs):
            h = kept[t] * h + added[t]
            return h, hs.write(t, h)

        state = (h, *arrays_like(steps, 1, h))
        h, hs = loop(turn, steps, state, reverse=reverse, unroll=ELEMENTWISE_STEPS)
        return hs.stack(), h

    @custom_gradient
    def run(kept, added, h_0):
        hs, h_n = run_loop(kept, added, h_0)

        def gradient(d_hs, d_h_n):
            after = tf.concat([kept[1:], tf.ones_like(kept[:1])], axis=0)
            d_added, d_h = run_loop(after, d_hs, d_h_n, reverse=True)
            return d_added * states_before(h_0, hs), d_added, d_h * kept[0]

        return (hs, h_n), gradient

    return run(kept, added, h)
