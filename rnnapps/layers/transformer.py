"""TransformerStack: Transformer blocks with the `call` and `step` of a `RecurrentStack`."""

from typing import Any

import keras
import tensorflow as tf

from rnnapps.layers.base import check_choice, check_rank, check_sizes
from rnnapps.layers.cross_attention import CrossAttention
from rnnapps.layers.feed_forward import FeedForward
from rnnapps.layers.heads import check_heads
from rnnapps.layers.positions import POSITIONS, PositionEmbedding
from rnnapps.layers.registry import independent_seeds
from rnnapps.layers.self_attention import SelfAttention

BASES = (128**2, 128, 1)  # of a step count's digits, each exact in bfloat16


@keras.saving.register_keras_serializable("rnnapps")
class TransformerBlock(keras.layers.Layer):
    """Pre-norm self-attention with a residual connection, then a `FeedForward` layer.

    A decoder block has cross-attention between the two, in the same form.

    Args:
        attention: The `SelfAttention`, as wide as the input.
        expansion: Width of the feed-forward layer as a multiple of the input's.
        dropout: Dropout rate of the residual branches.
        seed: Seed of the dropout.
        cross_attention: The `CrossAttention` of a decoder block, as wide as the input.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        x: `(batch, time, width)`.
        mask: `(batch, time)`, false at steps to ignore.
        training: Whether to apply dropout.
        initial_state: The initial state of the self-attention.
        memory: Input of the cross-attention, `(batch, memory_time, memory_features)`.
        memory_mask: `(batch, memory_time)`, false at steps to ignore.
        keys: The output of the cross-attention's `keys(memory)`.

    Output:
        `(batch, time, width)`; then the self-attention's state if it returns one; then, for a
        decoder, the weights of the cross-attention, `(batch, num_heads, time, memory_time)`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745).
    """

    def __init__(
        self,
        attention: SelfAttention,
        expansion: int = 4,
        dropout: float = 0.0,
        seed: int | None = None,
        cross_attention: CrossAttention | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        first, second = independent_seeds(seed, 2)
        dtype = self.dtype_policy
        self.attention = attention
        self.norm = keras.layers.LayerNormalization(dtype=dtype, name="norm")
        self.drop = keras.layers.Dropout(dropout, seed=first, dtype=dtype)
        self.feed_forward = FeedForward(
            expansion, dropout, second, dtype=dtype, name="feed_forward"
        )
        self.seed = seed
        self.supports_masking = True
        self.cross_attention = cross_attention
        if cross_attention:
            self.cross_norm = keras.layers.LayerNormalization(dtype=dtype, name="cross_norm")

    def build(self, x_shape: tuple, memory_shape: tuple | None = None) -> None:
        """Creates the weights."""
        for layer in (self.norm, self.attention, self.feed_forward):
            layer.build(x_shape)
        if self.cross_attention:
            self.cross_norm.build(x_shape)
            self.cross_attention.build(x_shape, memory_shape)
        self.built = True

    def call(
        self,
        x,
        mask=None,
        training=None,
        initial_state=None,
        memory=None,
        memory_mask=None,
        keys=None,
    ):
        """See the class."""
        arguments = {"mask": mask, "training": training, "initial_state": initial_state}
        results = self.attention(self.norm(x), **arguments)
        y, *more = results if isinstance(results, list | tuple) else [results]
        x += self.drop(y, training=training)
        if self.cross_attention:
            arguments = {"memory_mask": memory_mask, "keys": keys, "training": training}
            y, weights = self.cross_attention(
                self.cross_norm(x), memory, return_attention_scores=True, **arguments
            )
            x += self.drop(y, training=training)
            more.append(weights)
        x = self.feed_forward(x, training=training)
        return (x, *more) if more else x

    def get_config(self) -> dict:
        """The layer's arguments."""
        own = {
            "attention": keras.saving.serialize_keras_object(self.attention),
            "expansion": self.feed_forward.expansion,
            "dropout": self.feed_forward.dropout,
            "seed": self.seed,
            "cross_attention": None,
        }
        if self.cross_attention:
            own["cross_attention"] = keras.saving.serialize_keras_object(self.cross_attention)
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict) -> "TransformerBlock":
        """Creates the layer from the output of `get_config`."""
        names = ("attention", "cross_attention")
        layers = {name: keras.saving.deserialize_keras_object(config.get(name)) for name in names}
        return cls(**{**config, **layers})


