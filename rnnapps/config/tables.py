"""How users' tables are formatted. Imports no TensorFlow."""

from typing import ClassVar, Self

from pydantic import ValidationInfo, field_validator, model_validator

from rnnapps.config.base import Config


class TextOptions(Config):
    """How the characters of a user's files are written."""

    encoding: str | None = None
    """Character encoding of your files, such as cp1252 or gb18030. By default UTF-8, or as the
    file's byte order mark says."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except LookupError:
            raise ValueError("an encoding that Python knows, such as cp1252 or gb18030") from None
        return encoding


_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " ", "\\t": "\t"}


class TableOptions(TextOptions):
    """How a user's tables are written; saved with a run, so that all commands read alike."""

    gone: ClassVar[tuple[str, ...]] = ("decimal", "thousands", "time_format", "day_first")
    sections: ClassVar[dict[str, str]] = {"separator": "tables"}

    separator: str | None = None
    """Column separator of tables: comma, semicolon, tab, pipe, space or any character. By default
    detected."""
    strict: bool = False
    """Refuse a table with rows that would be left out."""

    @field_validator("separator")
    @classmethod
    def _character(cls, separator: str | None) -> str | None:
        if separator is None:
            return None
        separator = _SEPARATORS.get(separator, separator)
        if len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"one character, or {', '.join(_SEPARATORS)}")
        return separator


class SeriesOptions(TableOptions):
    """How the numbers and times of a user's tables are written, too."""

    gone: ClassVar[tuple[str, ...]] = ()

    decimal: str | None = None
    """Decimal mark, . or ,. By default a point, or a comma if the numbers cannot be read
    otherwise."""
    thousands: str | None = None
    """Thousands separator: , . ' or a space. By default none."""
    time_format: str | None = None
    """Format of times, in the notation of strftime (%d.%m.%Y %H:%M). By default detected."""
    day_first: bool = False
    """Read 01/02/2014 as 1 February. By default the reading that gives regular time steps."""

    @field_validator("decimal", "thousands")
    @classmethod
    def _mark(cls, mark: str | None, info: ValidationInfo) -> str | None:
        marks = ".," if info.field_name == "decimal" else ",.' "
        if mark is not None and (len(mark) != 1 or mark not in marks):
            raise ValueError(f"one of {' '.join(map(repr, marks))}")
        return mark

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.thousands is not None and self.thousands == (self.decimal or "."):
            raise ValueError(
                f"Expected --thousands to differ from --decimal. Received: {self.thousands!r} for "
                "both."
            )
        return self
