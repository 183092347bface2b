"""What a SavedModel of a stranger's may do to files: nothing, but with its own."""

import re

import pytest
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from rnnapps.serving import Server
from rnnapps.serving.server.file_access import reaches_files
from rnnapps.serving.server.model_manager import ModelManager

TEXT = [tf.TensorSpec([None], tf.string, "text")]
# Ops with an argument that is named like a file, and is none.
HARMLESS = {
    "CudnnRNNBackpropV2", "CudnnRNNBackpropV3", "ExperimentalSetStatsAggregatorDataset",
    "SetStatsAggregatorDataset", "ShardedFilename", "ShardedFilespec", "TPUReplicateMetadata",
}  # fmt: skip
NAMED_LIKE_A_FILE = re.compile(
    "file|path|dir$|url|address|prefix|host|region|descriptor_source|output_stream"
)


def save(folder, function, module=None):
    module = module or tf.Module()
    module.answer = tf.function(function, input_signature=TEXT)
    tf.saved_model.save(module, str(folder), {"serving_default": module.answer})


def table_of(path):
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=-1,
    )  # fmt: skip


def look(folder, **options):
    manager = ModelManager(folder, **options)
    manager.look()
    [state] = manager.states("m").values()
    return state.name, state.message


def reads(text):
    return {"text": tf.map_fn(tf.io.read_file, text)}


def writes(text):
    tf.io.write_file("here", "text")
    return {"text": text}


def lists(text):
    return {"text": tf.cond(tf.size(text) > 3, lambda: tf.io.matching_files("/*"), lambda: text)}


def prints(text):
    tf.print(text, output_stream="file://here")
    return {"text": text}


def calls(text):
    return {"text": tf.numpy_function(lambda x: x, [text], tf.string)}


def restores(text):
    return {"value": tf.raw_ops.RestoreV2(
        prefix=text[0], tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]}  # fmt: skip


def prints_harmlessly(text):
    tf.print(text)
    return {"text": text}


@pytest.mark.parametrize(
    ("function", "op"),
    [(reads, "ReadFile"), (writes, "WriteFile"), (lists, "MatchingFiles"), (prints, "Print"),
     (calls, "PyFunc"), (restores, "Restore")],
)  # fmt: skip
def test_a_signature_that_reaches_files_is_not_served(tmp_path, function, op):
    save(tmp_path / "m" / "1", function)
    name, message = look(tmp_path)
    assert name == "END"
    assert f" {op}" in message
    assert "in the signature serving_default" in message
    assert "--trust" in message
    assert look(tmp_path, trust=True)[0] == "AVAILABLE"


def test_what_reads_its_own_assets_and_prints_is_served(tmp_path):
    (tmp_path / "words.txt").write_text("a\n")
    module = tf.Module()
    module.table = table_of(tmp_path / "words.txt")
    module.weight = tf.Variable(1.0)
    save(
        tmp_path / "m" / "1",
        lambda text: {**prints_harmlessly(text), "id": module.table.lookup(text)},
        module,
    )
    assert look(tmp_path) == ("AVAILABLE", "")


def test_what_no_signature_reaches_is_left_alone_unless_tensorflow_may_put_it_in(tmp_path):
    module = tf.Module()
    module.other = tf.function(writes, input_signature=TEXT)
    save(tmp_path / "m" / "1", prints_harmlessly, module)
    assert look(tmp_path)[0] == "AVAILABLE"
    file = tmp_path / "m" / "1" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        function.attr["api_implements"].s = b"the same"
    file.write_bytes(saved.SerializeToString())
    assert look(tmp_path)[0] == "END"


@pytest.fixture
def stored(tmp_path):
    """The folder of a version with a table, and a function that changes its graph."""
    (tmp_path / "words.txt").write_text("a\n")
    module = tf.Module()
    module.table = table_of(tmp_path / "words.txt")
    save(tmp_path / "m" / "1", lambda text: {"id": module.table.lookup(text)}, module)
    file = tmp_path / "m" / "1" / "saved_model.pb"

    def change(edit):
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        edit(saved.meta_graphs[0])
        file.write_bytes(saved.SerializeToString())

    return tmp_path, change


def secret(meta_graph):
    """Adds a constant with another file's path."""
    node = meta_graph.graph_def.node.add(name="secret", op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/hostname"))


def of_another_file(meta_graph):
    """The table is filled from a path that no loader feeds."""
    secret(meta_graph)
    for node in meta_graph.graph_def.node:
        if node.op == "AssignVariableOp" and "asset_path_initializer" in node.input[1]:
            node.input[1] = "secret"


def of_a_variable_that_is_written_twice(meta_graph):
    secret(meta_graph)
    graph = meta_graph.graph_def
    [first] = [node for node in graph.node if node.op == "AssignVariableOp"]
    second = graph.node.add()
    second.CopyFrom(first)
    second.name, second.input[1] = "second", "secret"


def of_a_variable_with_two_names(meta_graph):
    [handle] = [node for node in meta_graph.graph_def.node if node.op == "VarHandleOp"]
    other = meta_graph.graph_def.node.add()
    other.CopyFrom(handle)
    other.name = "other"
    other.attr["shared_name"].s = handle.attr["shared_name"].s or handle.name.encode()


def of_an_asset_elsewhere(meta_graph):
    meta_graph.asset_file_def[0].filename = "../../../words.txt"


def restoring_writes(meta_graph):
    secret(meta_graph)
    node = meta_graph.graph_def.node.add(name="write", op="WriteFile", input=["secret", "secret"])
    for other in meta_graph.graph_def.node:
        if other.name == meta_graph.saver_def.restore_op_name:
            other.input.append(f"^{node.name}")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (of_another_file, "InitializeTableFromTextFile in its initialization"),
        (of_a_variable_that_is_written_twice, "InitializeTableFromTextFile in its initialization"),
        (of_a_variable_with_two_names, "InitializeTableFromTextFile in its initialization"),
        (of_an_asset_elsewhere, "Expected every asset to lie in"),
        (restoring_writes, "WriteFile in the restoring of its variables"),
    ],
)
def test_what_a_loader_runs_reaches_its_own_files_only(stored, edit, said):
    folder, change = stored
    change(edit)
    name, message = look(folder)
    assert (name, said in message) == ("END", True), message


def test_an_asset_that_is_a_link_to_elsewhere_is_not_read(stored):
    folder, _ = stored
    [asset] = (folder / "m" / "1" / "assets").iterdir()
    asset.unlink()
    asset.symlink_to("/etc/hostname")
    assert look(folder)[0] == "END"


def test_every_op_that_is_given_a_file_is_known():
    """A new TensorFlow may have new ones."""
    unknown = set()
    for name in dir(tf.raw_ops):
        definition = op_def_registry.get(name)
        if definition is None or name in HARMLESS:
            continue
        texts = [attr for attr in definition.attr if attr.type in ("string", "list(string)")]
        words = [word.name for word in (*definition.input_arg, *texts)]
        node = node_def_pb2.NodeDef(name="x", op=name)
        for attr in texts:
            node.attr[attr.name].s = b"file:///x"
        if any(map(NAMED_LIKE_A_FILE.search, words)) and not reaches_files(node):
            unknown.add(name)
    assert not unknown


def test_a_server_says_why_it_does_not_serve(tmp_path):
    save(tmp_path / "m" / "1", writes)
    with Server(tmp_path, 0, 0) as server:
        [(model, number, state)] = server.manager.failures
        assert (model, number, "WriteFile" in state.message) == ("m", 1, True)
    with Server(tmp_path, 0, 0, trust=True) as server:
        assert server.manager.serving == {"m": 1}
