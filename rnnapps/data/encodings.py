"""From a file's bytes to characters: byte order mark, else UTF-8, else what the user says."""

import codecs

from rnnapps.errors import DataError

_MARKS = {  # UTF-32's begins as UTF-16's does
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_LATIN = ["cp1252", "cp1250", "cp1254"]
_OTHERS = [
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256",
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr",
]  # fmt: skip
_SAMPLE = 1 << 16  # bytes from which an encoding is guessed, to be named in an error


def decode(
    content: bytes, where: str, encoding: str | None = None, errors: str = "strict"
) -> tuple[str, str]:
    """Decodes a text, whose line ends stay as they are.

    Args:
        content: The bytes.
        where: What errors call the file.
        encoding: Python's name of the encoding; `None` for that of the byte order mark, or UTF-8.
        errors: `"strict"`, or `"replace"` to read what cannot be decoded as U+FFFD.

    Returns:
        The text without a byte order mark, and the name of its encoding.

    Raises:
        DataError: If it is not in that encoding, or holds bytes that no text has.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    marked = _MARKS.get(mark)
    if encoding and marked and not _family(marked).startswith(_family(encoding)[:5]):
        raise DataError(
            f"{where} starts with the byte order mark of {marked}. Received: --encoding={encoding}."
        )
    if encoding is None and marked is None and (wide := _wide(content)):
        raise DataError(f"{where} seems to be {wide}: name it with --encoding={wide}.")
    name = marked or encoding or "utf-8"
    body = content[len(mark) :]
    try:
        text = body.decode(name, errors)
    except UnicodeDecodeError as error:
        raise DataError(_undecoded(body, error, where, name, encoding)) from None
    if "\0" in text:
        offset = text.index("\0")
        raise DataError(f"{where} is not a text: it holds the byte 0x00 (at offset {offset}).")
    return text.removeprefix("\ufeff"), name


def _family(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark: in a text of Latin letters every other byte is 0."""
    sample = content[:_SAMPLE]
    low, high = sample[1::2].count(0), sample[::2].count(0)
    if len(sample) < 4 or low + high > 0.6 * len(sample):  # such as a file that is filled with 0
        return None
    for name, zeros in (("utf-16-le", low), ("utf-16-be", high)):
        if zeros > 0.7 * (len(sample) // 2):
            return name
    return None


def _wide_lines(sample: bytes) -> str | None:
    """UTF-16 of other letters without a mark: its line ends are two bytes."""
    pairs = [sample[i : i + 2] for i in range(0, len(sample), 2)]
    for name, end in (("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")):
        if end in pairs and b"\n" not in sample.replace(end, b"", pairs.count(end)):
            return name
    return None


def _is_text(sample: bytes) -> bool:
    """Whether hardly a byte is one that no text holds."""
    return sum(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in sample) <= 0.01 * len(sample)


def _undecoded(
    body: bytes, error: UnicodeDecodeError, where: str, name: str, encoding: str | None
) -> str:
    line = body.count(b"\n", 0, error.start) + 1
    said = f"{where}, line {line}: byte 0x{body[error.start]:02x} is not {_shown(name)}; "
    if encoding:
        return said + "name another --encoding."
    sample = body[max(0, error.start - _SAMPLE // 2) :][:_SAMPLE]
    wide = _wide_lines(body[:_SAMPLE])
    if wide is None and not _is_text(sample):
        return f"{where} is not a text: it holds bytes that no text does; save it as .txt or .csv."
    likely = wide or _likely(sample)
    if likely:
        return said + f"the file is likely {likely}: name it with --encoding={likely}."
    return said + "name its encoding with --encoding, or save the file as UTF-8."


def _shown(name: str) -> str:
    return "UTF-8" if name == "utf-8" else name


def _likely(sample: bytes) -> str | None:
    import charset_normalizer  # takes 50 ms, and only a mistake needs it

    # Latin letters are mostly ASCII, and a few bytes beyond it say little.
    latin = sum(byte > 127 for byte in sample) < 0.3 * len(sample.replace(b" ", b""))
    choice = _LATIN if latin else _LATIN + _OTHERS
    best = charset_normalizer.from_bytes(sample, cp_isolation=choice).best()
    if best is None:
        return None
    # Where both make the same text, Western Europe's is the commoner.
    western = sample.decode("cp1252", "replace") == str(best)
    return "cp1252" if western else best.encoding
