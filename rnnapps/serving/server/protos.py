"""Arrays to and from the `TensorProto` of gRPC."""

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
    """The array of an input.

    Args:
        name: The input's name.
        proto: The tensor.
        most: Bytes that it may be long, with four for a number: its last value stands for all that
            follow, so that a short message can ask for much.

    Returns:
        The array; texts as objects, of bytes.

    Raises:
        StatusError: If the tensor is not one, or too long.
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
    """The tensor of an output, its values in the field of their type, as TF Serving answers.

    Args:
        array: The array; texts as objects, of bytes.

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
