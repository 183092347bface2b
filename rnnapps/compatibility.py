"""Former names: models saved by version 0.1.0 still load. Imports no Keras."""

from collections.abc import Callable, Mapping
from typing import Any

# The arguments of layers, as saved models have them, by the layer's present name.
_KEYS = {"RecurrentStack": {"kind": "cell"}}


def with_new_keys(layer: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's saved arguments under their present names.

    Args:
        layer: The name of the layer's class.
        config: The arguments, as any version saved them.

    Returns:
        The arguments, as the layer's constructor takes them.
    """
    return {_KEYS[layer].get(key, key): value for key, value in config.items()}


def formerly(name: str) -> Callable[[type], type]:
    """Registers a layer for Keras' serialization under the name that it had before, too.

    A saved model finds its weights by the names of the layers' classes: so what it finds under the
    former name is a class of that name.

    Args:
        name: The class' former name, such as `"Blend"`.

    Returns:
        A decorator of the class, to stand above Keras' own.
    """

    def decorate(layer: type) -> type:
        import keras  # which takes seconds, and only layers need it

        package = keras.saving.get_registered_name(layer).partition(">")[0]
        former = type(name, (layer,), {"__module__": layer.__module__, "__doc__": layer.__doc__})
        keras.saving.register_keras_serializable(package, name)(former)
        return layer

    return decorate
