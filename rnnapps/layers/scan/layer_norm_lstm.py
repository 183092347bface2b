"""The loop of an LSTM with layer normalization inside it."""

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
def layer_norm_lstm(x, recurrent_kernel, h, c, gammas, beta, epsilon, mask=None, dropout_mask=None):
    """Run an LSTM with layer normalization over time.

    Args:
        x: Projected and normalized inputs, `(time, batch, 4 * units)`, gates in the order i, f, g,
            o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The initial hidden state, `(batch, units)`.
        c: The initial cell state, `(batch, units)`.
        gammas: The scales of the normalized recurrent product, `(4 * units,)`, and of the
            normalized cell state, `(units,)`.
        beta: The shift of the normalized cell state, `(units,)`.
        epsilon: Added to the variances.
        mask: Booleans `(time, batch, 1)`; false keeps the state. Or `None`.
        dropout_mask: Multiplied with `h` before the recurrent product, or `None`.

    Returns:
        The hidden states `(time, batch, units)`, and the last `h` and `c`.
    """
    units = recurrent_kernel.shape[0]
    steps = x.shape[0] or tf.shape(x)[0]
    unroll = unrolled_steps(x.shape[1], units)

    def drop(h):
        return h if dropout_mask is None else h * dropout_mask

    def normalize(values):
        mean, variance = tf.nn.moments(values, axes=[-1], keepdims=True)
        scale = tf.math.rsqrt(variance + epsilon)
        return (values - mean) * scale, scale

    def normalize_gradient(d_y, y, scale):
        along = tf.reduce_mean(d_y * y, axis=-1, keepdims=True)
        return scale * (d_y - tf.reduce_mean(d_y, axis=-1, keepdims=True) - y * along)

    @custom_gradient
    def run(x, recurrent_kernel, h_0, c_0, gamma_r, gamma_c, beta):
        def forward(t, h, c, hs, saved):
            a, a_scale = normalize(drop(h) @ recurrent_kernel)
            z_i, z_f, z_g, z_o = tf.split(x[t] + a * gamma_r, 4, axis=-1)
            i, f, g, o = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.tanh(z_g), tf.sigmoid(z_o)
            c_t = f * c + i * g
            n, n_scale = normalize(c_t)
            tanh_n = tf.tanh(n * gamma_c + beta)
            h_t = o * tanh_n
            if mask is not None:
                h_t, c_t = tf.where(mask[t], h_t, h), tf.where(mask[t], c_t, c)
            values = (i, f, g, o, c_t, n, tanh_n, n_scale, a_scale, a)
            return h_t, c_t, hs.write(t, h_t), write_all(saved, t, values)

        hs, *saved = arrays_like(steps, 8, h_0)
        saved += [*arrays_like(steps, 2, h_0[:, :1]), *arrays_like(steps, 1, x[0])]
        h_n, c_n, hs, saved = loop(forward, steps, (h_0, c_0, hs, tuple(saved)), unroll=unroll)
        # Stacked: a gradient in a SavedModel can refer to tensors only, not to TensorArrays.
        hs, (i, f, g, o, cs, n, tanh_n, n_scale, a_scale, a) = (
            hs.stack(),
            (array.stack() for array in saved),
        )

        def gradient(d_hs, d_h_n, d_c_n):
            # As in `lstm`, but dh reaches dc through the normalization of c.
            shift_from_h, c_from_c = tanh_gradient(o, tanh_n), f
            z_from_ch = tf.concat(
                [
                    sigmoid_gradient(g, i),
                    sigmoid_gradient(states_before(c_0, cs), f),
                    tanh_gradient(i, g),
                    sigmoid_gradient(tanh_n, o),
                ],
                axis=-1,
            )
            if mask is not None:  # masked steps pass dh and dc through
                shift_from_h = tf.where(mask, shift_from_h, tf.zeros_like(shift_from_h))
                c_from_c = tf.where(mask, c_from_c, tf.ones_like(c_from_c))
                z_from_ch = tf.where(mask, z_from_ch, tf.zeros_like(z_from_ch))
            kernel_t = tf.transpose(recurrent_kernel)

            def backward(t, d_h, d_c, d_shifts, d_zs, d_products):
                d_h = d_h + d_hs[t]
                d_shift = d_h * shift_from_h[t]
                d_c = d_c + normalize_gradient(d_shift * gamma_c, n[t], n_scale[t])
                d_z = tf.concat([d_c, d_c, d_c, d_h], axis=-1) * z_from_ch[t]
                d_product = normalize_gradient(d_z * gamma_r, a[t], a_scale[t])
                d_h_before = drop(d_product @ kernel_t)
                if mask is not None:
                    d_h_before = tf.where(mask[t], d_h_before, d_h)
                arrays = (d_shifts, d_zs, d_products)
                return (
                    d_h_before,
                    d_c * c_from_c[t],
                    *write_all(arrays, t, (d_shift, d_z, d_product)),
                )

            state = (d_h_n, d_c_n, *arrays_like(steps, 1, h_0), *arrays_like(steps, 2, x[0]))
            d_h, d_c, *arrays = loop(backward, steps, state, reverse=True, unroll=unroll)
            d_shift, d_x, d_product = (array.stack() for array in arrays)
            d_kernel = outer_product(drop(states_before(h_0, hs)), d_product)
            totals = (tf.reduce_sum(d, axis=[0, 1]) for d in (d_x * a, d_shift * n, d_shift))
            return d_x, d_kernel, d_h, d_c, *totals

        return (hs, h_n, c_n), gradient

    return run(x, recurrent_kernel, h, c, *gammas, beta)
