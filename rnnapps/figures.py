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
