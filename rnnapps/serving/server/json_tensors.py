"""TF Serving's JSON format of tensors, in requests and answers.

Reference:
    [TF Serving's REST API](https://www.tensorflow.org/tfx/serving/api_rest)
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnapps.serving.decimals import shortest
from rnnapps.serving.server.json_text import parse, shown
from rnnapps.serving.server.status import Code, StatusError, invalid

_KINDS = {
    bool: "True",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
    type(None): "Null",
}
_INTEGERS = {
    "int8": (-(2**31), 2**31 - 1),  # TF Serving reads small integers as int32 and truncates
    "int16": (-(2**31), 2**31 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_NUMBERS = _INTEGERS | dict.fromkeys(("float", "double"), (1 - 2**1023, 2**1023 - 1))

_MOST_DIMENSIONS = 31  # plus the batch axis: NumPy's traditional limit


def read_request(
    body: bytes,
    input_types: Callable[[str], Mapping[str, str]],
    check_rows: Callable[[int], None],
) -> tuple[str, dict[str, np.ndarray], bool]:
    """Parses the body of a `:predict` request.

    Args:
        body: The body.
        input_types: Maps a signature's name (`""` if the request names none) to the types of its
            inputs, such as `{"text": "string"}`.
        check_rows: Raises `StatusError` for too many rows, before they are read.

    Returns:
        The signature's name, its inputs by name (texts as object arrays of bytes), and whether
        they are in row format.

    Raises:
        StatusError: With TF Serving's message.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be "
            "a string value."
        )
    types = input_types(signature)
    if not types:
        raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' "
            "or 'instances' keys to exist "
        )
    if "inputs" in document:
        return signature, _read_columns(document["inputs"], types, check_rows), False
    if "instances" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    rows = document["instances"]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
    check_rows(len(rows))
    return signature, _read_rows(rows, types), True


def _read_columns(
    value: Any, types: Mapping[str, str], check_rows: Callable[[int], None]
) -> dict[str, np.ndarray]:
    if not _is_object(value):
        if len(types) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        value = dict.fromkeys(types, value)
    inputs = {}
    for name, kind in types.items():
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        if isinstance(value[name], list):
            check_rows(len(value[name]))
        shape, values = _read_value(value[name], kind)
        inputs[name] = _array(values, kind, shape)
    return inputs


