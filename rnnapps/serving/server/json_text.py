"""JSON as TF Serving parses it, with its parser's error messages."""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from rnnapps.serving.server.status import StatusError, invalid

# Messages of Python's parser: those of RapidJSON, TF Serving's parser.
_COMPLAINTS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or {} after an {}.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}
_TOO_BIG = "Number too big to be stored in double."
# Everything before a lone surrogate, escape by escape, to know which backslash starts one. The
# possessive `+` prevents backtracking, which would take far more memory than the text.
_LONE_SURROGATE = re.compile(
    r"(?:[^\\]++|\\ud[89ab]..\\ud[c-f]..|\\(?!ud[89a-f]).)*+(\\u)", re.IGNORECASE | re.DOTALL
)
# Strings, and everything except brackets.
_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[^\[\]{}"]++')
_SHOWN = 256  # characters of a value in a message


def parse(body: bytes) -> Any:
    """Parses JSON.

    As in TF Serving, `NaN` and `Infinity` are numbers, bytes that are not UTF-8 become lone
    surrogates (U+DC80 and up), and anything after the document is ignored.

    Args:
        body: The bytes.

    Returns:
        Dictionaries, lists, strings, numbers, booleans, `None`.

    Raises:
        StatusError: If it is not JSON.
    """
    text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if not text:
        raise invalid("JSON Parse error: The document is empty")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise _error("The document is empty.", start)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _error(_complaint(error), _bytes(text, error.pos)) from None
    except (ValueError, OverflowError):  # 5,000 digits
        raise _error(_TOO_BIG, 0) from None
    except RecursionError:
        raise _error("The document is nested too deeply.", 0) from None
    surrogate = _LONE_SURROGATE.match(text, start, end) if "\\u" in text else None
    if surrogate:
        raise _error("The surrogate pair in string is invalid.", _bytes(text, surrogate.start(1)))
    return value


def _complaint(error: json.JSONDecodeError) -> str:
    said = _COMPLAINTS.get(error.msg.removesuffix(" at"), _COMPLAINTS.get(error.msg))
    said = said or "Unspecific syntax error."
    if "{}" in said:  # an object's last member, or an array's last element?
        depth, within = 0, "}"
        for sign in reversed(_NO_BRACKETS.sub("", error.doc[: error.pos])):
            depth += 1 if sign in "]}" else -1
            if depth < 0:
                within = {"[": "]", "{": "}"}[sign]
                break
        said = said.format(within, {"]": "array element", "}": "object member"}[within])
    return said


def _bytes(text: str, characters: int) -> int:
    return len(text[:characters].encode("utf-8", "replace"))


def _error(said: str, offset: int) -> StatusError:
    return invalid(f"JSON Parse error: {said} at offset: {offset}")


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise OverflowError
    return number


_DECODER = json.JSONDecoder(parse_float=_number)


def shown(value: Any) -> str:
    """A value as in TF Serving's messages: indented JSON, truncated if long."""
    pieces, length = [], 0
    for piece in _pieces(value, 0):
        pieces.append(piece[:_SHOWN])
        length += len(piece)
        if length >= _SHOWN:
            break
    return "".join(pieces).encode("utf-8", "replace").decode()


def _pieces(value: Any, level: int) -> Iterator[str]:
    if isinstance(value, list):
        yield "["
        for i, element in enumerate(value):
            yield ", " if i else ""
            yield from _pieces(element, level + 1)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for i, (key, element) in enumerate(value.items()):
            yield ("," if i else "") + "\n" + "    " * (level + 1)
            yield json.dumps(key, ensure_ascii=False) + ": "
            yield from _pieces(element, level + 1)
        yield ("\n" + "    " * level if value else "") + "}"
    else:
        yield json.dumps(value, ensure_ascii=False)
