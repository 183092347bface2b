"""Which tag may follow which, derived from their names: BIO, BIOES (also BILOU) and BMES."""

import re
from collections.abc import Sequence

import numpy as np

_NAME = re.compile(r"(?P<letter>[OBIMELSUW])(?:[-_](?P<kind>.+))?")
_LETTERS = {"M": "I", "L": "E", "U": "S", "W": "S"}  # synonyms in other schemes


def allowed_transitions(tags: Sequence[str]) -> np.ndarray:
    """Derives the allowed transitions from tag names, for `CRF(allowed=...)`.

    B begins a span, I (or M) continues it, E (or L) ends it; S (or U, W) is a span of one token; O
    is outside. Without any E or S the scheme is BIO, where a span ends before the next B or O.

    Args:
        tags: The names, such as `O`, `B-PER`, `I-PER`; for word segmentation without a type: `B`,
            `M`, `E`, `S`.

    Returns:
        Booleans `(tags + 1, tags + 1)`: from each tag (row) to the next (column). The last row
        says which tags may start a sequence, the last column which may end it.

    Raises:
        ValueError: If a name belongs to no scheme.

    Example:
    >>> allowed_transitions(["O", "B-PER", "I-PER"]).astype(int)
    array([[1, 1, 0, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 0, 1]])
    """
    found = [_NAME.fullmatch(tag) for tag in tags]
    for tag, one in zip(tags, found, strict=True):
        if one is None or (one["letter"] == "O" and one["kind"]):
            raise ValueError(
                f"Expected tags of BIO, BIOES or BMES, such as O, B-PER or I-PER. Received: {tag!r}"
            )
    outside = ("O", None)
    names = [(_LETTERS.get(one["letter"], one["letter"]), one["kind"]) for one in found if one]
    closes = any(letter in "ES" for letter, _ in names)
    allowed = [
        [_may_follow(before, after, closes) for after in (*names, outside)]
        for before in (*names, outside)
    ]
    return np.array(allowed)


def _may_follow(before: tuple, after: tuple, closes: bool) -> bool:
    """Whether one tag may follow another; `closes` if spans must end with E or S."""
    if after[0] in "IE":
        return before[0] in "BI" and before[1] == after[1]
    return before[0] in "OES" or not closes
