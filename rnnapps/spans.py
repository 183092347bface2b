"""Spans of tokens and their tagging schemes: IO, IOB1, IOB2, BIOES, BILOU and BMES."""

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rnnapps.errors import DataError

_TAG = re.compile(r"(?P<letter>[OBIMELSUW])(?:[-_](?P<kind>.+))?")
_SAME = {"M": "I", "L": "E", "U": "S", "W": "S"}  # other schemes' letters for the same
_LETTERS = {  # those of each scheme; the first that has all of a file's is the file's
    "IOB2": "BI",
    "BIOES": "BIES",
    "BMES": "BMES",
    "BILOU": "BILU",
    "BMEWO": "BMEW",
}
_MENDS = (
    "write all spans alike, such as B- at the first token of each and I- at its others, or name "
    "another --tag-column"
)


class Span(NamedTuple):
    """Some tokens in a row that are one thing.

    Args:
        start: Position of the first token.
        end: Position behind the last one.
        kind: What they are; empty where tags name no kinds, as those of words do.
    """

    start: int
    end: int
    kind: str


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Reads the spans off a sentence's tags.

    A span ends where another begins, the kind changes, or a tag says so. Tags that no scheme allows
    are read as CoNLL's evaluation does: a span that nothing begins begins there. Where no tag is of
    a scheme, a tag other than O is the kind itself, and neighbours of one kind are one span.

    Args:
        tags: A tag for each token, of any of the schemes.

    Returns:
        The spans, in their order.

    Reference:
        [Ramshaw and Marcus, 1995](https://aclanthology.org/W95-0107/);
        [Ratinov and Roth, 2009](https://aclanthology.org/W09-1119/).

    Example:
    >>> spans_of(["B-person", "I-person", "O", "B-place"])
    [Span(start=0, end=2, kind='person'), Span(start=3, end=4, kind='place')]
    """
    spans, start, before = [], 0, ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        letter, kind = _parsed(tag)
        begins = letter in "BS" or before[0] in "OES" or kind != before[1]
        if before[0] != "O" and (letter == "O" or begins):
            spans.append(Span(start, place, before[1]))
        if letter != "O" and begins:
            start = place
        before = (letter, kind)
    return spans


def tags_of(spans: Sequence[Span], length: int, scheme: str = "IOB2") -> list[str]:
    """Writes spans as tags.

    Args:
        spans: The spans, none of which crosses another.
        length: Number of tokens.
        scheme: `"IOB2"`, `"BIOES"`, `"BILOU"`, `"BMES"` or `"BMEWO"`.

    Returns:
        A tag for each token.

    Example:
    >>> tags_of([Span(0, 3, "person"), Span(3, 4, "place")], 5, "BIOES")
    ['B-person', 'I-person', 'E-person', 'S-place', 'O']
    """
    begin, inside, *closing = _LETTERS[scheme]
    end, single = closing or (inside, begin)
    tags = ["O"] * length
    for start, stop, kind in spans:
        letters = single if stop - start == 1 else begin + inside * (stop - start - 2) + end
        tags[start:stop] = [f"{letter}-{kind}" if kind else letter for letter in letters]
    return tags


def tokens_answered(answer: Mapping[str, Any], spans: bool | None = None) -> dict[str, Any]:
    """What an exported tagger answers to one text, without what fills it up.

    Args:
        answer: `tokens`, `tags`, `starts`, `ends`, `probabilities` and `lengths`, a row of each; as
            it is, where it has `spans` or no places.
        spans: Whether the model's tags write spans; `None` to go by those that are here.

    Returns:
        The same as lists of texts and numbers; and, where the tags write spans, `spans`: `start`
        and `end` in characters, `label`, and `probability`, that of the least likely of its tags.
    """
    if "spans" in answer or "starts" not in answer:
        return dict(answer)
    length = answer["lengths"]
    found = {name: list(row[:length]) for name, row in answer.items() if name != "lengths"}
    for name in ("tokens", "tags"):
        found[name] = [x.decode("utf-8", "replace") if isinstance(x, bytes) else x
                       for x in found[name]]  # fmt: skip
    if spans is None:
        spans = not found["tags"] or bool(written_in(found["tags"])) or set(found["tags"]) == {"O"}
    if spans:
        found["spans"] = [
            {
                "start": found["starts"][start],
                "end": found["ends"][end - 1],
                "label": kind or "span",
                "probability": min(found["probabilities"][start:end]),
            }
            for start, end, kind in spans_of(found["tags"])
        ]
    return found


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a data set's tags write spans.

    Args:
        name: What the scheme is called; empty where tags are of single tokens, as parts of speech.
        written: The scheme in which the spans are learned: that of the tags, or IOB2.
    """

    name: str = ""
    written: str = ""

    def mended(self, tags: Sequence[str]) -> list[str]:
        """The same spans as the scheme wants them written."""
        return tags_of(spans_of(tags), len(tags), self.written) if self.written else list(tags)


def scheme_of(sentences: Sequence[Sequence[str]], where: Sequence[str] | None = None) -> Scheme:
    """Recognizes the scheme of tags.

    Args:
        sentences: The tags of each sentence.
        where: What errors call each sentence.

    Returns:
        The scheme.

    Raises:
        DataError: If the tags are of two schemes.
    """
    first: dict[str, int] = {}  # the sentence where each tag is first
    for number, tags in enumerate(sentences):
        for tag in tags:
            first.setdefault(tag, number)
    where = where or [f"sentence {i + 1}" for i in range(len(sentences))]
    parsed = {tag: _TAG.fullmatch(tag) for tag in first}
    others = [tag for tag, one in parsed.items() if one is None or tag.startswith(("O-", "O_"))]
    prefixed = [tag for tag in first if tag != "O" and tag not in others]
    if others and "O" in first and (kinds := [tag for tag in prefixed if len(tag) > 1]):
        raise DataError(
            f"Expected tags of one scheme. Received: {kinds[0]!r} in {where[first[kinds[0]]]}, and "
            f"{others[0]!r}, which is of none, in {where[first[others[0]]]}; {_MENDS}."
        )
    if others or _are_plain(prefixed):
        return Scheme("IO", "IOB2") if _is_outside_common(sentences) else Scheme()
    name = written_in(prefixed)
    if not name:
        raise _mixed(prefixed, first, where)
    if name == "IOB2":
        return Scheme(_iob(sentences), "IOB2")
    _check_closed(sentences, name, where)
    return Scheme(name, name)


def written_in(tags: Sequence[str]) -> str:
    """The scheme in which a model's tags are written, by their letters.

    Args:
        tags: The tags' names.

    Returns:
        The scheme; empty where the tags are of single tokens.
    """
    names = [tag for tag in tags if tag != "O"]
    if _are_plain(names) or not all(_TAG.fullmatch(tag) for tag in names):
        return ""
    letters = {tag[0] for tag in names}
    return next((name for name, its in _LETTERS.items() if letters <= set(its)), "")


def _parsed(tag: str) -> tuple[str, str]:
    """A tag's letter, in BIOES, and its kind; a tag that is of no scheme is a kind itself."""
    found = _TAG.fullmatch(tag)
    if found is None or (found["letter"] == "O" and found["kind"]):
        return "I", tag
    return _SAME.get(found["letter"], found["letter"]), found["kind"] or ""


def _is_outside_common(sentences: Sequence[Sequence[str]]) -> bool:
    """Whether O is the commonest tag: then the others are kinds of spans, not parts of speech."""
    counts = collections.Counter(tag for tags in sentences for tag in tags)
    return bool(counts) and counts["O"] == max(counts.values()) and len(counts) > 1


def _iob(sentences: Sequence[Sequence[str]]) -> str:
    """IOB1 where B- stands between neighbours of one kind alone."""
    for before, tag in _neighbours(sentences):
        if tag[0] == "B" and (before == "O" or before[1:] != tag[1:]):
            return "IOB2"
    begun = any(
        tag[0] == "I" and (before == "O" or before[1:] != tag[1:])
        for before, tag in _neighbours(sentences)
    )
    return "IOB1" if begun else "IOB2"


def _neighbours(sentences: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    return (pair for tags in sentences for pair in zip(["O", *tags], tags, strict=False))


def _check_closed(sentences: Sequence[Sequence[str]], name: str, where: Sequence[str]) -> None:
    """Refuses a file in which many spans are closed as the scheme says, and many are not."""
    scheme = Scheme(name, name)
    wrong, right = [], 0
    for number, tags in enumerate(sentences):
        written = scheme.mended(tags)
        for start, end, _ in spans_of(tags):
            if list(tags[start:end]) == written[start:end]:
                right += 1
            else:
                wrong.append(number)
    if len(wrong) > max(1, 0.1 * (right + len(wrong))):
        own = set(_LETTERS[name]) - set("BI")
        number, tag = next((n, tag) for n, tags in enumerate(sentences) for tag in tags
                           if tag[0] in own)  # fmt: skip
        raise DataError(
            f"Expected tags of one scheme. Received: {tag!r} of {name} in {where[number]}, and "
            f"{len(wrong):,} spans that {name} writes otherwise, the first in {where[wrong[0]]}; "
            f"{_MENDS}."
        )


def _are_plain(tags: Sequence[str]) -> bool:
    """Whether tags other than O, such as S or M, are too few to write spans."""
    return not any(len(tag) > 1 or tag in "BI" for tag in tags)


def _mixed(tags: Sequence[str], first: dict[str, int], where: Sequence[str]) -> DataError:
    """Names two tags that no scheme has both of."""
    one, other = next(
        pair
        for pair in itertools.combinations(tags, 2)
        if not any({tag[0] for tag in pair} <= set(its) for its in _LETTERS.values())
        or pair == (tags[-2], tags[-1])
    )
    return DataError(
        f"Expected tags of one scheme. Received: {one!r} in {where[first[one]]}, and {other!r} in "
        f"{where[first[other]]}; {_MENDS}."
    )
