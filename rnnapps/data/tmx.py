"""Translation memories: the XML exchange format TMX."""

import io
import xml.etree.ElementTree as ElementTree

from rnnapps.errors import DataError

_CODES = ("bpt", "ept", "it", "ph", "ut")  # of a document's own format, and no text
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read_memory(
    content: bytes, where: str, source: str, target: str
) -> tuple[list[str], list[str], int]:
    """Reads the units of a translation memory that hold two languages.

    Args:
        content: The file.
        where: What errors call it.
        source: Language of the sources; `en` also stands for `en-GB`.
        target: Language of the targets.

    Returns:
        The sources, the targets, and how many units lack one of them.

    Raises:
        DataError: If the file is not a translation memory, or none of its units holds both.
    """
    sources, targets, seen, units = [], [], set(), 0
    try:
        for _, unit in ElementTree.iterparse(io.BytesIO(content)):
            if unit.tag != "tu":
                continue
            units += 1
            texts: dict[str, str] = {}
            for variant in unit.iter("tuv"):
                language = (variant.get(_LANG) or variant.get("lang") or "").lower()
                segment = variant.find("seg")
                seen.add(language)
                if segment is not None:
                    texts.setdefault(language, " ".join(_text(segment).split()))
            one, other = (_of(texts, language.lower()) for language in (source, target))
            if one is not None and other is not None:
                sources.append(one)
                targets.append(other)
            unit.clear()
    except ElementTree.ParseError as error:
        raise DataError(f"{where} is not a readable translation memory: {error}.") from None
    if not sources:
        raise DataError(
            f"Expected {where} to hold texts in {source} (--source) and {target} (--target). "
            f"Received: {', '.join(sorted(seen)) or 'no texts'}."
        )
    return sources, targets, units - len(sources)


def _text(element: ElementTree.Element) -> str:
    """An element's text, and what stands behind it."""
    inside = "" if element.tag in _CODES else (element.text or "") + "".join(map(_text, element))
    return inside + (element.tail or "")


def _of(texts: dict[str, str], language: str) -> str | None:
    names = [name for name in texts if name.split("-")[0] == language]
    return texts.get(language, texts[names[0]] if names else None)
