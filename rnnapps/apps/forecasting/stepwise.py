"""The classic recipes: all steps from the last state, or one after the other with a decoder."""

from collections.abc import Callable

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.network import Network, Plan
from rnnapps.layers import RecurrentStack, recurrent


@keras.saving.register_keras_serializable("rnnapps")
class DirectNetwork(Network):
    """Recurrent layers over the look-back, whose last state says all steps of the horizon at once.

    See `Network` for arguments, call arguments and output.
    """

    def __init__(self, plan: Plan | dict, **kwargs):
        super().__init__(plan, **kwargs)
        plan = self.plan
        self.stack = RecurrentStack(
            plan.cell, plan.units, plan.layers, dropout=plan.dropout, return_sequences=False
        )
        self.drop = keras.layers.Dropout(plan.dropout)
        self.mix = keras.layers.Dense(plan.units, "relu", name="mix") if plan.future else None

    def build(self, inputs_shape):
        plan = self.plan
        self.stack.build((None, None, plan.features))
        if self.mix:
            self.mix.build((None, plan.units + plan.horizon * plan.ahead))
        self.head.build_for(plan.units, plan.horizon * plan.variables)
        self.built = True

    def forecast(self, x, future, teacher, scale, training):
        plan = self.plan
        x = self.stack(x, training=training)  # (rows, units)
        if self.mix:
            flat = tf.reshape(future, (-1, plan.horizon * plan.ahead))
            x = self.mix(tf.concat([x, tf.cast(flat, x.dtype)], axis=-1))
        raw = self.head(self.drop(x, training=training))
        return tf.reshape(raw, (-1, plan.horizon, plan.variables, raw.shape[-1]))


