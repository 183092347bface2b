"""Reads a command's arguments with tyro; a parser's complaint becomes a sentence."""

import contextlib
import io
import re
from typing import TypeVar

import tyro
from tyro.conf import PositionalMetavarFromFieldName

from rnnapps.errors import ConfigError

Parsed = TypeVar("Parsed")


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
    return f"{parts[0].rstrip('.')}.{suggestion} See {prog} --help."
