"""An ensemble: networks trained with different seeds, averaged."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.networks import ForecastNetwork


@keras.saving.register_keras_serializable("rnnapps")
class Ensemble(keras.layers.Layer):
    """The mean of several networks' points and quantiles.

    Args:
        networks: Networks for the same task.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: The inputs of the networks.

    Output:
        Points and quantiles `(batch, horizon, targets, 1 + levels)`.

    Reference:
        - [Lakshminarayanan et al., 2017](https://arxiv.org/abs/1612.01474)
    """

    def __init__(self, networks: Sequence[ForecastNetwork], **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.networks = list(networks)

    def build(self, inputs_shape=None):
        for network in self.networks:
            if not network.built:
                network.build()
        self.built = True

    @property
    def compiled_methods(self) -> list[Callable]:
        """The methods of all networks that do the numeric work."""
        return [method for network in self.networks for method in network.compiled_methods]

    def answer(self, inputs):
        """The mean point and quantiles; see the class."""
        return tf.add_n([one.answer(inputs) for one in self.networks]) / len(self.networks)

    def call(self, inputs):
        return self.answer(inputs)

    def get_config(self):
        networks = [keras.saving.serialize_keras_object(one) for one in self.networks]
        return {"name": self.name, "networks": networks}

    @classmethod
    def from_config(cls, config):
        networks = [keras.saving.deserialize_keras_object(one) for one in config["networks"]]
        return cls(networks, name=config["name"])
