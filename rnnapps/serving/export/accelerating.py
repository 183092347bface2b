"""Exports for accelerators: numeric methods that XLA compiles, and bfloat16 weights."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from rnnapps.text import few_lengths

NARROW = "bfloat16"


@contextlib.contextmanager
def compiled(compiled_methods: Sequence[Callable]) -> Iterator[None]:
    """Graphs made inside hold methods of layers as functions that XLA must compile.

    What lies outside of these methods, the ops on strings above all, runs as ever. Texts become
    ids of a few lengths.

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
        # Made anew for each call: kept, it could hold tensors of another signature's graph.
        function = tf.function(method, jit_compile=True, autograph=False)
        return function(*arguments, **options)

    return call


@contextlib.contextmanager
def rounded(compiled_methods: Sequence[Callable]) -> Iterator[None]:
    """Inside, the weights of layers are rounded to bfloat16.

    Args:
        compiled_methods: Bound methods of these layers.
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
    """Keeps the weights of layers as bfloat16, in half the room.

    A request widens them again before anything else, so that sums lose nothing.

    Args:
        compiled_methods: Bound methods of these layers.

    Returns:
        From a function that uses the weights to one that uses the narrow ones.
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
    """The float32 weights of the layers whose methods these are, each once."""
    found = {id(one): one for method in compiled_methods for one in method.__self__.variables}
    return [one for one in found.values() if one.dtype == "float32"]
