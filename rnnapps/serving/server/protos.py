"""Converts arrays to and from gRPC's `TensorProto`."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from rnnapps.serving.server.status import invalid

_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "object": "string_val",
}


def from_proto(name: str, proto: tensor_pb2.TensorProto, most: float = math.inf) -> np.ndarray:
    """Converts an input to an array.

    Args:
        name: The input's name.
        proto: The tensor.
        most: Maximum size in bytes, four per number. A proto's last value is repeated to fill its
            shape, so that a short message can require much memory.

    Returns:
        The array; texts as an object array of bytes.

    Raises:
        StatusError: If the tensor is invalid or too large.
    """
    dims = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or min(dims, default=0) < 0:
        raise invalid(f"tensor parsing error: {name}")
    elements, texts = math.prod(dims), proto.string_val
    repeated = (elements - len(texts)) * len(texts[-1]) if texts else 0
    if max(4 * elements, repeated) > most:
        raise invalid(f"tensor parsing error: {name} is longer than {most} bytes")
    try:
        return tf.make_ndarray(proto)
    except (LookupError, OverflowError, TypeError, ValueError):
        raise invalid(f"tensor parsing error: {name}") from None


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """Converts an output to a tensor with its values in the typed field, as TF Serving does.

    Args:
        array: The array; texts as an object array of bytes.

    Returns:
        The tensor.
    """
    array = np.asarray(array)
    field = _FIELDS.get(array.dtype.name)
    if field is None:
        return tf.make_tensor_proto(array)
    dtype = tf.string if array.dtype == object else tf.dtypes.as_dtype(array.dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto
