"""The loop of an LSTM, with and without peepholes."""

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


@traced_once
def lstm(x, recurrent_kernel, h, c, peephole=None, mask=None, dropout_mask=None):
    """Run an LSTM over time.

    Args:
        x: Projected inputs, `(time, batch, 4 * units)`, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The initial hidden state, `(batch, units)`.
        c: The initial cell state, `(batch, units)`.
        peephole: `None`, `(3, units)` (diagonal) or `(units, 3 * units)` (full), gates i, f, o.
        mask: Booleans `(time, batch, 1)`; false keeps the state. Or `None`.
        dropout_mask: Multiplied with `h` before the recurrent product, or `None`.

    Returns:
        The hidden states `(time, batch, units)`, and the last `h` and `c`.
    """
    units = recurrent_kernel.shape[0]
    steps = x.shape[0] or tf.shape(x)[0]
    unroll = unrolled_steps(x.shape[1], units)
    if peephole is None:
        peephole = tf.zeros((0, units), x.dtype)
    diagonal = peephole.shape == (3, units)
    full = peephole.shape == (units, 3 * units)

    def drop(h):
        return h if dropout_mask is None else h * dropout_mask

    @custom_gradient
    def run(x, recurrent_kernel, h_0, c_0, peephole):
        if diagonal:
            p_i, p_f, p_o = tf.unstack(peephole)
        elif full:
            p_if, p_o = tf.split(peephole, [2 * units, units], axis=-1)

        def forward(t, h, c, hs, cs, gates):
            z = x[t] + drop(h) @ recurrent_kernel
            z_i, z_f, z_g, z_o = tf.split(z, 4, axis=-1)
            if diagonal:
                z_i, z_f = z_i + c * p_i, z_f + c * p_f
            elif full:
                c_i, c_f = tf.split(c @ p_if, 2, axis=-1)
                z_i, z_f = z_i + c_i, z_f + c_f
            i, f, g = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.tanh(z_g)
            c_t = f * c + i * g
            if diagonal:
                z_o = z_o + c_t * p_o
            elif full:
                z_o = z_o + c_t @ p_o
            o = tf.sigmoid(z_o)
            h_t = o * tf.tanh(c_t)
            if mask is not None:
                h_t, c_t = tf.where(mask[t], h_t, h), tf.where(mask[t], c_t, c)
            return h_t, c_t, hs.write(t, h_t), cs.write(t, c_t), write_all(gates, t, (i, f, g, o))

        hs, cs, *gates = arrays_like(steps, 6, h_0)
        state = (h_0, c_0, hs, cs, tuple(gates))
        h_n, c_n, hs, cs, gates = loop(forward, steps, state, unroll=unroll)
        # Stacked: a gradient in a SavedModel can refer to tensors only, not to TensorArrays.
        hs, cs, (i, f, g, o) = hs.stack(), cs.stack(), (gate.stack() for gate in gates)

        def gradient(d_hs, d_h_n, d_c_n):
            c_before = states_before(c_0, cs)
            tanh_c = tf.tanh(cs)
            # With dh, dc = dL/dh[t], dL/dc[t], and dz = dL/dz[t]:
            #     dc    += dh * c_from_h
            #     dz     = (dc, dc, dc, dh) * z_from_ch
            #     dc[t-1] = dc * c_from_c
            c_from_h = tanh_gradient(o, tanh_c)
            c_from_c = f
            z_i, z_f = sigmoid_gradient(g, i), sigmoid_gradient(c_before, f)
            z_g, z_o = tanh_gradient(i, g), sigmoid_gradient(tanh_c, o)
            if diagonal:
                c_from_h += z_o * p_o
                c_from_c += z_i * p_i + z_f * p_f
            z_from_ch = tf.concat([z_i, z_f, z_g, z_o], axis=-1)
            if mask is not None:  # masked steps pass dh and dc through
                c_from_h = tf.where(mask, c_from_h, tf.zeros_like(c_from_h))
                c_from_c = tf.where(mask, c_from_c, tf.ones_like(c_from_c))
                z_from_ch = tf.where(mask, z_from_ch, tf.zeros_like(z_from_ch))
            kernel_t = tf.transpose(recurrent_kernel)
            p_if_t, p_o_t = (tf.transpose(p_if), tf.transpose(p_o)) if full else (None, None)

            def backward(t, d_h, d_c, d_zs):
                d_h = d_h + d_hs[t]
                d_c = d_c + d_h * c_from_h[t]
                factors = z_from_ch[t]
                if full:
                    d_c = d_c + (d_h * factors[:, 3 * units :]) @ p_o_t
                d_z = tf.concat([d_c, d_c, d_c, d_h], axis=-1) * factors
                d_c = d_c * c_from_c[t]
                if full:
                    d_c = d_c + d_z[:, : 2 * units] @ p_if_t
                d_h_before = drop(d_z @ kernel_t)
                if mask is not None:
                    d_h_before = tf.where(mask[t], d_h_before, d_h)
                return d_h_before, d_c, d_zs.write(t, d_z)

            state = (d_h_n, d_c_n, *arrays_like(steps, 1, x[0]))
            d_h, d_c, d_zs = loop(backward, steps, state, reverse=True, unroll=unroll)
            d_x = d_zs.stack()
            d_kernel = outer_product(drop(states_before(h_0, hs)), d_x)
            if diagonal:
                d_i, d_f, _, d_o = tf.split(d_x, 4, axis=-1)
                products = (d_i * c_before, d_f * c_before, d_o * cs)
                d_peephole = tf.stack([tf.reduce_sum(p, axis=[0, 1]) for p in products])
            elif full:
                d_if, d_o = d_x[..., : 2 * units], d_x[..., 3 * units :]
                d_peephole = tf.concat(
                    [outer_product(c_before, d_if), outer_product(cs, d_o)], axis=-1
                )
            else:
                d_peephole = tf.zeros_like(peephole)
            return d_x, d_kernel, d_h, d_c, d_peephole

        return (hs, h_n, c_n), gradient

    return run(x, recurrent_kernel, h, c, peephole)
