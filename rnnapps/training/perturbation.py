"""Adversarial training: robustness to small steps of the embeddings."""

from typing import Any

import keras
import tensorflow as tf

_WEIGHT = 0.5  # of the perturbed texts' loss, beside that of the texts as they are


@keras.saving.register_keras_serializable("rnnapps")
class PerturbedNetwork(keras.Model):
    """A classifier's network that is trained on perturbed embeddings too.

    A perturbation is the step of the whole text's embeddings that raises its loss most. Its length
    is measured where each feature of the batch's tokens has variance 1, as if the embeddings were
    normalized: otherwise larger embeddings would make it small. The direction is looked for without
    dropout.

    Args:
        network: From ids `(batch, time)`, 0 where there is no token, to logits `(batch, classes)`;
            it has one layer named `embedding`.
        adversarial: Length of the step.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: ids `(batch, time)`.
        training: Whether to apply dropout.

    Output:
        The logits `(batch, classes)`.

    Reference:
        [Miyato et al., 2017](https://arxiv.org/abs/1605.07725);
        [Sachan et al., 2019](https://arxiv.org/abs/2009.04007).
    """

    def __init__(self, network: keras.Model, adversarial: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.network, self.adversarial = network, adversarial
        self.embedding = network.get_layer("embedding")
        # The ids give the mask, which is not the embeddings' own.
        inputs = [network.input, self.embedding.output]
        self.head = keras.Model(inputs, network.output, name="head")
        self.built = True

    def call(self, inputs, training=None):
        """See the class."""
        ids = inputs["ids"] if isinstance(inputs, dict) else inputs
        return self.network(ids, training=training)

    def train_step(self, data):
        """Looks for the step first, so that the weights' gradients know nothing of the search."""
        ids, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        step = self.worst_step(ids, labels)
        return super().train_step(({"ids": ids, "step": step}, labels, weights))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The compiled loss, and in a training step that of the perturbed texts on top."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training or not isinstance(x, dict):
            return loss
        logits = self.head([x["ids"], self.embedding(x["ids"]) + x["step"]], training=True)
        return loss + _WEIGHT * super().compute_loss(None, y, logits, sample_weight, training)

    def worst_step(self, ids, labels):
        """The step of texts' embeddings `(batch, time, features)` that raises the loss most.

        Args:
            ids: `(batch, time)`.
            labels: The classes' indices `(batch,)`.
        """
        embedded = self.embedding(ids)
        seen = tf.cast(ids != 0, embedded.dtype)[..., None]  # (batch, time, 1)
        count = tf.maximum(tf.reduce_sum(seen), 1)
        mean = tf.reduce_sum(embedded * seen, axis=(0, 1)) / count
        variance = tf.reduce_sum(tf.square(embedded - mean) * seen, axis=(0, 1)) / count
        scale = tf.sqrt(variance)  # (features,), by which normalizing would divide
        start = tf.zeros_like(embedded)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(start)
            logits = self.head([ids, embedded + scale * start], training=False)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        steepest = tape.gradient(losses, start)
        unit = tf.nn.l2_normalize(steepest, axis=(1, 2), epsilon=1e-24)  # of length 1 in each text
        return self.adversarial * scale * unit

    def get_config(self):
        # Keras cannot write down a model whose layers are another one's, too: the head's.
        network = keras.Model(self.network.input, self.network.output, name=self.network.name)
        network = keras.saving.serialize_keras_object(network)
        return {**super().get_config(), "network": network, "adversarial": self.adversarial}

    @classmethod
    def from_config(cls, config: dict) -> "PerturbedNetwork":
        """Makes the model from what `get_config` returned."""
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        return cls(network, **config)
