"""MinGRU: a GRU whose gates do not depend on the state, so that all are computed at once."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers import scan
from rnnapps.layers.base import CellMixin, RecurrentLayer, in_float32, project

_ABOUT_A_WEIGHT = ("initializer", "regularizer", "constraint")
_OF_A_RECURRENT_KERNEL = {f"recurrent_{what}" for what in _ABOUT_A_WEIGHT} | {"reset_after"}


@keras.saving.register_keras_serializable("rnnapps")
class MinGRUCell(CellMixin, keras.layers.GRUCell):
    r"""One step of a minimal gated recurrent unit.

        z    = sigmoid(x[t] K_z + b_z)
        a    = x[t] K_h + b_h
        h[t] = (1 - z) * h[t-1] + z * a

    The weights are `kernel` `(features, 2 * units)` and `bias` `(2 * units,)`, in the order z, h.
    There is no recurrent kernel: units interact only in the next layer.

    Args:
        units: The width of the state.
        activation: Activation of the candidate `a`; linear by default, as in the paper.
        dropout: Fraction of the inputs to drop.
        recurrent_dropout: Fraction of the candidate's features to drop; the previous state is kept
            whole (Semeniuta et al., 2016).
        **kwargs: `recurrent_activation`, `use_bias`, `seed`, and the initializers, regularizers and
            constraints of the kernel and the bias, as in `keras.layers.GRUCell`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `h`, `(batch, units)`.
        training: Whether to apply dropout.

    Output:
        `(h, [h])`, each `(batch, units)`.

    Raises:
        ValueError: If `units` or a dropout rate is out of range, or an argument configures a
            recurrent kernel.

    Reference:
        [Feng et al., 2024](https://arxiv.org/abs/2410.01201);
        [Semeniuta et al., 2016](https://arxiv.org/abs/1603.05118).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        for name in _OF_A_RECURRENT_KERNEL & kwargs.keys():
            raise ValueError(
                f"Expected no `{name}`, as a minimal GRU has no recurrent kernel. "
                f"Received: {name}={kwargs[name]!r}"
            )
        super().__init__(
            units,
            activation=activation,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            **kwargs,
        )

    def build(self, input_shape: tuple) -> None:
        """Create the weights."""
        width = 2 * self.units

        def weight(name: str, shape: tuple):
            about = (getattr(self, f"{name}_{what}") for what in _ABOUT_A_WEIGHT)
            arguments = dict(zip(_ABOUT_A_WEIGHT, about, strict=True))
            return self.add_weight(shape=shape, name=name, **arguments)

        self.kernel = weight("kernel", (input_shape[-1], width))
        self.bias = weight("bias", (width,)) if self.use_bias else None
        self.built = True

    def call(self, inputs, states, training=False):
        """See the class."""
        h = states[0] if keras.tree.is_nested(states) else states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        projected = ops.matmul(inputs, self.kernel)
        if self.use_bias:
            projected = projected + self.bias
        mask = self.get_recurrent_dropout_mask(h) if training and self.recurrent_dropout else None
        kept, added = self.terms(projected, mask)
        h = kept * h + added
        return h, [h]

    def terms(self, projected, dropout_mask=None) -> tuple:
        """The factor of the previous state and the term added to it, from `x[t] K + b`."""
        z, a = ops.split(projected, 2, axis=-1)
        z, a = self.recurrent_activation(z), self.activation(a)
        return 1 - z, z * (a if dropout_mask is None else a * dropout_mask)

    def get_config(self) -> dict:
        """The cell's arguments."""
        config = super().get_config()
        return {name: config[name] for name in config if name not in _OF_A_RECURRENT_KERNEL}


@keras.saving.register_keras_serializable("rnnapps")
class MinGRU(RecurrentLayer):
    """A minimal gated recurrent unit: `MinGRUCell` over a sequence.

    One matrix product computes the gates of all steps; the loop is elementwise
    (`rnnapps.layers.scan.linear`), with any activation. A single layer does not mix features over
    time: stack two or more.

    Args:
        units: The width of the state.
        weight_drop: Must be 0: there is no recurrent kernel.
        **kwargs: The other arguments of `MinGRUCell` and of `keras.layers.RNN`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h]`, `(batch, units)`; zeros by default.
        mask: `(batch, time)`, false at steps to skip.
        training: Whether to apply dropout.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Feng et al., 2024](https://arxiv.org/abs/2410.01201).

    Example:
    >>> MinGRU(8, return_sequences=True)(np.zeros((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    cell_class = MinGRUCell

    def __init__(self, units: int, weight_drop: float = 0.0, **kwargs: Any) -> None:
        if weight_drop:
            raise ValueError(
                "Expected `weight_drop=0.0`, as a minimal GRU has no recurrent kernel. "
                f"Received: weight_drop={weight_drop!r}"
            )
        super().__init__(units, **kwargs)

    @property
    def can_scan(self) -> bool:
        """Whether to scan: with any activation, since none depends on the state."""
        return not self.unroll

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""

        def loop(x, h, dropout_mask):
            kept, added = self.cell.terms(x, dropout_mask)
            if mask is not None:  # masked steps keep the state
                kept = tf.where(mask, kept, tf.ones_like(kept))
                added = tf.where(mask, added, tf.zeros_like(added))
            return scan.linear(kept, added, h)

        x = project(x, self.cell.kernel, self.cell.bias)
        outputs, h = in_float32(loop, x, *state, dropout_mask)
        return outputs, [h]
