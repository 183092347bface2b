"""Publishing a SavedModel: whole, checked, and as the next version."""

import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import absl.logging
import keras
import numpy as np
import tensorflow as tf

from rnnapps.errors import RunError
from rnnapps.serving.requests import Signature, write_card, write_requests

_TOLERANCE = 1e-5


def publish(
    model_dir: pathlib.Path | str,
    signatures: Mapping[str, Signature],
    layers: Sequence[keras.layers.Layer],
    assets: Mapping[str, str],
    card: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Writes the next version of a SavedModel, so that no server ever sees half of one.

    The version is written into a hidden folder, loaded again, compared with the functions that it
    was made from, and only then renamed to its number.

    Args:
        model_dir: The model's folder; its versions are the folders `1`, `2`, ... in it.
        signatures: What the model can be asked, by name.
        layers: The layers whose variables and tables the functions use.
        assets: Texts for the folder `assets`, by file name.
        card: What `model_card.json` says of the model, beside its signatures.

    Returns:
        The new version's folder.

    Raises:
        RunError: If the graph needs an op that TF Serving lacks, or the written model answers
            differently.
    """
    model_dir = pathlib.Path(model_dir)
    if model_dir.exists() and not model_dir.is_dir():
        raise RunError(f"Expected a folder to export to. Received: the file {model_dir}.")
    existed = model_dir.exists()
    model_dir.mkdir(parents=True, exist_ok=True)
    draft = model_dir / f".draft-{os.getpid()}"
    try:
        _write(draft, signatures, layers, assets)
        _check(draft, signatures)
        write_requests(draft, model_dir.absolute().name, signatures)
        write_card(draft, card or {}, signatures)
        return _rename(draft, model_dir)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        if not existed:
            model_dir.rmdir()
        raise


def _write(draft, signatures, layers, assets) -> None:
    archive = keras.export.ExportArchive()
    for layer in layers:
        archive.track(layer)
    for name, signature in signatures.items():
        archive.add_endpoint(name, signature.function, list(signature.inputs))
    # Nothing served is ever differentiated, so hand-written gradients stay behind.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(str(draft), options, verbose=False)
    (draft / "assets").mkdir(exist_ok=True)
    for name, text in assets.items():
        (draft / "assets" / name).write_text(text, encoding="utf-8")


def _check(draft, signatures) -> None:
    level = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)  # not a line for each gradient left behind
    loaded = tf.saved_model.load(str(draft))
    absl.logging.set_verbosity(level)
    for name, signature in signatures.items():
        for op in _ops(loaded.signatures[name]):
            if not is_served(op):
                raise RunError(f"The signature {name} needs {op}, which TF Serving cannot run.")
        names = [spec.name for spec in signature.inputs]
        answers = loaded.signatures[name](**dict(zip(names, signature.example, strict=True)))
        for key, expected in signature.function(*signature.example).items():
            expected, received = expected.numpy(), answers[key].numpy()
            same = (
                np.allclose(expected, received, _TOLERANCE, _TOLERANCE, equal_nan=True)
                if expected.dtype.kind == "f"
                else np.array_equal(expected, received)
            )
            if not same:
                raise RunError(
                    f"The exported signature {name} differs from the application in {key}. "
                    f"Expected: {expected}. Received: {received}."
                )


def is_served(op: str) -> bool:
    """Whether TF Serving's stock binary has an op: those of TensorFlow and TF Text's SentencePiece.

    It has no Python to run a `PyFunc`, and on a machine without a GPU no cuDNN.
    """
    if "PyFunc" in op or "Cudnn" in op.title():
        return False
    return hasattr(tf.raw_ops, op) or op.startswith("Sentencepiece")


def _ops(function: tf.types.experimental.ConcreteFunction) -> Iterator[str]:
    """The types of all ops that a function may run, those of its inner functions included."""
    graph = function.graph.as_graph_def()
    for nodes in (graph.node, *(inner.node_def for inner in graph.library.function)):
        yield from (node.op for node in nodes)


def _rename(draft: pathlib.Path, model_dir: pathlib.Path) -> pathlib.Path:
    while True:
        versions = [int(path.name) for path in model_dir.iterdir() if path.name.isdecimal()]
        target = model_dir / str(max(versions, default=0) + 1)
        try:
            return draft.rename(target)
        except OSError:
            if not target.exists():  # else another export took the number
                raise
