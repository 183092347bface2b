"""An encoder of the look-back, and a decoder that predicts the horizon step by step."""

from collections.abc import Callable

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.networks import ForecastNetwork, NetworkConfig
from rnnapps.layers import one_step, recurrent


@keras.saving.register_keras_serializable("rnnapps")
class EncoderDecoderRNN(ForecastNetwork):
    """An encoder that reads the look-back, and a decoder that writes the horizon step by step.

    The decoder's input is the value of the step before and the future covariates of its own. While
    it trains it is given the true value of the step before with probability `truth_share`, and else
    its own output; with `config.paths` (DeepAR) it is always given the true value, and a forecast
    is a number of paths, each of which goes on from values drawn from the distribution. Unlike in
    the paper the encoder has weights of its own, so that it can read past covariates.

    See `ForecastNetwork` for arguments, call arguments and output.

    Reference:
        - [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), scheduled sampling
        - [Salinas et al., 2020](https://arxiv.org/abs/1704.04110), DeepAR
    """

    def __init__(self, task: Task | dict, config: NetworkConfig | dict, **kwargs):
        super().__init__(task, config, **kwargs)
        config = self.config
        options = {"return_sequences": True, "return_state": True}
        self.encoder, self.decoder = (
            [
                recurrent(config.cell, config.units, **options, name=f"{part}_{i}")
                for i in range(config.layers)
            ]
            for part in ("encoder", "decoder")
        )
        self.drop = keras.layers.Dropout(config.dropout)
        self.seeds = keras.random.SeedGenerator()

    def build(self, inputs_shape=None):
        units = self.config.units
        self.truth_share = self.add_weight((), "ones", trainable=False, name="truth_share")
        first = (self.features, self.per_row + self.known_ahead)
        for part, features in zip((self.encoder, self.decoder), first, strict=True):
            for i, layer in enumerate(part):
                layer.build((None, None, units if i else features))
        self.head.build_for(units, self.per_row)
        self.built = True

    def forecast(self, x, future, teacher, scale, training):
        states = self.encode(x, training)
        value = x[:, -1, : self.per_row]  # (rows, per_row)
        before = given = None
        if teacher is not None and (self.config.paths or training):
            before = tf.concat([value[:, None], teacher[:, :-1]], axis=1)
            if self.config.paths:
                return self._teach(before, future, states, training)
            seed = tf.cast(self.seeds.next(), tf.int32)
            given = tf.random.stateless_uniform(tf.shape(before)[:2], seed) < self.truth_share

        def point(raw, t):
            parameters = self.likelihood.activate(raw, None if scale is None else scale[:, 0])
            return self.likelihood.point(parameters)

        return self._walk(value, future, states, training, point, before, given)[0]

    def draw_paths(self, x, future, scale):
        count = self.config.samples

        def repeated(tensor):
            return None if tensor is None else tf.repeat(tensor, count, axis=0)

        states = [[repeated(one) for one in state] for state in self.encode(x, False)]
        value, future, scale = (repeated(one) for one in (x[:, -1], future, scale))

        def draw(raw, t):
            parameters = self.likelihood.activate(raw, None if scale is None else scale[:, 0])
            apart = tf.reshape(parameters, (-1, count, self.per_row, parameters.shape[-1]))
            drawn = self.likelihood.sample(apart, tf.stack([t, 2026]))
            return tf.reshape(drawn, (-1, self.per_row))

        _, paths = self._walk(value[:, : self.per_row], future, states, False, draw)
        paths = tf.reshape(paths, (-1, count, self.task.horizon, self.per_row))
        return tf.transpose(paths, (1, 0, 2, 3))

    @property
    def compiled_methods(self) -> list[Callable]:
        """See `ForecastNetwork`; what is drawn between two steps lies outside."""
        return [self.encode, self.step]

    def encode(self, x, training) -> list:
        """The states after the look-back, which the decoder starts from."""
        states = []
        for layer in self.encoder:
            x, *state = layer(x, training=training)
            x = self.drop(x, training=training) if self.config.layers > 1 else x
            states.append([tf.cast(one, layer.variable_dtype) for one in state])  # as `step` has it
        return states

    def _teach(self, before, future, states, training):
        """All steps at once, where the value before each is known."""
        x = before if future is None else tf.concat([before, future], axis=-1)
        for layer, state in zip(self.decoder, states, strict=True):
            x, *_ = layer(x, initial_state=state, training=training)
            x = self.drop(x, training=training)
        return self.head(x)

    def step(self, x, states: list, training) -> tuple:
        """Reads one step `(rows, features)`: its raw parameters, and the states after it."""
        after = []
        for layer, state in zip(self.decoder, states, strict=True):
            x, state = one_step(layer.cell, x, state, training)
            after.append(state)
            x = self.drop(x, training=training)
        return tf.cast(self.head(x), "float32"), after

    def _walk(self, value, future, states, training, choose, before=None, given=None):
        """One step after the other.

        Args:
            value: The last value of the look-back, `(rows, per_row)`.
            future: Future covariates `(rows, horizon, known_ahead)`, or `None`.
            states: The states of each layer.
            training: Whether to apply dropout.
            choose: From raw parameters and the step's number to a value.
            before: The true value before each step, `(rows, horizon, per_row)`, or `None`.
            given: Where it is the input `(rows, horizon)`; elsewhere the last chosen value is.

        Returns:
            Raw parameters `(rows, horizon, per_row, size)`, and the values chosen.
        """
        horizon, dtype = self.task.horizon, value.dtype
        outputs = tf.TensorArray("float32", horizon, element_shape=(None, None, None))
        chosen = tf.TensorArray(dtype, horizon, element_shape=(None, None))

        def body(t, value, states, outputs, chosen):
            x = value
            if before is not None:
                x = tf.where(given[:, t, None], before[:, t], x)
            x = x if future is None else tf.concat([x, tf.cast(future[:, t], dtype)], axis=-1)
            raw, states = self.step(x, states, training)
            value = tf.cast(choose(raw, t), dtype)
            return t + 1, value, states, outputs.write(t, raw), chosen.write(t, value)

        loop = (tf.constant(0), value, states, outputs, chosen)
        *_, outputs, chosen = tf.while_loop(
            lambda t, *_: t < horizon, body, loop, maximum_iterations=horizon
        )
        raw = tf.transpose(outputs.stack(), (1, 0, 2, 3))
        raw = tf.ensure_shape(raw, (None, horizon, self.per_row, self.likelihood.size))
        return raw, tf.transpose(chosen.stack(), (1, 0, 2))


class ScheduledSampling(keras.callbacks.Callback):
    """Gives a decoder ever less of the truth: the truth's share falls to 0 by mid-training.

    Args:
        network: The decoder's network.
        share: The share at first.
        epochs: Epochs of the training.
    """

    def __init__(self, network: EncoderDecoderRNN, share: float, epochs: int):
        super().__init__()
        self.network, self.share, self.epochs = network, share, epochs

    def on_epoch_begin(self, epoch, logs=None):
        left = max(0.0, 1 - epoch / max(1, self.epochs / 2))
        self.network.truth_share.assign(self.share * left)