@keras.saving.register_keras_serializable("rnnapps")
class TransformerStack(keras.layers.Layer):
    """A Transformer encoder or causal decoder, interchangeable with a `RecurrentStack`.

    Pre-norm blocks of self-attention and feed-forward layers, and a final layer normalization. An
    input of a different width is first projected.

    With `causal=True` and a `window` the state is the KV cache of all blocks, passed from call to
    call and from `step` to `step`: the output is the same whether a sequence is processed at once
    or in parts. Each block attends to `window` earlier steps, so that the top block depends on
    `num_layers` times as many.

    A state can start with room for a few steps and grow with `make_room` before each step: it is
    then cheaper to carry for sequences shorter than the window.

    With `cross_attention=True` each block also attends to a memory, such as an encoder's output.

    Args:
        units: The width of each block.
        num_layers: Number of blocks.
        num_heads: Number of heads per block.
        causal: Whether to hide later steps.
        window: Number of earlier steps to attend to; all by default. Requires `causal=True`.
        positions: `"rotary"`, applied in each head; `"sinusoidal"` or `"learned"`, added to the
            input; or `"none"`.
        length: Number of learned positions; with `window` (at most `length`) they wrap around.
        expansion: Width of the feed-forward layers as a multiple of `units`.
        dropout: Dropout rate of the input, the residual branches and the attention weights.
        return_sequences: Whether to return the output at each step, or at the last unmasked step.
        return_state: Whether to also return the last state. Requires `window`.
        seed: Seed of the dropouts, which draw independently.
        cross_attention: Whether each block attends to a memory.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false at steps to ignore.
        training: Whether to apply dropout.
        initial_state: The initial states, as `return_state=True` returns them; zeros (no steps
            seen) by default.
        memory: With `cross_attention=True`, `(batch, memory_time, memory_features)`.
        memory_mask: `(batch, memory_time)`, false at steps to ignore.
        keys: The output of `keys(memory)`, to project the memory once for many calls.
        return_attention_scores: Whether to also return the top block's cross-attention weights.

    Output:
        `(batch, time, units)`, or `(batch, units)` with `return_sequences=False`; then, with
        `return_state=True`, the list of states: the step count of sinusoidal or learned positions,
        and three tensors per block (see `SelfAttention`); then, with
        `return_attention_scores=True`, the mean weights of all heads `(batch, time, memory_time)`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
        [Dai et al., 2019](https://arxiv.org/abs/1901.02860), for the state.

    Example:
    >>> TransformerStack(8, num_layers=2, num_heads=2)(np.zeros((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        num_heads: int = 4,
        causal: bool = False,
        window: int | None = None,
        positions: str = "rotary",
        length: int | None = None,
        expansion: int = 4,
        dropout: float = 0.0,
        return_sequences: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        cross_attention: bool = False,
        **kwargs: Any,
    ) -> None:
        check_sizes(units, num_layers, dropout=dropout)
        check_choice(positions, POSITIONS, "positions")
        check_heads(units, num_heads, positions == "rotary")
        if positions == "learned" and window and length and window > length:
            raise ValueError(
                f"Expected `window` to be at most `length`, the number of learned positions "
                f"({length}). Received: window={window}"
            )
        super().__init__(**kwargs)
        self.units = units
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.causal = causal
        self.window = window
        self.positions = positions
        self.length = length
        self.expansion = expansion
        self.dropout = dropout
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.seed = seed
        self.cross_attention = cross_attention
        self.supports_masking = True
        dtype = self.dtype_policy
        seeds = independent_seeds(seed, 2 * num_layers + 1)
        across = independent_seeds(seeds[-1], num_layers)
        self.embed = keras.layers.Dense(units, use_bias=False, dtype=dtype, name="embed")
        self.places = None
        if positions in ("sinusoidal", "learned"):
            own = {"repeats": window is not None, "dtype": dtype, "name": "position_embedding"}
            self.places = PositionEmbedding(positions, length, **own)
        self.drop = keras.layers.Dropout(dropout, seed=seeds[-1], dtype=dtype)
        self.blocks = []
        for index in range(num_layers):
            attention = SelfAttention(
                units,
                num_heads,
                causal=causal,
                window=window,
                rotary=positions == "rotary",
                dropout=dropout,
                return_state=return_state,
                seed=seeds[index],
                dtype=dtype,
                name="attention",
            )
            one = {"seed": seeds[num_layers + index], "dtype": dtype, "name": f"block_{index}"}
            if cross_attention:
                own = {"seed": across[index], "dtype": dtype, "name": "cross_attention"}
                one["cross_attention"] = CrossAttention(units, num_heads, dropout, **own)
            self.blocks.append(TransformerBlock(attention, expansion, dropout, **one))
        self.norm = keras.layers.LayerNormalization(dtype=dtype, name="norm")

    def build(self, sequence_shape: tuple, memory_shape: tuple | None = None) -> None:
        """Creates the weights."""
        check_rank(sequence_shape, 3, "sequence")
        if self.cross_attention != bool(memory_shape):
            raise ValueError(
                "Expected `memory` if and only if `cross_attention=True`. Received: "
                f"cross_attention={self.cross_attention}, memory's shape={memory_shape}"
            )
        shape = (*sequence_shape[:2], self.units)
        if sequence_shape[-1] != self.units:
            self.embed.build(sequence_shape)
        if self.places:
            self.places.build(shape)
        for block in self.blocks:
            block.build(shape, memory_shape)
        self.norm.build(shape)
        self.built = True

    @property
    def width(self) -> int:
        """The width of the output."""
        return self.units

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state."""
        of_block = [self.window * self.units, self.window * self.units, self.window]
        return [len(BASES)] * bool(self.places) + of_block * self.num_layers

    def first_state(self, batch_size, room: int | None = None) -> list:
        """The initial state: zeros.

        Args:
            batch_size: The batch size.
            room: Initial capacity in steps, see `make_room`; the window by default.

        Returns:
            The states, as `call` returns them.
        """
        sizes = self.state_sizes
        if room is not None:
            # A loop must not take the sizes for static: derive them from a non-static number.
            room = tf.compat.v1.placeholder_with_default(min(room, self.window), [])
            sizes = [
                *sizes[: bool(self.places)],
                *[room * self.units, room * self.units, room] * self.num_layers,
            ]
        return [tf.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    def make_room(self, state: list) -> list:
        """Doubles a state's capacity, up to the window, if a row has no room for the next step.

        Args:
            state: The states before a step.

        Returns:
            The states; `step` gives the same result as with full capacity from the start.
        """
        room = tf.shape(state[-1])[1]
        more = tf.minimum(room, self.window - room)

        def grown(x, heads: int = 1, width: int = 1):
            y = tf.reshape(x, (-1, heads, room * width))
            y = tf.pad(y, [[0, 0], [0, 0], [more * width, 0]])  # the oldest step is first
            y = tf.reshape(y, (-1, heads * (room + more) * width))
            return tf.ensure_shape(y, (x.shape[0], None))

        def doubled() -> list:
            head = (self.num_heads, self.units // self.num_heads)
            states = list(state)
            for i in range(bool(self.places), len(states), 3):
                keys, values, seen = states[i : i + 3]
                states[i : i + 3] = grown(keys, *head), grown(values, *head), grown(seen)
            return states

        full = tf.reduce_any(state[-1][:, 0] > 0) & (more > 0)
        return tf.cond(full, doubled, lambda: list(state))

    def keys(self, memory) -> list:
        """The keys and values of the memory for each block, the same at each step."""
        return [block.cross_attention.keys(memory) for block in self.blocks]

    def call(
        self,
        sequence,
        mask=None,
        training=None,
        initial_state=None,
        memory=None,
        memory_mask=None,
        keys=None,
        return_attention_scores=False,
    ):
        """See the class."""
        if self.cross_attention and keys is None:
            keys = self.keys(memory)
        x = keras.ops.cast(sequence, self.compute_dtype)
        x = self.embed(x) if self.embed.built else x
        last, states = [], list(initial_state or [])
        seen = tf.ones(tf.shape(x)[:2], tf.int32) if mask is None else tf.cast(mask, tf.int32)
        if self.places:
            count = _from_digits(states.pop(0)) if states else tf.zeros(tf.shape(x)[:1], tf.int32)
            places = count[:, tf.newaxis] + tf.cumsum(seen, axis=1)  # (batch, time), from 1
            x = self.places(x, positions=tf.maximum(places - 1, 0))
            digits = _to_digits(places[:, -1], x.dtype)
            last.append(tf.ensure_shape(digits, (x.shape[0], len(BASES))))
        x = self.drop(x, training=training)
        for index, block in enumerate(self.blocks):
            state, states = states[:3], states[3:]
            arguments = {"mask": mask, "training": training, "initial_state": state or None}
            if self.cross_attention:
                own = {"memory": memory, "memory_mask": memory_mask, "keys": keys[index]}
                x, *state, weights = block(x, **arguments, **own)
            else:
                results = block(x, **arguments)
                x, *state = results if self.return_state else [results]
            last += state
        x = self.norm(x)
        if not self.return_sequences:
            steps = tf.range(1, tf.shape(x)[1] + 1) * seen  # 0 at masked steps
            x = tf.gather(x, tf.argmax(steps, axis=1), batch_dims=1)
        results = [x, last] if self.return_state else [x]
        if return_attention_scores:
            results.append(tf.reduce_mean(weights, axis=1))
        return tuple(results) if len(results) > 1 else x

    def step(self, x, state: list, **of_memory: Any) -> tuple:
        """Computes one step, without dropout, like `call` on a sequence of length 1.

        Args:
            x: The input, `(batch, features)`.
            state: The previous states, as `call` returns them.
            **of_memory: `memory`, `memory_mask` and `keys`, as in `call`.

        Returns:
            The output `(batch, units)`, and the new states.
        """
        y, state = self(x[:, tf.newaxis], initial_state=state, training=False, **of_memory)
        return y[:, 0] if self.return_sequences else y, state

    def compute_output_spec(
        self, sequence, memory=None, return_attention_scores=False, **arguments
    ):
        """The shapes and dtypes of the outputs."""

        def spec(*shape):
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        batch, steps, _ = sequence.shape
        y = spec(batch, steps, self.units) if self.return_sequences else spec(batch, self.units)
        results = [y]
        if self.return_state:
            results.append([spec(batch, size) for size in self.state_sizes])
        if return_attention_scores:
            results.append(spec(batch, steps, memory.shape[1]))
        return tuple(results) if len(results) > 1 else y

    def compute_mask(self, sequence, mask=None):
        """The input's mask for the first output."""
        mask = keras.tree.flatten(mask)[0] if self.return_sequences else None
        if not self.return_state:
            return mask
        return mask, [None] * len(self.state_sizes)

    def get_config(self) -> dict:
        """The layer's arguments."""
        names = (
            "units", "num_layers", "num_heads", "causal", "window", "positions", "length",
            "expansion", "dropout", "return_sequences", "return_state", "seed", "cross_attention",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _to_digits(count, dtype):
    return tf.cast(count[:, tf.newaxis] // BASES % 128, dtype)


def _from_digits(digits):
    return tf.reduce_sum(tf.cast(digits, tf.int32) * BASES, axis=-1)
