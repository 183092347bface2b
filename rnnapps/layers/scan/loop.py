"""Shared by all loops over time: the loop itself, its output arrays, derivatives."""

from collections.abc import Callable

import tensorflow as tf

ELEMENTWISE_STEPS = 8  # per iteration without matrix products, where loop overhead dominates


def unrolled_steps(batch: int | None, units: int) -> int:
    """Steps per loop iteration; with `worth_compiling`, the only choices made by shape.

    If a step's recurrent product is small, the loop's overhead dominates, and several steps per
    iteration reduce it. Measured on two cores: benchmarks/layers.py.
    """
    return 4 if batch is None or batch * units * units < 2**20 else 1


def worth_compiling(x) -> bool:
    """Whether XLA should compile a loop over `x (time, batch, features)`.

    XLA fuses the operations of a step: a third of the time for a batch of one, no gain for a large
    batch. It recompiles for each shape: the shape must be static.
    """
    return x.shape.is_fully_defined() and x.shape[1] == 1


def loop(body: Callable, steps, state: tuple, reverse: bool = False, unroll: int = 1) -> tuple:
    """Runs `state = body(t, *state)` for each step `t`, with `reverse` from last to first."""

    def turn(count: int) -> Callable:
        def turn(t, *state):
            for _ in range(count):
                state = body(steps - 1 - t if reverse else t, *state)
                t = t + 1
            return t, *state

        return turn

    state = (tf.constant(0), *state)
    counts = dict.fromkeys((unroll, 1))  # full iterations, then the remaining steps
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
    """`count` arrays of `steps` tensors with the dtype and shape of `like`."""
    make = tf.TensorArray
    return tuple(make(like.dtype, steps, element_shape=like.shape) for _ in range(count))


def write_all(arrays: tuple, t, values: tuple) -> tuple:
    """Writes these values at step `t`."""
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))


def states_before(first, values):
    """The state before each step: `first`, then all of `values` but the last."""
    return tf.concat([first[tf.newaxis], values[:-1]], axis=0)


def outer_product(left, right):
    """The sum over time and batch of the outer products: `(T, N, A), (T, N, B) -> (A, B)`."""
    left = tf.reshape(left, (-1, left.shape[-1]))
    right = tf.reshape(right, (-1, right.shape[-1]))
    return tf.matmul(left, right, transpose_a=True)


def sigmoid_gradient(d_y, y):
    """`d_y * y * (1 - y)`, in one pass over the memory."""
    return tf.raw_ops.SigmoidGrad(y=y, dy=d_y)


def tanh_gradient(d_y, y):
    """`d_y * (1 - y * y)`, in one pass over the memory."""
    return tf.raw_ops.TanhGrad(y=y, dy=d_y)
