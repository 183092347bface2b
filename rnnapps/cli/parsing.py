"""Parses a command's arguments with tyro; errors become one sentence."""

import contextlib
import io
import re
from typing import TypeVar

import tyro
from tyro.conf import PositionalMetavarFromFieldName

from rnnapps.errors import ConfigError

Parsed = TypeVar("Parsed")

_CHOICE = (
    r"invalid choice (?P<value>'.*') for argument '(?P<flag>--[\w-]+)'"
    r". Expected one of \((?P<choices>.*)\)"
)
_NUMBERS = {
    "a whole number": r"invalid literal for int\(\) with base 10: (?P<value>'.*')",
    "a number": r"could not convert string to float: (?P<value>'.*')",
}


def parse(form: type[Parsed], prog: str, arguments: list[str]) -> Parsed:
    """Reads arguments into a dataclass; the box that tyro draws round a mistake becomes a sentence.

    Args:
        form: The dataclass of the command's flags.
        prog: The words before the arguments, such as `"rnnapps export"`.
        arguments: The arguments.

    Returns:
        An instance of the dataclass.

    Raises:
        ConfigError: If the arguments do not fit.
        SystemExit: After `--help`.
    """
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            names = (PositionalMetavarFromFieldName,)
            return tyro.cli(form, prog=prog, args=arguments, config=names)
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ConfigError(_sentence(box.getvalue(), prog)) from None


def _sentence(box: str, prog: str) -> str:
    """The text of one of tyro's boxes: its complaint, the option it suggests, where to read on."""
    lines = [line.strip("│ ") for line in box.splitlines() if line[:1] not in ("╭", "╰")]
    parts = [part for part in re.split(r" ?[─-]{5,} ?", " ".join(lines)) if part.strip()]
    parts = parts[0 if "╭" in box else 1 :]  # where output is not UTF-8, the title is a part
    suggestion = ""
    for part in parts[1:]:
        found = re.search(r"(--[\w-]+)", part)
        if part.startswith("Perhaps you meant") and found:
            suggestion = f" Did you mean {found[1]}?"
    return f"{_expected(parts[0].rstrip('. '))}.{suggestion} See {prog} --help."


def _expected(complaint: str) -> str:
    """What was expected and received, where the complaint is about the value of a flag."""
    if found := re.fullmatch(_CHOICE, complaint):
        choices = sorted(set(re.findall(r"'([^']+)'", found["choices"])) - {"None"})
        return f"Expected {found['flag']} to be {', '.join(choices)}. Received: {found['value']}"
    name = re.match(r"Error parsing (--[\w-]+)", complaint)
    for kind, pattern in _NUMBERS.items():
        if name and (found := re.search(pattern, complaint)):
            return f"Expected {name[1]} to be {kind}. Received: {found['value']}"
    return complaint
