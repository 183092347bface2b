"""One version of a SavedModel, loaded as TF Serving loads it: into a session of its own."""

import os
import pathlib
import re
from collections.abc import Iterable, Mapping

import absl.logging
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from rnnapps.serving.export.saved_model import ops
from rnnapps.serving.server.file_access import check_file_access
from rnnapps.serving.server.protos import from_proto
from rnnapps.serving.server.status import Code, StatusError, invalid, shutting_down

v1 = tf.compat.v1

DEFAULT = "serving_default"
_START = "__saved_model_init_op"  # run once per session; not a public signature
_NODE = re.compile(r"\s*\[\[\{\{.*", re.DOTALL)
_ROOT = re.compile(r".*?root error\(s\) found\.\s*\(0\) [A-Z_ ]+: ", re.DOTALL)
_ASSERTION = re.compile(r"assertion failed: \[(.*)\]", re.DOTALL)


class Servable:
    """A version of a model.

    Args:
        model: The model's name.
        number: The version number.
        path: The version's folder.
        threads: Number of concurrent requests.
    """

    def __init__(self, model: str, number: int, path: pathlib.Path, threads: int = 2):
        self.model, self.number, self.path = model, number, path
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = {}
        # A call that never ends blocks a thread: own threads per version, and one for loading.
        config = v1.ConfigProto(
            inter_op_parallelism_threads=max(threads + 1, os.cpu_count() or 1),
            use_per_session_threads=True,
        )
        config.gpu_options.allow_growth = True
        self._session = v1.Session(graph=tf.Graph(), config=config)
        self._placeholders: dict[str, tf.Tensor] = {}  # by the name of the replaced tensor
        self._closed = False

    def load(self, trust: bool = False) -> None:
        """Loads the version and warms it up.

        Args:
            trust: Whether it may read and write files.

        Raises:
            StatusError: If the folder has no servable SavedModel.
            Exception: Whatever TensorFlow raises for a damaged folder.
        """
        meta_graph = _read(self.path)
        if not trust:
            check_file_access(meta_graph, self.path)
        if not all(hasattr(tf.raw_ops, op) for op in ops(meta_graph.graph_def)):
            import tensorflow_text  # noqa: F401 (registers ops that TF Serving has, too)
        self.signatures = dict(meta_graph.signature_def)
        self._make_placeholders()
        logger, verbosity = tf.get_logger(), absl.logging.get_verbosity()
        level = logger.level
        logger.setLevel("ERROR")  # hides the warning about TensorFlow 2's loader
        absl.logging.set_verbosity(absl.logging.ERROR)
        try:
            v1.saved_model.loader.load(
                self._session, ["serve"], str(self.path), input_map=self._placeholders
            )
        finally:
            logger.setLevel(level)
            absl.logging.set_verbosity(verbosity)
        self._session.graph.finalize()
        self._warm_up(self.path / "assets.extra" / "tf_serving_warmup_requests")

    def _make_placeholders(self) -> None:
        """Inputs of any shape: TF Serving does not enforce the signature's shapes."""
        with self._session.graph.as_default():
            for signature in self.signatures.values():
                for info in signature.inputs.values():
                    if info.name not in self._placeholders:
                        self._placeholders[info.name] = v1.placeholder(
                            info.dtype, name="request.input"
                        )

    def input_types(self, signature: str) -> dict[str, str]:
        """The type of each input of a signature, such as `{"text": "string"}`.

        Args:
            signature: The signature's name; `""` for the default one.

        Raises:
            StatusError: If there is no such signature.
        """
        name = signature or DEFAULT
        if name not in self.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return {key: self.kind(info) for key, info in self.signatures[name].inputs.items()}

    @staticmethod
    def kind(info: meta_graph_pb2.TensorInfo) -> str:
        """The name of a tensor's type in TF Serving's messages."""
        name = tf.dtypes.as_dtype(info.dtype).name
        return {"float32": "float", "float64": "double", "float16": "half"}.get(name, name)

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        wanted: Iterable[str] = (),
        seconds: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: The signature's name; `""` for the default one.
            inputs: The inputs by name.
            wanted: The names of the outputs to return; empty for all.
            seconds: Time limit; `None` for no limit.

        Returns:
            The outputs by name.

        Raises:
            StatusError: If the request does not match the signature, times out, or the model
                fails.
        """
        name = signature or DEFAULT
        if name not in self.signatures or name == _START:
            raise StatusError(
                Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        signature_def = self.signatures[name]
        _check_inputs(signature_def, inputs)
        wanted = _outputs(signature_def, wanted)
        feeds = {self._placeholders[signature_def.inputs[key].name]: inputs[key] for key in inputs}
        # Always all of them: a session keeps a copy of the graph for each subset.
        fetches = {key: self._tensor(info.name) for key, info in signature_def.outputs.items()}
        limit = 0 if seconds is None else max(1, round(1000 * seconds))  # 0: no limit
        options = v1.RunOptions(timeout_in_ms=limit)
        try:
            outputs = self._session.run(fetches, feeds, options)
        except tf.errors.OpError as error:
            if self._closed:
                raise shutting_down() from None
            raise StatusError(error.error_code, _sentence(error.message)) from None
        except RuntimeError:
            if self._closed:
                raise shutting_down() from None
            raise
        return {key: _array(outputs[key]) for key in wanted}

    def close(self) -> None:
        """Cancels running calls; the version cannot be used afterwards."""
        self._closed = True
        self._session.close()

    def _tensor(self, name: str) -> tf.Tensor:
        found = self._placeholders.get(name)  # an output may be an input
        return self._session.graph.get_tensor_by_name(name) if found is None else found

    def _warm_up(self, path: pathlib.Path) -> None:
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            if not log.HasField("predict_log"):  # such as classify, which this server lacks
                continue
            request = log.predict_log.request
            inputs = {key: from_proto(key, tensor) for key, tensor in request.inputs.items()}
            self.predict(request.model_spec.signature_name, inputs)


def _read(path: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    file = path / "saved_model.pb"
    if not file.exists():
        raise StatusError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}",
        )
    for meta_graph in saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs:
        if set(meta_graph.meta_info_def.tags) == {"serve"}:
            return meta_graph
    raise StatusError(
        Code.NOT_FOUND, "Could not find meta graph def matching supplied tags: { serve }."
    )


def _check_inputs(signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray]) -> None:
    given, known = set(inputs), set(signature.inputs)
    if given != known:
        # TF Serving's message for differing counts; used here for differing names, too.
        sets = given, known, given - known, known - given
        lists = ["{" + ",".join(sorted(names)) + "}" for names in sets]
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(known)} "
            f"len({lists[0]}) != len({lists[1]}). Sent extra: {lists[2]}. "
            f"Missing but required: {lists[3]}."
        )
    for name, array in inputs.items():
        expected = tf.dtypes.as_dtype(signature.inputs[name].dtype).name
        received = "string" if array.dtype == object else array.dtype.name
        if received != expected:
            raise invalid(f"Expected input {name} to be {expected} but got {received}.")


def _outputs(signature: meta_graph_pb2.SignatureDef, wanted: Iterable[str]) -> list[str]:
    names = list(wanted)
    for name in names:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{','.join(sorted(signature.outputs))}}}."
            )
        if names.count(name) > 1:
            raise invalid(f"duplicate output tensor alias: {name}")
    return names or sorted(signature.outputs)


def _array(value: np.ndarray | bytes) -> np.ndarray:
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _sentence(message: str) -> str:
    """An error's message without the graph nodes where it arose."""
    message = message.removeprefix("Graph execution error:\n\n")
    message = _NODE.sub("", _ROOT.sub("", message, 1)).strip()
    assertion = _ASSERTION.fullmatch(message)
    return assertion[1] if assertion else message