@keras.saving.register_keras_serializable("rnnapps")
class DecoderNetwork(Network):
    """An encoder that reads the look-back, and a decoder that writes the horizon step by step.

    The decoder's input is the value of the step before and the future covariates of its own. While
    it trains it is told the truth of the step before with probability `truth_share`, and else goes
    on from what it said itself; with `plan.paths` (DeepAR) it is always told, and a forecast is a
    number of paths, each of which goes on from values drawn from the distribution. Unlike in the
    paper the encoder has weights of its own, so that it can read past covariates.

    See `Network` for arguments, call arguments and output.

    Reference:
        - [Bengio et al., 2015](https://arxiv.org/abs/1506.03099), scheduled sampling
        - [Salinas et al., 2020](https://arxiv.org/abs/1704.04110), DeepAR
    """

    def __init__(self, plan: Plan | dict, **kwargs):
        super().__init__(plan, **kwargs)
        plan = self.plan
        options = {"return_sequences": True, "return_state": True}
        self.encoder, self.decoder = (
            [
                recurrent(plan.cell, plan.units, **options, name=f"{part}_{i}")
                for i in range(plan.layers)
            ]
            for part in ("encoder", "decoder")
        )
        self.drop = keras.layers.Dropout(plan.dropout)
        self.seeds = keras.random.SeedGenerator()

    def build(self, inputs_shape):
        plan = self.plan
        self.truth_share = self.add_weight((), "ones", trainable=False, name="truth_share")
        first = (plan.features, plan.variables + plan.ahead)
        for part, features in zip((self.encoder, self.decoder), first, strict=True):
            for i, layer in enumerate(part):
                layer.build((None, None, plan.units if i else features))
        self.head.build_for(plan.units, plan.variables)
        self.built = True

    def forecast(self, x, future, teacher, scale, training):
        states = self.encode(x, training)
        value = x[:, -1, : self.plan.variables]  # (rows, variables)
        if teacher is not None and (self.plan.paths or training):
            before = tf.concat([value[:, None], teacher[:, :-1]], axis=1)
            if self.plan.paths:
                return self._told(before, future, states, training)
            coins = tf.random.stateless_uniform(
                tf.shape(before)[:2], tf.cast(self.seeds.next(), tf.int32)
            )
            told = tf.where((coins < self.truth_share)[..., None], before, float("nan"))
        else:
            told = tf.fill((tf.shape(x)[0], self.plan.horizon, self.plan.variables), float("nan"))

        def point(raw):
            parameters = self.likelihood.activate(raw, None if scale is None else scale[:, 0])
            return self.likelihood.point(parameters)

        return self._walk(value, told, future, states, training, point)[0]

    def draw_paths(self, x, future, scale):
        count = self.plan.samples

        def repeated(tensor):
            return None if tensor is None else tf.repeat(tensor, count, axis=0)

        states = [[repeated(one) for one in state] for state in self.encode(x, False)]
        value, future, scale = (repeated(one) for one in (x[:, -1], future, scale))
        value = value[:, : self.plan.variables]
        rows = tf.shape(value)[0]
        told = tf.fill((rows, self.plan.horizon, self.plan.variables), float("nan"))

        def draw(raw, t):
            parameters = self.likelihood.activate(raw, None if scale is None else scale[:, 0])
            return self.likelihood.sample(parameters, 1, tf.stack([t, 2026]))[0]

        _, paths = self._walk(value, told, future, states, False, draw, counted=True)
        paths = tf.reshape(paths, (-1, count, self.plan.horizon, self.plan.variables))
        return tf.transpose(paths, (1, 0, 2, 3))

    @property
    def core(self) -> list[Callable]:
        """See `Network`; what is drawn between two steps lies outside."""
        return [self.encode, self.step]

    def encode(self, x, training) -> list:
        """The states after the look-back, which the decoder starts from."""
        states = []
        for layer in self.encoder:
            x, *state = layer(x, training=training)
            x = self.drop(x, training=training) if self.plan.layers > 1 else x
            states.append(state)
        return states

    def _told(self, before, future, states, training):
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
            x, state = layer.cell(x, state, training=training)
            after.append(list(state))
            x = self.drop(x, training=training)
        return tf.cast(self.head(x), "float32"), after

    def _walk(self, value, told, future, states, training, choose, counted=False):
        """One step after the other.

        Args:
            value: What came before the first step, `(rows, variables)`.
            told: What came before each step, `(rows, horizon, variables)`, NaN where the network
                is to go on from what it chose.
            future: Future covariates `(rows, horizon, future)`, or `None`.
            states: The states of each layer.
            training: Whether to apply dropout.
            choose: From raw parameters (and, if `counted`, the step) to a value.
            counted: See `choose`.

        Returns:
            Raw parameters `(rows, horizon, variables, size)`, and the values chosen.
        """
        horizon, dtype = self.plan.horizon, value.dtype
        said = tf.TensorArray("float32", horizon, element_shape=(None, None, None))
        chosen = tf.TensorArray(dtype, horizon, element_shape=(None, None))

        def body(t, value, states, said, chosen):
            known = told[:, t]
            x = tf.where(tf.math.is_nan(known), value, known)
            x = x if future is None else tf.concat([x, tf.cast(future[:, t], dtype)], axis=-1)
            raw, states = self.step(x, states, training)
            value = tf.cast(choose(raw, t) if counted else choose(raw), dtype)
            return t + 1, value, states, said.write(t, raw), chosen.write(t, value)

        loop = (tf.constant(0), value, states, said, chosen)
        *_, said, chosen = tf.while_loop(
            lambda t, *_: t < horizon, body, loop, maximum_iterations=horizon
        )
        raw = tf.transpose(said.stack(), (1, 0, 2, 3))
        raw = tf.ensure_shape(raw, (None, horizon, self.plan.variables, self.likelihood.size))
        return raw, tf.transpose(chosen.stack(), (1, 0, 2))


class LessTruth(keras.callbacks.Callback):
    """Lets a decoder rely more and more on itself: the truth's share falls to 0 by mid-training.

    Args:
        network: The decoder network.
        share: The share at first.
        epochs: Epochs of the training.
    """

    def __init__(self, network: DecoderNetwork, share: float, epochs: int):
        super().__init__()
        self.network, self.share, self.epochs = network, share, epochs

    def on_epoch_begin(self, epoch, logs=None):
        left = max(0.0, 1 - epoch / max(1, self.epochs / 2))
        self.network.truth_share.assign(self.share * left)
