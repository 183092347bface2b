"""The recurrent loops: forward in time, and backward through time by hand.

Everything here is time-major, `(time, batch, features)`, and takes the inputs already projected,
`x = inputs @ kernel + bias`: that product is one matrix product over all time steps, outside the
loop. The loop does the recurrent product and the gates only.

The way back is linear in the gradients that come in, and its coefficients depend only on the way
forward. So they are computed for all steps at once; the loop multiplies with them and with the
transposed recurrent kernel (transposed once: a product that transposes it at each step takes three
times as long). The weights' gradients are one large product after the loop.
"""

from collections.abc import Callable

import tensorflow as tf

from rnnapps.layers.custom_gradient import custom_gradient

ELEMENTWISE_STEPS = 8  # in one turn of a loop without products, where the loop is what takes time


def unrolled_steps(batch: int | None, units: int) -> int:
    """How many steps to take in one turn of a loop: one of two places where shapes choose.

    Where the recurrent product of a step is small, the loop itself is what takes the time, and
    several steps in one turn save a part of it. Measured on two cores: benchmarks/layers.py.
    """
    return 4 if batch is None or batch * units * units < 2**20 else 1


def worth_compiling(x) -> bool:
    """Whether XLA should compile a loop over `x (time, batch, features)`: the other such place.

    XLA runs the operations of a step as one, which takes a third of the time for a batch of one,
    and no less for a large batch. It compiles anew for each shape: the shape must be known.
    """
    return x.shape.is_fully_defined() and x.shape[1] == 1


def loop(body: Callable, steps, state: tuple, reverse: bool = False, unroll: int = 1) -> tuple:
    """`state = body(t, *state)` for each step `t`, from the last to the first with `reverse`."""

    def turn(count: int) -> Callable:
        def turn(t, *state):
            for _ in range(count):
                state = body(steps - 1 - t if reverse else t, *state)
                t = t + 1
            return t, *state

        return turn

    state = (tf.constant(0), *state)
    counts = dict.fromkeys((unroll, 1))  # whole turns, then what is left
    if isinstance(steps, int) and steps % unroll == 0:
        counts = (unroll,)
    for count in counts:
        state = tf.while_loop(
            lambda t, *_, count=count: t + count <= steps,
            turn(count),
            state,
            maximum_iterations=steps // count,
        )
    return state[1:]


def arrays_like(steps, count: int, like) -> tuple[tf.TensorArray, ...]:
    """As many arrays of `steps` tensors like the given one."""
    make = tf.TensorArray
    return tuple(make(like.dtype, steps, element_shape=like.shape) for _ in range(count))


def _write(arrays: tuple, t, values: tuple) -> tuple:
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))


def _before(first, values):
    """What stood before each step: `first`, and all of `values` but the last."""
    return tf.concat([first[tf.newaxis], values[:-1]], axis=0)


def _product(left, right):
    """The sum over time and batch of the outer products: `(T, N, A), (T, N, B) -> (A, B)`."""
    left = tf.reshape(left, (-1, left.shape[-1]))
    right = tf.reshape(right, (-1, right.shape[-1]))
    return tf.matmul(left, right, transpose_a=True)


def _sigmoid_gradient(d_y, y):
    """`d_y * y * (1 - y)`, in one pass over the memory."""
    return tf.raw_ops.SigmoidGrad(y=y, dy=d_y)


def _tanh_gradient(d_y, y):
    """`d_y * (1 - y * y)`, in one pass over the memory."""
    return tf.raw_ops.TanhGrad(y=y, dy=d_y)


