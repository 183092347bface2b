"""Exports for accelerators: numeric methods that XLA compiles, and bfloat16 weights."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from rnnapps.text import few_lengths

NARROW = "bfloat16"


@contextlib.contextmanager
def compiled(compiled_methods: Sequence[Callable]) -> Iterator[None]:
    """Within this context, graphs contain these methods as functions that XLA must compile.

    Everything else, string ops above all, runs as usual. Token ids are padded to a few lengths.

    Args:
        compiled_methods: Bound methods of layers, from tensors to tensors.
    """
    with few_lengths(), contextlib.ExitStack() as stack:
        for method in compiled_methods:
            vars(method.__self__)[method.__name__] = _compiled(method)
            stack.callback(vars(method.__self__).pop, method.__name__)
        yield


def _compiled(method: Callable) -> Callable:
    def call(*arguments, **options):
        # Created for each call: a cached one could hold tensors of another signature's graph.
        function = tf.function(method, jit_compile=True, autograph=False)
        return function(*arguments, **options)

    return call


@contextlib.contextmanager
def rounded(compiled_methods: Sequence[Callable]) -> Iterator[None]:
    """Within this context, the layers' weights are rounded to bfloat16.

    Args:
        compiled_methods: Bound methods of the layers.
    """
    before = {id(one): (one, tf.convert_to_tensor(one)) for one in _weights(compiled_methods)}
    try:
        for one, value in before.values():
            one.assign(tf.cast(tf.cast(value, NARROW), one.dtype))
        yield
    finally:
        for one, value in before.values():
            one.assign(value)


def narrowed(compiled_methods: Sequence[Callable]) -> Callable[[Callable], Callable]:
    """Stores the layers' weights as bfloat16, in half the memory.

    Each request first casts them back to float32, so that sums lose no precision.

    Args:
        compiled_methods: Bound methods of the layers.

    Returns:
        A decorator for functions that use the weights.
    """
    pairs = [
        (one, tf.Variable(tf.cast(one, NARROW), trainable=False))
        for one in _weights(compiled_methods)
    ]

    def wrap(function: Callable) -> Callable:
        def narrow(*tensors):
            wide = [(one, tf.cast(variable, one.dtype)) for one, variable in pairs]
            with keras.StatelessScope(wide):
                return function(*tensors)

        return narrow

    return wrap


def _weights(compiled_methods: Sequence[Callable]) -> list[keras.Variable]:
    """The float32 weights of the methods' layers, without duplicates."""
    found = {id(one): one for method in compiled_methods for one in method.__self__.variables}
    return [one for one in found.values() if one.dtype == "float32"]
