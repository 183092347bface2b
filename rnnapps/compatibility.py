"""Former names: models saved by version 0.1.0 still load. Imports no Keras."""

from collections.abc import Callable, Mapping
from typing import Any

# The former names of layers' arguments in saved models, by the layer's current name.
_KEYS = {"RecurrentStack": {"kind": "cell"}}


def with_new_keys(layer: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Renames a layer's saved arguments to their current names.

    Args:
        layer: The name of the layer's class.
        config: The arguments, as saved by any version.

    Returns:
        The arguments of the layer's constructor.
    """
    return {_KEYS[layer].get(key, key): value for key, value in config.items()}


def formerly(name: str) -> Callable[[type], type]:
    """Registers a layer for Keras' serialization under its former name, too.

    Saved models find weights by class name: the former name is registered for a class of that name.

    Args:
        name: The former class name, such as `"Blend"`.

    Returns:
        A class decorator, to be placed above Keras' own.
    """

    def decorate(layer: type) -> type:
        import keras  # takes seconds, and only layers need it

        package = keras.saving.get_registered_name(layer).partition(">")[0]
        former = type(name, (layer,), {"__module__": layer.__module__, "__doc__": layer.__doc__})
        keras.saving.register_keras_serializable(package, name)(former)
        return layer

    return decorate
