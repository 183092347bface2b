"""What all loops over time share: the loop itself, the arrays that it fills, derivatives."""

from collections.abc import Callable

import tensorflow as tf

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


def write_all(arrays: tuple, t, values: tuple) -> tuple:
    """The arrays with these values at step `t`."""
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))


def states_before(first, values):
    """What stood before each step: `first`, and all of `values` but the last."""
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
