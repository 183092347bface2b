"""A model: several layers under one dictionary of weights."""

from rnnapps.reference.layer import Array, Gradients, Layer


class Network:
    """Named layers. A weight's name is `layer/weight`, such as `lstm/kernel`."""

    layers: dict[str, Layer]

    @property
    def params(self) -> dict[str, Array]:
        """All weights, without copying the layers' arrays."""
        return {
            f"{layer_name}/{name}": weight
            for layer_name, layer in self.layers.items()
            for name, weight in layer.params.items()
        }

    @staticmethod
    def named(**gradients: Gradients) -> dict[str, Array]:
        """Return all layers' weight gradients under the names of `params`."""
        return {
            f"{layer_name}/{name}": gradient
            for layer_name, of_layer in gradients.items()
            for name, gradient in of_layer.params.items()
        }
