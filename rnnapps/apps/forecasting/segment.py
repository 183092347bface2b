"""Segments of the look-back to segments of the horizon."""

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.network import Network, Plan
from rnnapps.layers import recurrent


@keras.saving.register_keras_serializable("rnnapps")
class SegmentNetwork(Network):
    """A recurrent network whose steps are segments of the series.

    The look-back is cut into segments, each is projected to the cell's width, and the cell reads
    them. From its last state one step is taken for each segment of the horizon, all at once: the
    step's input says which segment it is and which target, and holds the segment's future
    covariates. What comes out is projected to the segment's steps.

    See `Network` for arguments, call arguments and output.

    Reference:
        - [Lin et al., 2023](https://arxiv.org/abs/2308.11200)
    """

    def __init__(self, plan: Plan | dict, **kwargs):
        super().__init__(plan, **kwargs)
        plan = self.plan
        options = {"return_sequences": True, "return_state": True}
        self.embed = keras.layers.Dense(plan.units, "relu", name="embed")
        self.cells = [
            recurrent(plan.cell, plan.units, **options, name=f"cell_{i}")
            for i in range(plan.layers)
        ]
        self.drop = keras.layers.Dropout(plan.dropout)
        self.ahead = keras.layers.Dense(plan.units, name="ahead") if plan.future else None
        self.pieces = -(-plan.horizon // plan.segment)
        self.padding = -plan.lookback % plan.segment  # steps put before the look-back

    def build(self, inputs_shape):
        plan = self.plan
        self.embed.build((None, None, plan.segment * plan.features))
        for cell in self.cells:
            cell.build((None, None, plan.units))
        if self.ahead:
            self.ahead.build((None, None, plan.segment * plan.ahead))
        self.head.build_for(plan.units, plan.segment * plan.variables)
        width = plan.units // 2 if plan.independent else plan.units
        normal = keras.initializers.RandomNormal(stddev=1.0)  # or the pieces begin as one
        self.position = self.add_weight((self.pieces, width), normal, name="position")
        if plan.independent:
            shape = (plan.targets, plan.units - width)
            self.channel = self.add_weight(shape, normal.clone(), name="channel")
        self.built = True

    def forecast(self, x, future, teacher, scale, training):
        plan = self.plan
        x = tf.pad(x, [[0, 0], [self.padding, 0], [0, 0]])
        x = tf.reshape(x, (-1, x.shape[1] // plan.segment, plan.segment * plan.features))
        rows, states = tf.shape(x)[0], []
        x = self.embed(x)  # (rows, segments, units)
        for cell in self.cells:
            x, *state = cell(x, training=training)
            x = self.drop(x, training=training) if plan.layers > 1 else x
            states.append(state)

        y = tf.tile(self.position[None], (rows, 1, 1))  # (rows, pieces, units or half of them)
        if plan.independent:
            channel = tf.gather(self.channel, self.channel_of(x))[:, None]
            y = tf.concat([y, tf.tile(channel, (1, self.pieces, 1))], axis=-1)
        if self.ahead:
            padding = self.pieces * plan.segment - plan.horizon
            future = tf.pad(future, [[0, 0], [0, padding], [0, 0]])
            future = tf.reshape(future, (-1, self.pieces, plan.segment * plan.ahead))
            y += tf.cast(self.ahead(future), y.dtype)
        y = tf.reshape(y, (-1, 1, plan.units))  # each piece takes one step from the same state
        for cell, state in zip(self.cells, states, strict=True):
            state = [tf.repeat(tensor, self.pieces, axis=0) for tensor in state]
            y, *_ = cell(y, initial_state=state, training=training)
        y = tf.reshape(y, (rows, self.pieces, plan.units))
        raw = self.head(self.drop(y, training=training))
        size = raw.shape[-1]
        raw = tf.reshape(raw, (rows, self.pieces * plan.segment, plan.variables, size))
        return raw[:, : plan.horizon]