def lstm(x, recurrent_kernel, h, c, peephole=None, mask=None, dropout_mask=None):
    """Run an LSTM over time.

    Args:
        x: Projected inputs, `(time, batch, 4 * units)`, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The hidden state before the first step, `(batch, units)`.
        c: The cell state before the first step, `(batch, units)`.
        peephole: `None`, `(3, units)` (diagonal) or `(units, 3 * units)` (full), gates i, f, o.
        mask: Booleans `(time, batch, 1)`; a false step leaves the state as it was. Or `None`.
        dropout_mask: What `h` is multiplied with before the recurrent product, or `None`.

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
            return h_t, c_t, hs.write(t, h_t), cs.write(t, c_t), _write(gates, t, (i, f, g, o))

        hs, cs, *gates = arrays_like(steps, 6, h_0)
        state = (h_0, c_0, hs, cs, tuple(gates))
        h_n, c_n, hs, cs, gates = loop(forward, steps, state, unroll=unroll)
        # Stacked, not as arrays: a SavedModel can hold a gradient that refers to tensors only.
        hs, cs, (i, f, g, o) = hs.stack(), cs.stack(), (gate.stack() for gate in gates)

        def gradient(d_hs, d_h_n, d_c_n):
            c_before = _before(c_0, cs)
            tanh_c = tf.tanh(cs)
            # With dh, dc = dL/dh[t], dL/dc[t], and dz = dL/dz[t]:
            #     dc    += dh * c_from_h
            #     dz     = (dc, dc, dc, dh) * z_from_ch
            #     dc[t-1] = dc * c_from_c
            c_from_h = _tanh_gradient(o, tanh_c)
            c_from_c = f
            z_i, z_f = _sigmoid_gradient(g, i), _sigmoid_gradient(c_before, f)
            z_g, z_o = _tanh_gradient(i, g), _sigmoid_gradient(tanh_c, o)
            if diagonal:
                c_from_h += z_o * p_o
                c_from_c += z_i * p_i + z_f * p_f
            z_from_ch = tf.concat([z_i, z_f, z_g, z_o], axis=-1)
            if mask is not None:  # such a step hands dh and dc on as they are
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
            d_kernel = _product(drop(_before(h_0, hs)), d_x)
            if diagonal:
                d_i, d_f, _, d_o = tf.split(d_x, 4, axis=-1)
                products = (d_i * c_before, d_f * c_before, d_o * cs)
                d_peephole = tf.stack([tf.reduce_sum(p, axis=[0, 1]) for p in products])
            elif full:
                d_if, d_o = d_x[..., : 2 * units], d_x[..., 3 * units :]
                d_peephole = tf.concat([_product(c_before, d_if), _product(cs, d_o)], axis=-1)
            else:
                d_peephole = tf.zeros_like(peephole)
            return d_x, d_kernel, d_h, d_c, d_peephole

        return (hs, h_n, c_n), gradient

    return run(x, recurrent_kernel, h, c, peephole)


def gru(
    x, recurrent_kernel, h, recurrent_bias=None, reset_after=True, mask=None, dropout_mask=None
):
    """Run a GRU over time.

    Args:
        x: Projected inputs, `(time, batch, 3 * units)`, gates in the order z, r, h.
        recurrent_kernel: `(units, 3 * units)`.
        h: The state before the first step, `(batch, units)`.
        recurrent_bias: What is added to the recurrent product of the candidate state, `(units,)`,
            with `reset_after`; `None` is nothing. (Those of the gates can be added to `x`.)
        reset_after: Whether the reset gate multiplies the recurrent product, or the state.
        mask: Booleans `(time, batch, 1)`; a false step leaves the state as it was. Or `None`.
        dropout_mask: What `h` is multiplied with before the recurrent products, or `None`.

    Returns:
        The states `(time, batch, units)`, and the last one.
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
            h_t = a + z * (h - a)
            if mask is not None:
                h_t = tf.where(mask[t], h_t, h)
            return h_t, hs.write(t, h_t), _write(saved, t, (z, r, a, seen))

        hs, *saved = arrays_like(steps, 5, h_0)
        h_n, hs, saved = loop(forward, steps, (h_0, hs, tuple(saved)), unroll=unroll)
        # Stacked, not as arrays: a SavedModel can hold a gradient that refers to tensors only.
        hs, (z, r, a, seen) = hs.stack(), (array.stack() for array in saved)

        def gradient(d_hs, d_h_n):
            h_before = _before(h_0, hs)
            # With dh = dL/dh[t]: dL/d(what z's sigmoid, and what the candidate's tanh takes)
            z_from_h = _sigmoid_gradient(h_before - a, z)
            a_from_h = _tanh_gradient(1 - z, a)
            h_from_h = z
            if mask is not None:  # such a step hands dh on as it is
                z_from_h = tf.where(mask, z_from_h, tf.zeros_like(z))
                a_from_h = tf.where(mask, a_from_h, tf.zeros_like(z))
                h_from_h = tf.where(mask, z, tf.ones_like(z))
            if reset_after:
                # The recurrent product's gradient is (dh, dh, dh) times these.
                r_from_h = a_from_h * _sigmoid_gradient(seen, r)
                factors = tf.concat([z_from_h, r_from_h, a_from_h * r], axis=-1)
                kernel_t = tf.transpose(recurrent_kernel)

                def backward(t, d_h, d_products, d_as):
                    d_h = d_h + d_hs[t]
                    d_product = tf.concat([d_h, d_h, d_h], axis=-1) * factors[t]
                    d_before = d_h * h_from_h[t] + drop(d_product @ kernel_t)
                    return d_before, d_products.write(t, d_product), d_as.write(t, d_h)

            else:
                r_from_seen = _sigmoid_gradient(drop(h_before), r)
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
                d_kernel = _product(drop(h_before), d_product)
                d_x = tf.concat([d_zr, d_totals.stack() * a_from_h], axis=-1)
            else:
                d_bias = tf.zeros_like(bias)
                products = (_product(drop(h_before), d_zr), _product(seen, d_a))
                d_kernel = tf.concat(products, axis=-1)
                d_x = d_product
            return d_x, d_kernel, d_h, d_bias

        return (hs, h_n), gradient

    return run(x, recurrent_kernel, h, recurrent_bias)


