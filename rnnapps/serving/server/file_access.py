"""Which files a SavedModel can reach, found before it is loaded."""

import collections
import pathlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from tensorflow.core.framework import function_pb2, graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from rnnapps.serving.server.status import Code, StatusError

# Names without the prefix `Experimental` and suffixes such as `V2`.
_FILE_OPS = {
    "CSVDataset", "CacheDataset", "CreateSummaryDbWriter", "CreateSummaryFileWriter",
    "DataServiceDataset", "DatasetFromGraph", "DatasetToTFRecord", "DebugIdentity", "DebugNanCount",
    "DebugNumericSummary", "DistributedSave", "EagerPyFunc", "FileSystemSetConfiguration",
    "FixedLengthRecordDataset", "FixedLengthRecordReader", "GenerateVocabRemapping",
    "ImmutableConst", "InitializeTRTResource", "InitializeTableFromTextFile", "LMDBDataset",
    "LMDBReader", "ListSnapshotChunksDataset", "LoadAndRemapMatrix", "LoadDataset",
    "MatchingFiles", "MatchingFilesDataset", "MergeV2Checkpoints", "MlirPassthroughOp",
    "PyFunc", "PyFuncStateless",
    "ReadFile", "RecordInput", "RegisterDataset", "RemoteCall", "Restore", "RestoreSlice",
    "Save", "SaveDataset", "SaveSlices", "SnapshotChunkDataset", "SnapshotDataset",
    "SnapshotDatasetReader", "SnapshotNestedDatasetReader", "SqlDataset", "TFRecordDataset",
    "TFRecordReader", "TRTEngineOp", "TextLineDataset", "TextLineReader", "WholeFileReader",
    "WriteFile",
}  # fmt: skip
_RESTORING = {"Restore", "RestoreSlice"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# Ops that access files only if an attribute says so.
_FILE_ATTRIBUTES = {
    "PrintV2": ("output_stream", re.compile(rb"(?!file:)")),
    "DecodeProtoV2": ("descriptor_source", re.compile(rb"$|local://|bytes://")),
    "EncodeProto": ("descriptor_source", re.compile(rb"$|local://|bytes://")),
    "FixedUnigramCandidateSampler": ("vocab_file", re.compile(rb"$")),
}

_START = "__saved_model_init_op"
_START_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


def check_file_access(meta_graph: meta_graph_pb2.MetaGraphDef, path: pathlib.Path) -> None:
    """Rejects a SavedModel that can read or write files other than its own.

    Its signatures must not access files. Ops run on loading may fill tables from the version's
    assets and restore its variables. Ops for saving are never run.

    Args:
        meta_graph: The SavedModel's graph.
        path: The version's folder.

    Raises:
        StatusError: If it can access other files.
    """
    start, restore = [], [meta_graph.saver_def.restore_op_name]
    for name in _START_COLLECTIONS:
        start += meta_graph.collection_def[name].node_list.value
    parts: list[tuple[str, list[str], Iterable[str], Collection[str]]] = []
    for name, signature in meta_graph.signature_def.items():
        outputs = [tensor for info in signature.outputs.values() for tensor in _tensors(info)]
        if name == _START:
            start += outputs
        else:
            parts.append((f"the signature {name}", outputs, (), ()))
    parts.append(("its initialization", start, _assets(meta_graph, path), ()))
    parts.append(("the restoring of its variables", restore, (), _RESTORING))
    for where, roots, assets, allowed in parts:
        for op in _file_ops(meta_graph.graph_def, roots, frozenset(assets)):
            if op not in allowed:
                raise StatusError(
                    Code.PERMISSION_DENIED,
                    f"Expected a SavedModel that reaches no other files than its own. Received: "
                    f"{op} in {where}. Serve it with --trust only if you trust whoever made it.",
                )


def reaches_files(node: node_def_pb2.NodeDef) -> bool:
    """Whether an op reads or writes files, or runs code outside the graph."""
    if node.op in _FILE_ATTRIBUTES:
        attribute, harmless = _FILE_ATTRIBUTES[node.op]
        value = node.attr[attribute]
        return bool(value.placeholder) or not harmless.match(value.s)
    return _plain(node.op) in _FILE_OPS


def _plain(op: str) -> str:
    return re.sub(r"^Experimental|V\d+$", "", op)


def _tensors(info: meta_graph_pb2.TensorInfo) -> list[str]:
    """The names of an output's component tensors."""
    sparse = info.coo_sparse
    parts = [info.name, sparse.values_tensor_name, sparse.indices_tensor_name]
    parts.append(sparse.dense_shape_tensor_name)
    for component in info.composite_tensor.components:
        parts += _tensors(component)
    return [name for name in parts if name]


def _assets(meta_graph: meta_graph_pb2.MetaGraphDef, path: pathlib.Path) -> list[str]:
    """The nodes that a loader feeds with asset paths, each a file of the version."""
    files = list(meta_graph.asset_file_def)
    if not files:  # TensorFlow 1 stored them elsewhere
        for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
            files.append(meta_graph_pb2.AssetFileDef())
            packed.Unpack(files[-1])
    home, graph = path.resolve(), meta_graph.graph_def
    for file in files:
        if not (home / "assets" / file.filename).resolve().is_relative_to(home):
            raise StatusError(
                Code.PERMISSION_DENIED,
                f"Expected every asset to lie in {path}. Received: {file.filename!r}.",
            )
    fed = {_node_name(file.tensor_info.name) for file in files}
    fed &= {node.name for node in graph.node if node.op in ("Const", "Placeholder")}
    return [*fed, *_reads_of(graph, fed)]


def _reads_of(graph: graph_pb2.GraphDef, paths: Collection[str]) -> list[str]:
    """The nodes that read a path from a variable that never holds anything else.

    TensorFlow 2 keeps an asset's path in a variable, from which tables are filled.
    """
    inner = [node for function in graph.library.function for node in function.node_def]
    shared = collections.Counter(
        node.attr["shared_name"].s or node.name.encode()
        for node in [*graph.node, *inner]
        if node.op == "VarHandleOp"
    )
    handles = {
        node.name
        for node in graph.node
        if node.op == "VarHandleOp"
        and shared[node.attr["shared_name"].s or node.name.encode()] == 1
    }
    reads = {}
    for node in graph.node:
        for handle in handles.intersection(map(_node_name, node.input)):
            if node.op == "ReadVariableOp":
                reads[node.name] = handle
            elif node.op == "AssignVariableOp" and _node_name(node.input[1]) in paths:
                continue
            elif node.op != "VarIsInitializedOp":
                handles.remove(handle)
    return [name for name, handle in reads.items() if handle in handles]


def _file_ops(
    graph: graph_pb2.GraphDef, roots: Iterable[str], assets: frozenset[str]
) -> Iterator[str]:
    """The ops leading to the given nodes that access files other than own assets.

    Args:
        graph: The graph.
        roots: Names of nodes or tensors.
        assets: Names of nodes that hold the paths of assets.
    """
    nodes = {node.name: node for node in graph.node}
    reached, ahead = {}, [_node_name(name) for name in roots]
    while ahead:
        name = ahead.pop()
        if name in nodes and name not in reached:
            reached[name] = nodes[name]
            ahead += map(_node_name, nodes[name].input)
    functions = {function.signature.name: function for function in graph.library.function}
    relatives = _relatives(graph.library)
    seen = set()
    bodies = [(reached, assets)]
    while bodies:
        nodes, paths = bodies.pop()
        for node in nodes.values():
            inputs = [name for name in node.input if not name.startswith("^")]
            own = [_is_path(name, nodes, paths) for name in inputs]
            fills_table = _plain(node.op) == "InitializeTableFromTextFile" and own[1:] == [True]
            if reaches_files(node) and not fills_table:
                yield _plain(node.op)
            named = {node.op, *_functions_of(node)}
            for called in named.union(*(relatives[name] for name in named)) & functions.keys():
                body = functions[called]
                names = [argument.name for argument in body.signature.input_arg]
                known = called in named and (node.op in _CALLS or node.op == called)
                kept = [name for name, is_path in zip(names, own, strict=False) if is_path]
                key = called, frozenset(kept if known else ())
                if key not in seen:
                    seen.add(key)
                    bodies.append(({inner.name: inner for inner in body.node_def}, key[1]))


def _relatives(library: function_pb2.FunctionDefLibrary) -> Mapping[str, set[str]]:
    """The functions that TensorFlow may substitute for another, or run as its gradient."""
    relatives: dict[str, set[str]] = collections.defaultdict(set)
    for gradient in library.gradient:
        relatives[gradient.function_name].add(gradient.gradient_func)
    alike: dict[bytes, set[str]] = collections.defaultdict(set)
    for function in library.function:
        if function.attr["api_implements"].s:
            alike[function.attr["api_implements"].s].add(function.signature.name)
    for names in alike.values():
        for name in names:
            relatives[name] |= names
    return relatives


def _functions_of(node: node_def_pb2.NodeDef) -> Iterator[str]:
    """The functions that a node's attributes name."""
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _is_path(name: str, nodes: Mapping[str, node_def_pb2.NodeDef], paths: frozenset[str]) -> bool:
    """Whether a tensor is an unmodified asset path."""
    name = _node_name(name)
    while name not in paths and name in nodes and nodes[name].op == "Identity":
        name = _node_name(nodes[name].input[0])
    return name in paths


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