def _read_rows(rows: list, types: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], dict) and len(types) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    as_objects = _is_object(rows[0])
    shapes: dict[str, list[int]] = {}
    columns: dict[str, list] = {name: [] for name in types}
    for i, row in enumerate(rows):
        if _is_object(row) != as_objects:
            expected = "object but got list" if as_objects else "value/list but got object"
            raise invalid(f"Expecting {expected} at item {i} of input list")
        for name, value in row.items() if as_objects else ((min(types), row),):
            try:
                if name not in types:
                    raise invalid(f"JSON object: does not have named input: {name}")
                shape, values = _read_value(value, types[name])
                _check_alike(shapes.setdefault(name, shape), shape)
            except StatusError as error:
                key = f" key: {name}" if as_objects else ""
                raise invalid(
                    f"Failed to process element: {i}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from None
            columns[name] += values
        if as_objects and row.keys() != types.keys():
            raise invalid(
                f"Failed to process element: {i} of 'instances' list. JSON object: {shown(row)} "
                f"keys must be equal to: {','.join(sorted(types))}"
            )
    return {
        name: _array(columns[name], types[name], [len(rows), *shape])
        for name, shape in shapes.items()
    }


def _check_alike(first: list[int], shape: list[int]) -> None:
    if math.prod(first) != math.prod(shape):
        raise invalid(f"Expecting tensor size: {math.prod(first)} but got: {math.prod(shape)}")
    if first != shape:
        expected, received = (",".join(map(str, dims)) for dims in (first, shape))
        raise invalid(f"Expecting shape [{expected}] but got: [{received}]")


def _read_value(value: Any, kind: str) -> tuple[list[int], list]:
    """A value's shape, derived from its first elements, and its flattened elements."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
        if len(shape) > _MOST_DIMENSIONS:
            raise invalid(f"Expecting at most {_MOST_DIMENSIONS} dimensions of a tensor")
    values: list = []
    _flatten(value, 0, shape, kind, values)
    return shape, values


def _flatten(value: Any, level: int, shape: list[int], kind: str, values: list) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        values.append(_element(value, kind))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    if kind in _NUMBERS and level + 1 == len(shape) and _all_fit(value, kind):
        values += value
        return
    for element in value:
        _flatten(element, level + 1, shape, kind, values)


def _all_fit(elements: list, kind: str) -> bool:
    """Whether all elements are numbers in a type's range, checked faster than one by one."""
    given = set(map(type, elements))
    if not given <= ({int} if kind in _INTEGERS else {int, float}):
        return False
    whole = elements if given == {int} else [one for one in elements if type(one) is int]
    low, high = _NUMBERS[kind]
    return not whole or (low <= min(whole) and max(whole) <= high)


def _element(value: Any, kind: str) -> Any:
    given = type(value)
    if kind == "string":
        if given is str:
            return value.encode("utf-8", "surrogateescape")
        if given is dict:
            return _decode(value)
    elif kind == "bool":
        if given is bool:
            return value
    elif kind in _NUMBERS:
        if _all_fit([value], kind):
            return value
    else:
        raise StatusError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(value)} to type: {kind}"
        )
    name = "False" if value is False else _KINDS[given]
    raise invalid(f"JSON Value: {shown(value)} Type: {name} is not of expected type: {kind}")


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _decode(value: dict) -> bytes:
    if not _is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    try:
        text = b"".join(value["b64"].encode("ascii").split()).rstrip(b"=")
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise invalid("Unable to base64 decode") from None


def _array(values: list, kind: str, shape: list[int]) -> np.ndarray:
    if kind == "string":
        array = np.empty(len(values), object)
        array[:] = values
    elif kind in ("float", "double", "bool"):
        array = np.array(values, {"float": np.float32}.get(kind, kind))
    else:
        wide = np.uint64 if kind == "uint64" else np.int64
        array = np.array(values, wide).astype(kind)
    return array.reshape(shape)


def write_answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Writes the body of a `:predict` response.

    Args:
        outputs: The outputs by name; texts as object arrays of bytes.
        rows: Whether the request was in row format.

    Returns:
        The body. As in TF Serving, invalid UTF-8 is written unchanged; outputs whose name ends in
        `_bytes` are base64.

    Raises:
        StatusError: If the batch sizes of the outputs differ in row format.
    """
    names = sorted(outputs)
    if rows:
        _check_batch({name: outputs[name].shape for name in names})
    columns = {name: _plain(name, outputs[name]) for name in names}
    if len(names) == 1:
        answer = columns[names[0]]
    elif rows:
        answer = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    else:
        answer = columns
    text = json.dumps({"predictions" if rows else "outputs": answer}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _check_batch(shapes: Mapping[str, tuple[int, ...]]) -> None:
    batch = None
    for name, shape in shapes.items():
        if not shape:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if batch not in (None, shape[0]):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {shape[0]} expecting: {batch}"
            )
        batch = shape[0]


def _plain(name: str, array: np.ndarray) -> Any:
    """An array as nested lists of JSON values."""
    if array.dtype == object:
        write = _as_base64 if name.endswith("_bytes") else _as_text
        array = np.vectorize(write, otypes=[object])(array)
    elif array.dtype == np.float32:
        array = shortest(array)
    elif array.dtype.name not in ("float64", "bool", *_INTEGERS):
        kind = {"float16": "half"}.get(array.dtype.name, array.dtype.name)
        raise invalid(f"Failed to write JSON value for tensor type: {kind}")
    return array.tolist()


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _as_base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
