"""Publishes a SavedModel: complete, checked, and as the next version."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.errors import RunError
from rnnapps.files import draft_folder, temporary_files_in
from rnnapps.serving.export.accelerating import compiled, narrowed, rounded
from rnnapps.serving.export.requests import Signature, write_model_card, write_requests
from rnnapps.serving.export.saved_model import load, ops
from rnnapps.serving.export.versions import check_folder, next_version

EXACT, NEAR, ROUGH = 1e-5, 1e-4, 1e-2  # tolerances of an export's outputs; see `publish`
_JSON_TYPES = {
    tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64,
    tf.bool, tf.string,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ExportSpec:
    """The contents of a SavedModel.

    Args:
        signatures: The signatures by name.
        compiled_methods: Methods of layers, from tensors to tensors, that do the numeric work; the
            layers hold the weights.
        tables: Layers that hold lookup tables or other assets.
        assets: Texts for the folder `assets`, by file name.
    """

    signatures: Mapping[str, Signature]
    compiled_methods: Sequence[Callable] = ()
    tables: Sequence[keras.layers.Layer] = ()
    assets: Mapping[str, str] = dataclasses.field(default_factory=dict)


def publish(
    model_dir: pathlib.Path | str,
    spec: ExportSpec,
    model_card: Mapping[str, Any] | None = None,
    xla: bool = False,
    narrow: bool = False,
    tolerance: float = EXACT,
    document: str = "",
) -> pathlib.Path:
    """Writes the next version of a SavedModel atomically: no server sees a partial one.

    The version is written to a hidden folder, loaded again, compared with the original functions,
    and then renamed to its number.

    Args:
        model_dir: The model's folder, with a subfolder `1`, `2`, ... per version.
        spec: The contents of the SavedModel.
        model_card: Contents of `model_card.json` besides the signatures.
        xla: Whether XLA compiles the numeric methods, with texts padded to a few lengths.
        narrow: Whether to store their weights as bfloat16.
        tolerance: Maximum difference from the original functions' numbers: `EXACT`; `NEAR` for XLA,
            which sums in a different order; or `ROUGH` for XLA with bfloat16, where the most likely
            text may differ.
        document: Contents of `MODEL_CARD.md`; `None` for no such file.

    Returns:
        The new version's folder.

    Raises:
        RunError: If the folder belongs to another model, the graph needs an op that TF Serving
            lacks, JSON cannot represent an output's type, or the written model's outputs differ.
        DiskError: If the disk is full.
    """
    model_dir, model_card = pathlib.Path(model_dir), model_card or {}
    check_folder(model_dir, model_card.get("application"))
    existed = model_dir.exists()
    try:
        with draft_folder(model_dir, ".draft-") as draft:
            with rounded(spec.compiled_methods) if narrow else contextlib.nullcontext():
                expected = {name: _answer(name, one) for name, one in spec.signatures.items()}
                _write(draft, spec, xla, narrow)
            _check(draft, spec.signatures, expected, tolerance)
            write_requests(draft, model_dir.absolute().name, spec.signatures)
            write_model_card(draft, model_card, spec.signatures)
            if document:
                (draft / "MODEL_CARD.md").write_text(document, encoding="utf-8")
            return _rename(draft, model_dir)
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):  # another export is using it
                model_dir.rmdir()
        raise


def _answer(name: str, signature: Signature) -> dict[str, np.ndarray]:
    """A function's outputs for its example.

    Raises:
        RunError: If TF Serving cannot write an output's type as JSON.
    """
    answer = tf.function(signature.function, autograph=False)(*signature.example)
    for key, tensor in answer.items():
        if tensor.dtype not in _JSON_TYPES:
            raise RunError(
                f"Expected the output {key} of the signature {name} to be of a type that JSON "
                f"holds, such as float32. Received: {tensor.dtype.name}."
            )
    return {key: tensor.numpy() for key, tensor in answer.items()}


def _write(draft: pathlib.Path, spec: ExportSpec, xla: bool, narrow: bool) -> None:
    archive = keras.export.ExportArchive()
    for layer in spec.tables:
        archive.track(layer)
    wrap = narrowed(spec.compiled_methods) if narrow else lambda function: function
    with compiled(spec.compiled_methods) if xla else contextlib.nullcontext():
        for name, one in spec.signatures.items():
            archive.add_endpoint(name, wrap(one.function), list(one.inputs))
        # Serving needs no gradients, so leave custom ones out.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        # TensorFlow has autograph rewrite one of its own wrappers, in a temporary file.
        with temporary_files_in(draft.parent):
            archive.write_out(str(draft), options, verbose=False)
    (draft / "assets").mkdir(exist_ok=True)
    for name, text in spec.assets.items():
        (draft / "assets" / name).write_text(text, encoding="utf-8")


def _check(
    draft: pathlib.Path, signatures: Mapping[str, Signature], expected: dict, tolerance: float
) -> None:
    loaded = load(draft)
    for name, signature in signatures.items():
        for op in sorted(ops(loaded.signatures[name].graph.as_graph_def())):
            if not is_served(op):
                raise RunError(f"The signature {name} needs {op}, which TF Serving cannot run.")
        received = loaded.signatures[name](**signature.request)
        for key, value in expected[name].items():
            if not _same(value, received[key].numpy(), tolerance):
                raise RunError(
                    f"The exported signature {name} differs from the application in {key}. "
                    f"Expected: {value}. Received: {received[key].numpy()}."
                )


def _same(expected: np.ndarray, received: np.ndarray, tolerance: float) -> bool:
    """Whether two outputs are equal, except for padding of the second."""
    if tolerance == ROUGH and expected.dtype.kind != "f":
        return True
    kept = received[tuple(slice(size) for size in expected.shape)]
    if kept.shape != expected.shape or np.count_nonzero(kept) != np.count_nonzero(received):
        return False
    if expected.dtype.kind == "f":
        return np.allclose(expected, kept, tolerance, tolerance, equal_nan=True)
    return np.array_equal(expected, kept)


def is_served(op: str) -> bool:
    """Whether TF Serving's stock binary has an op: TensorFlow's and TF Text's SentencePiece ops.

    It has no Python for a `PyFunc`, and no cuDNN on a machine without a GPU.
    """
    if "PyFunc" in op or "Cudnn" in op.title():
        return False
    return hasattr(tf.raw_ops, op) or op.startswith("Sentencepiece")


def _rename(draft: pathlib.Path, model_dir: pathlib.Path) -> pathlib.Path:
    while True:
        target = next_version(model_dir)
        try:
            return draft.rename(target)
        except OSError:
            if not target.exists():  # otherwise another export took the number
                raise
