"""Where gradients vanish or explode in a recurrent network."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def gradient_flow(model: keras.Model, batch: tuple) -> dict[str, np.ndarray]:
    """Measures how much the loss depends on each hidden state: the norm of dL/dh[t] over t.

    Towards the first steps the norm shrinks where gradients vanish, and grows where they explode.
    It counts every path from h[t] to the loss, through the outputs and through the steps after it.
    `rnnapps.figures.gradient_flow` draws it.

    Args:
        model: A compiled Keras model with recurrent layers of any cell, also inside other layers.
        batch: `(inputs, targets)`, as for `model.train_on_batch`.

    Returns:
        For each recurrent layer, by its name, the norms in the order of the inputs, `(time,)`,
        averaged over the batch. Masked steps count as zero.
    """
    inputs, targets = batch
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.RNN)]
    hidden = [[] for _ in layers]
    try:
        for layer, states in zip(layers, hidden, strict=True):
            layer.call = _step_by_step(layer, states)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(inputs, targets, model(inputs, training=False))
        gradients = tape.gradient(loss, hidden, unconnected_gradients="zero")
    finally:
        for layer in layers:
            del layer.call
    norms = {}
    for layer, steps in zip(layers, gradients, strict=True):
        values = np.array([np.linalg.norm(g, axis=-1).mean() for g in steps])
        norms[layer.name] = values[::-1] if layer.go_backwards else values
    return norms


def _step_by_step(layer: keras.layers.RNN, hidden: list) -> Any:
    """A layer's call, one step of its cell at a time, that keeps each new h[t]."""

    def call(sequences, initial_state=None, mask=None, training=None):
        state = initial_state or layer.get_initial_state(tf.shape(sequences)[0])
        state, outputs = keras.tree.flatten(state), []
        mask = keras.tree.flatten(mask)[0]
        output = tf.zeros_like(state[0])
        times = range(sequences.shape[1])
        for t in reversed(times) if layer.go_backwards else times:
            new_output, new_state = layer.cell(sequences[:, t], state)
            new_state = keras.tree.flatten(new_state)
            hidden.append(new_state[0])
            if mask is not None:
                keep = tf.cast(mask, "bool")[:, t, tf.newaxis]
                new_output = tf.where(keep, new_output, output)
                pairs = zip(new_state, state, strict=True)
                new_state = [tf.where(keep, new, old) for new, old in pairs]
            output, state = new_output, new_state
            outputs.append(output)
        result = tf.stack(outputs, axis=1) if layer.return_sequences else output
        result = tf.cast(result, layer.compute_dtype)  # a stack's cells have wider states
        return (result, *state) if layer.return_state else result

    return call
