"""The forecaster's network: the page to edit."""

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.encoder_decoder import EncoderDecoderRNN
from rnnapps.apps.forecasting.networks import DirectRNN, ForecastNetwork, NetworkConfig
from rnnapps.config import TRANSFORMER
from rnnapps.layers import PreNormBlock, make_body, recurrent
from rnnapps.training import Rows


@keras.saving.register_keras_serializable("rnnapps")
class SegmentRNN(ForecastNetwork):
    """A recurrent network whose time steps are segments of the series.

    The look-back is split into segments, each projected to the cell's width and read by the cell.
    From the last state, the cell takes one step per segment of the horizon, in parallel: its input
    encodes the segment's position and target, and its future covariates. The output is projected to
    the segment's steps.

    See `ForecastNetwork` for arguments, call arguments and output.

    Reference:
        - [Lin et al., 2023](https://arxiv.org/abs/2308.11200)
    """

    def __init__(self, task: Task | dict, config: NetworkConfig | dict, **kwargs):
        super().__init__(task, config, **kwargs)
        task, config = self.task, self.config
        self.embed = keras.layers.Dense(config.units, "relu", name="embed")
        self._make_reader()
        self.drop = keras.layers.Dropout(config.dropout)
        self.ahead = keras.layers.Dense(config.units, name="ahead") if task.future else None
        self.pieces = -(-task.horizon // task.segment)
        self.padding = -task.lookback % task.segment  # padding before the look-back, in steps

    def _make_reader(self) -> None:
        config = self.config
        options = {"return_sequences": True, "return_state": True}
        self.cells = [
            recurrent(config.cell, config.units, **options, name=f"cell_{i}")
            for i in range(config.layers)
        ]
        self.blocks, self.norm = [], None
        if config.block == "pre_norm":
            self.blocks = [PreNormBlock(config.units, config.dropout) for _ in self.cells]
            self.norm = keras.layers.LayerNormalization(name="norm")

    @property
    def readers(self) -> list[keras.layers.Layer]:
        """The layers that process the projected segments."""
        return [*self.cells, *self.blocks, *([self.norm] if self.blocks else [])]

    def build(self, inputs_shape=None):
        units, segment = self.config.units, self.task.segment
        self.embed.build((None, None, segment * self.features))
        for layer in self.readers:
            layer.build((None, None, units))
        if self.ahead:
            self.ahead.build((None, None, segment * self.known_ahead))
        self.head.build_for(units, segment * self.per_row)
        width = units // 2 if self.config.independent else units
        normal = keras.initializers.RandomNormal(stddev=1.0)  # otherwise all pieces start equal
        self.position = self.add_weight((self.pieces, width), normal, name="position")
        if self.config.independent:
            shape = (self.task.targets, units - width)
            self.channel = self.add_weight(shape, normal.clone(), name="channel")
        super().build(inputs_shape)

    def forecast(self, x, future, teacher, scale, training):
        segment, horizon = self.task.segment, self.task.horizon
        x = tf.pad(x, [[0, 0], [self.padding, 0], [0, 0]])  # (rows, segments * segment, features)
        x = tf.reshape(x, (-1, x.shape[1] // segment, segment * self.features))
        rows = tf.shape(x)[0]
        x = self.embed(x)  # (rows, segments, units)
        y = tf.tile(self.position[None], (rows, 1, 1))  # (rows, pieces, units or half of them)
        if self.config.independent:
            channel = tf.gather(self.channel, self.channel_of(x))[:, None]
            y = tf.concat([y, tf.tile(channel, (1, self.pieces, 1))], axis=-1)
        if self.ahead:
            future = tf.pad(future, [[0, 0], [0, self.pieces * segment - horizon], [0, 0]])
            future = tf.reshape(future, (-1, self.pieces, segment * self.known_ahead))
            y += tf.cast(self.ahead(future), y.dtype)
        y = self.read(x, y, training)  # (rows, pieces, units)
        raw = self.head(self.drop(y, training=training))  # (rows, pieces, segment * per_row, size)
        raw = tf.reshape(raw, (rows, self.pieces * segment, self.per_row, raw.shape[-1]))
        return raw[:, :horizon]

    def read(self, x, y, training):
        """Processes the look-back's segments, then those of the horizon.

        Args:
            x: `(rows, segments, units)`.
            y: `(rows, pieces, units)`, position embeddings and covariates of the horizon's pieces.
            training: Whether to apply dropout.

        Returns:
            The output for each piece, `(rows, pieces, units)`.
        """
        states, units = [], self.config.units
        for index in range(len(self.cells)):
            x, *state = self._through(index, x, training)
            x = self.drop(x, training=training) if self.config.layers > 1 else x
            states.append(state)
        y = tf.reshape(y, (-1, 1, units))  # each piece takes one step from the same state
        for index, state in enumerate(states):
            state = [tf.repeat(tensor, self.pieces, axis=0) for tensor in state]
            y, *_ = self._through(index, y, training, state)
        y = self.norm(y) if self.blocks else y
        return tf.reshape(y, (-1, self.pieces, units))

    def _through(self, index: int, x, training, state=None) -> tuple:
        """The outputs and states of a cell and its block for `x`."""
        block = self.blocks[index] if self.blocks else None
        read = block.before(x) if block else x
        y, *state = self.cells[index](read, initial_state=state, training=training)
        return (block(x, read, y, training=training) if block else y), *state


@keras.saving.register_keras_serializable("rnnapps")
class SegmentTransformer(SegmentRNN):
    """A Transformer over the segments of the look-back and the horizon, with full attention.

    See `SegmentRNN` and `ForecastNetwork`.

    Reference:
        - [Nie et al., 2023](https://arxiv.org/abs/2211.14730), for a Transformer over segments
    """

    def _make_reader(self) -> None:
        config, segments = self.config, -(-self.task.lookback // self.task.segment)
        self.body = make_body(
            TRANSFORMER,
            config.units,
            bidirectional=True,
            num_layers=config.layers,
            num_heads=config.heads,
            positions=config.positions,
            length=segments - (-self.task.horizon // self.task.segment),
            dropout=config.dropout,
            name="body",
        )

    @property
    def readers(self):
        return [self.body]

    def read(self, x, y, training):
        y = tf.concat([x, tf.cast(y, x.dtype)], axis=1)  # (rows, segments + pieces, units)
        return self.body(y, training=training)[:, -self.pieces :]


_NETWORKS = {
    TRANSFORMER: SegmentTransformer,
    "segment": SegmentRNN,
    "direct": DirectRNN,
    "encoder_decoder": EncoderDecoderRNN,
    "deepar": EncoderDecoderRNN,
}


def build_network(config: ForecastingConfig, task: Task) -> keras.Model:
    """Builds the recurrent network.

    Args:
        config: The configuration.
        task: The forecasting task.

    Returns:
        A model from scaled values, a dictionary of `history (batch, lookback, columns)` with NaN
        where missing and the other inputs that `inputs_of` names, to the likelihood's parameters
        `(batch, horizon, targets, parameters)`. Its one layer `network` holds the weights.
    """
    inputs = {
        name: keras.Input(shape, name=name) for name, shape in inputs_of(config, task).items()
    }
    kind = TRANSFORMER if config.cell == TRANSFORMER else config.model
    network = _NETWORKS[kind](task, network_config(config, task), name="network")
    return keras.Model(inputs, network(inputs), name="training")


def named_rows(task: Task) -> dict[str, Rows]:
    """The names of the rows of the network's weights.

    Args:
        task: The forecasting task.
    """
    return {"channel": Rows(0, task.columns.targets)}


def inputs_of(config: ForecastingConfig, task: Task) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's inputs, by name."""
    shapes: dict[str, tuple[int, ...]] = {"history": (task.lookback, len(task.columns.names))}
    if task.future:
        shapes["future"] = (task.horizon, task.future)
    if config.model in ("encoder_decoder", "deepar"):
        shapes["teacher"] = (task.horizon, task.targets)
    if config.likelihood == "negative_binomial":
        shapes["scale"] = (task.targets,)
    return shapes


def network_config(config: ForecastingConfig, task: Task) -> NetworkConfig:
    """The network's settings, from the configuration and the kind of data."""
    counts = config.likelihood == "negative_binomial"  # counts are not shifted
    # For many hourly series a linear map is better than the cell: benchmarks/RESULTS.md.
    linear = config.linear or (task.population and len(task.cycles) > 1)
    return NetworkConfig(
        cell=config.cell,
        units=config.units,
        layers=config.layers,
        dropout=config.dropout,
        independent=config.channels == "independent",
        normalization="none" if counts else config.normalization,
        linear=linear and config.model in ("segment", "direct") and not counts,
        likelihood=config.likelihood,
        levels=config.quantiles,
        loss=task.loss,
        samples=config.samples,
        paths=config.model == "deepar",
        block=config.block,
        heads=config.heads,
        positions=config.positions,
    )
