"""The loop of an sLSTM, and its exponential gates."""

import tensorflow as tf

from rnnapps.layers.custom_gradient import custom_gradient
from rnnapps.layers.scan.loop import (
    arrays_like,
    loop,
    outer_product,
    sigmoid_gradient,
    states_before,
    tanh_gradient,
    unrolled_steps,
    write_all,
)
from rnnapps.layers.scan.traced_once import traced_once


def stabilized_gates(z_i, z_f, n, m) -> tuple:
    """The exponential gates of an sLSTM, divided by the exponential of the larger exponent.

    Args:
        z_i: The exponent of the input gate.
        z_f: The pre-activation of the forget gate.
        n: The previous normalizer; 0 if no steps have been seen, which closes the forget gate.
        m: The previous exponent.

    Returns:
        The new exponent, the input gate and the forget gate; one of the gates is 1.
    """
    kept = tf.math.log_sigmoid(z_f) + m
    seen = tf.not_equal(n, 0)
    i = tf.where(seen, tf.exp(tf.minimum(z_i - kept, 0)), tf.ones_like(n))
    f = tf.where(seen, tf.exp(tf.minimum(kept - z_i, 0)), tf.zeros_like(n))
    return tf.where(seen, tf.maximum(z_i, kept), z_i), i, f


@traced_once
def slstm(x, recurrent_kernel, h, c, n, m, mask=None, dropout_mask=None):
    """Run an sLSTM over time.

    Args:
        x: Projected inputs, `(time, batch, 4 * units)`, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The initial hidden state, `(batch, units)`.
        c: The initial cell state, `(batch, units)`.
        n: The initial normalizer, `(batch, units)`.
        m: The exponent by which `c` and `n` are divided, `(batch, units)`.
        mask: Booleans `(time, batch, 1)`; false keeps the state. Or `None`.
        dropout_mask: Multiplied with `h` before the recurrent product, or `None`.

    Returns:
        The hidden states `(time, batch, units)`, and the last `h`, `c`, `n` and `m`.
    """
    units = recurrent_kernel.shape[0]
    steps = x.shape[0] or tf.shape(x)[0]
    unroll = unrolled_steps(x.shape[1], units)

    def drop(h):
        return h if dropout_mask is None else h * dropout_mask

    def where_seen(values, otherwise):
        return values if mask is None else tf.where(mask, values, tf.cast(otherwise, values.dtype))

    @custom_gradient
    def run(x, recurrent_kernel, h_0, c_0, n_0, m_0):
        def forward(t, h, c, n, m, *arrays):
            z = x[t] + drop(h) @ recurrent_kernel
            z_i, z_f, z_g, z_o = tf.split(z, 4, axis=-1)
            m_t, i, f = stabilized_gates(z_i, z_f, n, m)
            c_t, n_t = f * c + i * tf.tanh(z_g), f * n + i
            state = (tf.sigmoid(z_o) * c_t / tf.maximum(n_t, 1), c_t, n_t, m_t)
            if mask is not None:
                before = (h, c, n, m)
                state = [tf.where(mask[t], s, b) for s, b in zip(state, before, strict=True)]
            return *state, *write_all(arrays, t, (z, *state))

        arrays = (*arrays_like(steps, 1, x[0]), *arrays_like(steps, 4, h_0))
        state = (h_0, c_0, n_0, m_0, *arrays)
        h_n, c_n, n_n, m_n, *arrays = loop(forward, steps, state, unroll=unroll)
        # Stacked: a gradient in a SavedModel can refer to tensors only, not to TensorArrays.
        zs, hs, cs, ns, ms = (array.stack() for array in arrays)

        def gradient(d_hs, *d_last):
            c_before, n_before, m_before = (
                states_before(c_0, cs),
                states_before(n_0, ns),
                states_before(m_0, ms),
            )
            z_i, z_f, z_g, z_o = tf.split(zs, 4, axis=-1)
            _, i, f = stabilized_gates(z_i, z_f, n_before, m_before)
            g, o = tf.tanh(z_g), tf.sigmoid(z_o)
            divisor = tf.maximum(ns, 1)
            mean = cs / divisor
            # With dh, dc, dn, dm = dL/dh[t], ..., and dz = dL/dz[t]:
            #     dc += dh * c_from_h,  dn += dh * n_from_h,  dz_g = dc * g_from_c, ...
            # and d, the gradient of the exponents' difference, z_i - (log sigmoid(z_f) + m[t-1]).
            c_from_h = where_seen(o / divisor, 0.0)
            n_from_h = tf.where(ns > 1, -c_from_h * mean, tf.zeros_like(mean))
            o_from_h = where_seen(sigmoid_gradient(mean, o), 0.0)
            g_from_c = where_seen(tanh_gradient(i, g), 0.0)
            outweighs = f < i  # whether z_i is the larger exponent
            d_from_c = where_seen(tf.where(outweighs, -f * c_before, i * g), 0.0)
            d_from_n = where_seen(tf.where(outweighs, -f * n_before, i), 0.0)
            i_from_m = where_seen(tf.cast(outweighs, f.dtype), 0.0)
            f_from_m = where_seen(tf.sigmoid(-z_f), 0.0)
            before_from_c = where_seen(f, 1.0)
            kernel_t = tf.transpose(recurrent_kernel)

            def backward(t, d_h, d_c, d_n, d_m, d_zs):
                d_h = d_h + d_hs[t]
                d_c = d_c + d_h * c_from_h[t]
                d_n = d_n + d_h * n_from_h[t]
                d_i = d_m * i_from_m[t] + d_c * d_from_c[t] + d_n * d_from_n[t]
                d_m = d_m - d_i
                gates = (d_i, d_m * f_from_m[t], d_c * g_from_c[t], d_h * o_from_h[t])
                d_z = tf.concat(gates, axis=-1)
                d_h_before = drop(d_z @ kernel_t)
                if mask is not None:
                    d_h_before = tf.where(mask[t], d_h_before, d_h)
                d_c, d_n = d_c * before_from_c[t], d_n * before_from_c[t]
                return d_h_before, d_c, d_n, d_m, d_zs.write(t, d_z)

            state = (*d_last, *arrays_like(steps, 1, x[0]))
            *d_first, d_zs = loop(backward, steps, state, reverse=True, unroll=unroll)
            d_x = d_zs.stack()
            return d_x, outer_product(drop(states_before(h_0, hs)), d_x), *d_first

        return (hs, h_n, c_n, n_n, m_n), gradient

    return run(x, recurrent_kernel, h, c, n, m)
