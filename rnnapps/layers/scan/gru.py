"""The loop of a GRU."""

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
def gru(
    x, recurrent_kernel, h, recurrent_bias=None, reset_after=True, mask=None, dropout_mask=None
):
    """Run a GRU over time.

    Args:
        x: Projected inputs, `(time, batch, 3 * units)`, gates in the order z, r, h.
        recurrent_kernel: `(units, 3 * units)`.
        h: The initial state, `(batch, units)`.
        recurrent_bias: Added to the recurrent product of the candidate state with `reset_after`,
            `(units,)` or `None`. (Add the gates' recurrent biases to `x`.)
        reset_after: Whether the reset gate multiplies the recurrent product, or the state.
        mask: Booleans `(time, batch, 1)`; false keeps the state. Or `None`.
        dropout_mask: Multiplied with `h` before the recurrent product, or `None`.

    Returns:
        The states `(time, batch, units)`, and the last state.
    """
    units = recurrent_kernel.shape[0]
    steps = x.shape[0] or tf.shape(x)[0]
    unroll = unrolled_steps(x.shape[1], units)
    if recurrent_bias is None:
        recurrent_bias = tf.zeros((units,), x.dtype)

    def drop(h):
        return h if dropout_mask is None else h * dropout_mask

    @custom_gradient
    def run(x, recurrent_kernel, h_0, bias):
        kernel_zr, kernel_h = tf.split(recurrent_kernel, [2 * units, units], axis=-1)

        def forward(t, h, hs, saved):
            x_zr, x_h = tf.split(x[t], [2 * units, units], axis=-1)
            if reset_after:
                product = drop(h) @ recurrent_kernel
                product, seen = tf.split(product, [2 * units, units], axis=-1)
                seen = seen + bias
            else:
                product = drop(h) @ kernel_zr
            z, r = tf.split(tf.sigmoid(x_zr + product), 2, axis=-1)
            if reset_after:
                a = tf.tanh(x_h + r * seen)
            else:
                seen = r * drop(h)
                a = tf.tanh(x_h + seen @ kernel_h)
            h_t = z * h + (1 - z) * a  # leaves h unchanged where z is 1, despite rounding
            if mask is not None:
                h_t = tf.where(mask[t], h_t, h)
            return h_t, hs.write(t, h_t), write_all(saved, t, (z, r, a, seen))

        hs, *saved = arrays_like(steps, 5, h_0)
        h_n, hs, saved = loop(forward, steps, (h_0, hs, tuple(saved)), unroll=unroll)
        # Stacked: a gradient in a SavedModel can refer to tensors only, not to TensorArrays.
        hs, (z, r, a, seen) = hs.stack(), (array.stack() for array in saved)

        def gradient(d_hs, d_h_n):
            h_before = states_before(h_0, hs)
            # With dh = dL/dh[t]: dL/d(the inputs of z's sigmoid and of the candidate's tanh)
            z_from_h = sigmoid_gradient(h_before - a, z)
            a_from_h = tanh_gradient(1 - z, a)
            h_from_h = z
            if mask is not None:  # masked steps pass dh through
                z_from_h = tf.where(mask, z_from_h, tf.zeros_like(z))
                a_from_h = tf.where(mask, a_from_h, tf.zeros_like(z))
                h_from_h = tf.where(mask, z, tf.ones_like(z))
            if reset_after:
                # The recurrent product's gradient is (dh, dh, dh) times these.
                r_from_h = a_from_h * sigmoid_gradient(seen, r)
                factors = tf.concat([z_from_h, r_from_h, a_from_h * r], axis=-1)
                kernel_t = tf.transpose(recurrent_kernel)

                def backward(t, d_h, d_products, d_as):
                    d_h = d_h + d_hs[t]
                    d_product = tf.concat([d_h, d_h, d_h], axis=-1) * factors[t]
                    d_before = d_h * h_from_h[t] + drop(d_product @ kernel_t)
                    return d_before, d_products.write(t, d_product), d_as.write(t, d_h)

            else:
                r_from_seen = sigmoid_gradient(drop(h_before), r)
                kernel_zr_t, kernel_h_t = tf.transpose(kernel_zr), tf.transpose(kernel_h)

                def backward(t, d_h, d_products, d_as):
                    d_h = d_h + d_hs[t]
                    d_a = d_h * a_from_h[t]
                    d_seen = d_a @ kernel_h_t
                    d_zr = tf.concat([d_h * z_from_h[t], d_seen * r_from_seen[t]], axis=-1)
                    through = d_zr @ kernel_zr_t + d_seen * r[t]
                    d_product = tf.concat([d_zr, d_a], axis=-1)
                    d_before = d_h * h_from_h[t] + drop(through)
                    return d_before, d_products.write(t, d_product), d_as.write(t, d_h)

            arrays = (*arrays_like(steps, 1, x[0]), *arrays_like(steps, 1, h_0))
            d_h, d_products, d_totals = loop(
                backward, steps, (d_h_n, *arrays), reverse=True, unroll=unroll
            )
            d_product = d_products.stack()
            d_zr, d_a = tf.split(d_product, [2 * units, units], axis=-1)
            if reset_after:
                d_bias = tf.reduce_sum(d_a, axis=[0, 1])
                d_kernel = outer_product(drop(h_before), d_product)
                d_x = tf.concat([d_zr, d_totals.stack() * a_from_h], axis=-1)
            else:
                d_bias = tf.zeros_like(bias)
                products = (outer_product(drop(h_before), d_zr), outer_product(seen, d_a))
                d_kernel = tf.concat(products, axis=-1)
                d_x = d_product
            return d_x, d_kernel, d_h, d_bias

        return (hs, h_n), gradient

    return run(x, recurrent_kernel, h, recurrent_bias)
