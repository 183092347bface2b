"""Frozen settings that refuse unknown names, in one sentence. Imports no TensorFlow."""

import tomllib
import warnings
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rnnapps.errors import ConfigError, flag, nearest


class Config(BaseModel):
    """A frozen set of named values that refuses unknown names and values out of range."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    renamed: ClassVar[dict[str, str]] = {}
    """The fields' names by those that earlier versions had, which are taken with a note."""
    gone: ClassVar[tuple[str, ...]] = ()
    """Fields that a saved run may have and that meant nothing."""
    sections: ClassVar[dict[str, str]] = {}
    """The headings of `--help`: data, model or training, each by the first field under it."""

    @property
    def decided(self) -> dict[str, str]:
        """The fields that nothing can vary, each by the one that decides it."""
        return {}

    @property
    def files(self) -> tuple[tuple[str, Path | str], ...]:
        """The files that are named, behind their settings: paths, and what `data` names."""
        return ()

    @property
    def vector_files(self) -> dict[str, Path]:
        """The files of word vectors that are named, each by its setting."""
        return {}

    @property
    def frozen_vectors(self) -> tuple[str, ...]:
        """Of `vector_files` the settings of those whose rows stay as they are."""
        return ()

    @property
    def in_updates(self) -> dict[str, Any]:
        """What an update sets otherwise: what the weights have learned is not learned again."""
        return {}

    def __init__(self, /, **values: Any):
        for old in self.renamed.keys() & values.keys():
            said = f"{flag(old)} is now {flag(self.renamed[old])}."
            warnings.warn(said, FutureWarning, stacklevel=2)
        try:
            super().__init__(**self.renew(values))
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def renew(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Values under the fields' present names, such as those of an earlier version's run."""
        return {cls.renamed.get(name, name): value for name, value in values.items()}

    @classmethod
    def of_run(cls, values: dict[str, Any]) -> Self:
        """The configuration of a saved run, also of an earlier version's."""
        kept = cls.renew(values)
        return cls(**{name: value for name, value in kept.items() if name not in cls.gone})

    @model_validator(mode="before")
    @classmethod
    def _one_of_several(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Takes a word by itself, `target="load"`, where several may be given."""
        for name, field in cls.model_fields.items():
            if get_origin(field.annotation) is tuple and isinstance(values.get(name), str):
                values = {**values, name: (values[name],)}
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _names_something(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses the empty path, which `Path` takes for the current folder."""
        kinds = get_args(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, str) and not value and Path in kinds:
            raise ValueError("a path")
        return value

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Reads a configuration from a TOML file.

        Args:
            path: The file; its keys are field names, and `application`, which a run's names too.

        Returns:
            The configuration; a field that the file leaves out has its default.

        Raises:
            ConfigError: If the file is missing or not TOML, or a key or value is not valid.
        """
        settings = read_toml(path)
        settings.pop("application", None)
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values of TOML and JSON; those that are `None` are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def differences(self, other: "Config") -> list[str]:
        """Says in which fields two configurations differ, as `name (this value, that value)`."""
        mine, theirs = self.model_dump(), other.model_dump()
        names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        names = [name for name in names if name not in other.decided]
        return [f"{name} ({mine.get(name)!r}, {theirs.get(name)!r})" for name in names]


def read_toml(path: Path | str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.

    Returns:
        Its keys and values.

    Raises:
        ConfigError: If the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}.") from None


def _sentence(config_class: type[Config], error: ValidationError) -> str:
    """The first complaint of pydantic, in one sentence that names the flag."""
    first = error.errors(include_url=False)[0]
    where, received = str(next(iter(first["loc"]), "")), first["input"]  # not a list's index
    if first["type"] == "extra_forbidden":
        fields = [flag(name) for name in config_class.model_fields]
        return f"Unknown setting {flag(where)}.{nearest(flag(where), fields)}"
    if not where:  # a validator that looks at several fields writes its own sentence
        return first["msg"].removeprefix("Value error, ")
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"Expected {flag(where)} to be {expected}. Received: {received!r}."