def layer_norm_lstm(x, recurrent_kernel, h, c, gammas, beta, epsilon, mask=None, dropout_mask=None):
    """Run an LSTM with layer normalisation over time.

    Args:
        x: Projected and normalised inputs, `(time, batch, 4 * units)`, gates in the order i, f, g,
            o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The hidden state before the first step, `(batch, units)`.
        c: The cell state before the first step, `(batch, units)`.
        gammas: The scales of the normalised recurrent product, `(4 * units,)`, and of the
            normalised cell state, `(units,)`.
        beta: The shift of the normalised cell state, `(units,)`.
        epsilon: Added to the variances.
        mask: Booleans `(time, batch, 1)`; a false step leaves the state as it was. Or `None`.
        dropout_mask: What `h` is multiplied with before the recurrent product, or `None`.

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
            return h_t, c_t, hs.write(t, h_t), _write(saved, t, values)

        hs, *saved = arrays_like(steps, 8, h_0)
        saved += [*arrays_like(steps, 2, h_0[:, :1]), *arrays_like(steps, 1, x[0])]
        h_n, c_n, hs, saved = loop(forward, steps, (h_0, c_0, hs, tuple(saved)), unroll=unroll)
        # Stacked, not as arrays: a SavedModel can hold a gradient that refers to tensors only.
        hs, (i, f, g, o, cs, n, tanh_n, n_scale, a_scale, a) = (
            hs.stack(),
            (array.stack() for array in saved),
        )

        def gradient(d_hs, d_h_n, d_c_n):
            # As in `lstm`, but dh reaches dc through the normalisation of c.
            shift_from_h, c_from_c = _tanh_gradient(o, tanh_n), f
            z_from_ch = tf.concat(
                [
                    _sigmoid_gradient(g, i),
                    _sigmoid_gradient(_before(c_0, cs), f),
                    _tanh_gradient(i, g),
                    _sigmoid_gradient(tanh_n, o),
                ],
                axis=-1,
            )
            if mask is not None:  # such a step hands dh and dc on as they are
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
                return d_h_before, d_c * c_from_c[t], *_write(arrays, t, (d_shift, d_z, d_product))

            state = (d_h_n, d_c_n, *arrays_like(steps, 1, h_0), *arrays_like(steps, 2, x[0]))
            d_h, d_c, *arrays = loop(backward, steps, state, reverse=True, unroll=unroll)
            d_shift, d_x, d_product = (array.stack() for array in arrays)
            d_kernel = _product(drop(_before(h_0, hs)), d_product)
            totals = (tf.reduce_sum(d, axis=[0, 1]) for d in (d_x * a, d_shift * n, d_shift))
            return d_x, d_kernel, d_h, d_c, *totals

        return (hs, h_n, c_n), gradient

    return run(x, recurrent_kernel, h, c, *gammas, beta)


def stabilized_gates(z_i, z_f, n, m) -> tuple:
    """The exponential gates of an sLSTM, divided by the exponential of the larger exponent.

    Args:
        z_i: The exponent of the input gate.
        z_f: What the forget gate's sigmoid takes.
        n: The normaliser before; 0 where nothing has been seen, which lets nothing be kept.
        m: The exponent before.

    Returns:
        The exponent after, the input gate and the forget gate, of which one is 1.
    """
    kept = tf.math.log_sigmoid(z_f) + m
    seen = tf.not_equal(n, 0)
    i = tf.where(seen, tf.exp(tf.minimum(z_i - kept, 0)), tf.ones_like(n))
    f = tf.where(seen, tf.exp(tf.minimum(kept - z_i, 0)), tf.zeros_like(n))
    return tf.where(seen, tf.maximum(z_i, kept), z_i), i, f


def slstm(x, recurrent_kernel, h, c, n, m, mask=None, dropout_mask=None):
    """Run an sLSTM over time.

    Args:
        x: Projected inputs, `(time, batch, 4 * units)`, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`.
        h: The hidden state before the first step, `(batch, units)`.
        c: The cell state before the first step, `(batch, units)`.
        n: The normaliser before the first step, `(batch, units)`.
        m: The exponent by which `c` and `n` are divided, `(batch, units)`.
        mask: Booleans `(time, batch, 1)`; a false step leaves the state as it was. Or `None`.
        dropout_mask: What `h` is multiplied with before the recurrent product, or `None`.

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
            return *state, *_write(arrays, t, (z, *state))

        arrays = (*arrays_like(steps, 1, x[0]), *arrays_like(steps, 4, h_0))
        state = (h_0, c_0, n_0, m_0, *arrays)
        h_n, c_n, n_n, m_n, *arrays = loop(forward, steps, state, unroll=unroll)
        # Stacked, not as arrays: a SavedModel can hold a gradient that refers to tensors only.
        zs, hs, cs, ns, ms = (array.stack() for array in arrays)

        def gradient(d_hs, *d_last):
            c_before, n_before, m_before = _before(c_0, cs), _before(n_0, ns), _before(m_0, ms)
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
            o_from_h = where_seen(_sigmoid_gradient(mean, o), 0.0)
            g_from_c = where_seen(_tanh_gradient(i, g), 0.0)
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
            return d_x, _product(drop(_before(h_0, hs)), d_x), *d_first

        return (hs, h_n, c_n, n_n, m_n), gradient

    return run(x, recurrent_kernel, h, c, n, m)


def linear(kept, added, h):
    """Run `h[t] = kept[t] * h[t-1] + added[t]` over time.

    A loop, as it reads and writes each step once: scans by doubling, by pairs of steps and by
    blocks of steps were no faster at the shapes of benchmarks/layers.py, with XLA or without. The
    gradient is the same recurrence, backward in time.

    Args:
        kept: What the state is multiplied with, `(time, batch, units)`.
        added: What is added to it, `(time, batch, units)`.
        h: The state before the first step, `(batch, units)`.

    Returns:
        The states `(time, batch, units)`, and the last one.
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
            return d_added * _before(h_0, hs), d_added, d_h * kept[0]

        return (hs, h_n), gradient

    return run(kept, added, h)
