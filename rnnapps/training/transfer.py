"""Initializes a network from another one's weights, by the names of its layers."""

import collections
import fnmatch
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from rnnapps.errors import RunError


class Rows(NamedTuple):
    """What the rows of a weight stand for: tokens, classes.

    Args:
        axis: Along which axis of the weight they lie.
        names: What each stands for, in their order.
        mean: Whether a new one starts at the mean of those that were learned, or as it was made.
    """

    axis: int
    names: Sequence[Hashable]
    mean: bool = True


def transfer(
    network: keras.layers.Layer,
    source: keras.layers.Layer,
    rows: Mapping[str, Rows],
    source_rows: Mapping[str, Rows],
) -> str:
    """Gives a network the weights of another one, as far as they fit.

    A weight is taken where both networks have one of its layer's name and its shape; one whose rows
    have names is taken row by row, whatever the shapes: those of the same name are copied.

    Args:
        network: The network, with its weights.
        source: The network to take them from.
        rows: What the rows of the network's weights stand for, by patterns of the weights' names
            (`fnmatch`), such as `"embedding/*"`.
        source_rows: The same of the source.

    Returns:
        What was taken, what is new, what did not fit, and what was left over, in one line.

    Raises:
        RunError: If nothing fits.

    Example:
    >>> old, new = (keras.Sequential([keras.layers.Embedding(n, 4, name="words")]) for n in (3, 2))
    >>> old.build((None, None)), new.build((None, None))
    (None, None)
    >>> before = {"words/*": Rows(0, ["", "good", "bad"])}
    >>> transfer(new, old, {"words/*": Rows(0, ["", "bad"])}, before)
    '1 of 1 weights (2 of 2 rows of words/embeddings)'
    """
    there, taken, said = named_weights(source), [], collections.defaultdict(list)
    for name, variable in named_weights(network).items():
        if name not in there:
            said["new"].append(name)
            continue
        value = keras.ops.convert_to_numpy(there.pop(name))
        here, before = _of(name, rows), _of(name, source_rows)
        if here and before:
            found = _by_name(keras.ops.convert_to_numpy(variable), value, here, before)
            if found is not None:
                known = len(set(here.names) & set(before.names))
                said["rows"].append(f"{known:,} of {len(here.names):,} rows of {name}")
        else:  # where only one of them has names, the same shape means nothing
            found = value if here is before and value.shape == tuple(variable.shape) else None
        if found is None:
            said["unfit"].append(f"{name} {tuple(value.shape)} for {tuple(variable.shape)}")
        else:
            variable.assign(found)
            taken.append(name)
    if not taken:
        raise RunError("Expected a run whose network fits this one. Received: no weight that does.")
    count = len(taken) + len(said["new"]) + len(said["unfit"])
    parts = [f"{len(taken)} of {count} weights"]
    parts[0] += f" ({', '.join(said['rows'])})" if said["rows"] else ""
    for what, names in (
        ("new", said["new"]), ("does not fit", said["unfit"]), ("left over", list(there)),
    ):  # fmt: skip
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            parts.append(f"{what}: {', '.join(names[:5])}{more}")
    return "; ".join(parts)


def named_weights(network: keras.layers.Layer) -> dict[str, keras.Variable]:
    """A network's weights by names that do not depend on what else was built in the process.

    A name is the path of layers to the weight. What Keras counts by itself (`dense_7`) is counted
    among its neighbours alone: `dense`, `dense#1`.

    Args:
        network: The network.

    Returns:
        The weights by name, in their order.
    """
    weights = network.weights
    paths = [weight.path.split("/") for weight in weights]
    if len({path[0] for path in paths}) == 1:  # the network's own name
        paths = [path[1:] or path for path in paths]
    seen: dict[tuple[str, ...], dict[str, dict[str, int]]] = {}
    named = {}
    for path, weight in zip(paths, weights, strict=True):
        parts: list[str] = []
        for part in path:
            base = re.sub(r"_\d+$", "", part)
            siblings = seen.setdefault(tuple(parts), {}).setdefault(base, {})
            number = siblings.setdefault(part, len(siblings))
            parts.append(f"{base}#{number}" if number else base)
        named["/".join(parts)] = weight
    return named


def _of(name: str, rows: Mapping[str, Rows]) -> Rows | None:
    return next((one for pattern, one in rows.items() if fnmatch.fnmatch(name, pattern)), None)


def _by_name(mine: np.ndarray, theirs: np.ndarray, rows: Rows, before: Rows) -> np.ndarray | None:
    """A weight with the rows of another one that have the same names; `None` if they don't fit."""
    new = np.moveaxis(mine, rows.axis, 0).copy()
    old = np.moveaxis(theirs, before.axis, 0)
    if new.shape[1:] != old.shape[1:]:
        return None
    if rows.mean:
        new[:] = old.mean(0)
    place = {name: i for i, name in enumerate(before.names)}
    for i, name in enumerate(rows.names):
        if name in place:
            new[i] = old[place[name]]
    return np.moveaxis(new, 0, rows.axis)
