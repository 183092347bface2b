"""Every plot. Each function writes one PNG."""

import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

matplotlib.use("Agg")  # figures go to files; no display is needed


def _save(figure: Figure, path: pathlib.Path | str) -> None:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def learning_curves(history: Sequence[dict[str, float]], path: pathlib.Path | str) -> None:
    """Draws each metric over the epochs, training and validation together.

    Args:
        history: One dictionary of metrics for each epoch.
        path: The PNG to write.
    """
    names = [n for n in (history[0] if history else {}) if not n.startswith("val_")]
    names = [n for n in names if n not in ("epoch", "learning_rate")] or ["loss"]
    figure = Figure(figsize=(4.5 * len(names), 3.2))
    for name, axes in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(row["epoch"], row[key]) for row in history if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    _save(figure, path)


def confusion_matrix(
    counts: Sequence[Sequence[int]], classes: Sequence[str], path: pathlib.Path | str
) -> None:
    """Draws how often each true class was taken for each other.

    Args:
        counts: Counts `(classes, classes)`; rows are true classes.
        classes: The classes' names.
        path: The PNG to write.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    size = 1.8 + 0.8 * len(classes)
    figure = Figure(figsize=(size, size))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        colour = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right")
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="predicted", ylabel="true")
    _save(figure, path)


def reliability_diagram(points: np.ndarray, path: pathlib.Path | str) -> None:
    """Draws accuracy against confidence; a calibrated model lies on the diagonal.

    Args:
        points: `(bins, 3)`: mean confidence, accuracy, share of the examples.
        path: The PNG to write.
    """
    confidence, accuracy, share = points.T
    figure = Figure(figsize=(4, 4))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot(confidence, accuracy, color="C0")
    axes.scatter(confidence, accuracy, s=20 + 400 * share, color="C0", alpha=0.6)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    _save(figure, path)


def gradient_flow(model, batch: tuple, path: pathlib.Path | str | None = None) -> dict:
    """Draws how much the loss depends on each hidden state: the norm of dL/dh[t] over t.

    Towards the first steps the norm shrinks where gradients vanish, and grows where they explode.
    It counts every path from h[t] to the loss, through the outputs and through the steps after it.

    Args:
        model: A compiled Keras model with recurrent layers of any cell, also inside other layers.
        batch: `(inputs, targets)`, as for `model.train_on_batch`.
        path: The PNG to write, if any.

    Returns:
        For each recurrent layer, by its name, the norms in the order of the inputs, `(time,)`,
        averaged over the batch. Masked steps count as zero.
    """
    import keras
    import tensorflow as tf

    def step_by_step(layer, hidden: list):
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
            return (result, *state) if layer.return_state else result

        return call

    inputs, targets = batch
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.RNN)]
    hidden = [[] for _ in layers]
    try:
        for layer, states in zip(layers, hidden, strict=True):
            layer.call = step_by_step(layer, states)
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

    if path is not None:
        figure = Figure(figsize=(5, 3.2))
        axes = figure.subplots()
        for name, values in norms.items():
            axes.semilogy(np.maximum(values, np.finfo(float).tiny), label=name)
        axes.set(xlabel="step", ylabel="norm of dL/dh")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
        _save(figure, path)
    return norms
