"""The flags of a command, in groups, derived from configurations and dataclasses of options."""

import ast
import dataclasses
import inspect
import itertools
import sys
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from rnnapps.cli.parsing import parse
from rnnapps.config import Config, OneOf
from rnnapps.errors import ConfigError, flag

Form = TypeVar("Form")


@dataclasses.dataclass(frozen=True)
class Group:
    """Some of the flags of a configuration or a dataclass of options.

    Args:
        cls: The class whose fields the flags are.
        names: The fields; `None` for all.
        defaults: Defaults other than the class' own.
    """

    cls: type
    names: Sequence[str] | None = None
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def sections(config_class: type[Config], defaults: Mapping[str, Any]) -> dict[str, Group]:
    """A configuration's fields under the headings that it names in `sections`.

    Args:
        config_class: The configuration.
        defaults: Defaults other than the class' own.

    Returns:
        Groups by heading, in the order data, model, training, and then others.
    """
    found: dict[str, list[str]] = {name: [] for name in ("data", "model", "training")}
    heading = "data"
    for name in config_class.model_fields:
        heading = config_class.sections.get(name, heading)
        found.setdefault(heading, []).append(name)
    return {
        heading: Group(config_class, names, defaults) for heading, names in found.items() if names
    }


def read(
    prog: str, about: str, groups: Mapping[str, Group], arguments: Sequence[str]
) -> dict[str, Any]:
    """Reads a command's arguments.

    Args:
        prog: The words before the arguments, such as `"rnnapps train sentiment"`.
        about: What `--help` says of the command.
        groups: The groups of flags by their heading, in their order.
        arguments: The arguments.

    Returns:
        The fields' values, of all groups together.

    Raises:
        ConfigError: If the arguments do not fit.
        SystemExit: After `--help`.
    """
    classes = [group.cls for group in groups.values()]
    words = _renamed(arguments, classes)
    _check_paths(words, classes)
    fields = []
    for heading, group in groups.items():
        made = _dataclass(heading, group)
        must = dataclasses.MISSING in _defaults(group.cls).values()
        default = dataclasses.field() if must else dataclasses.field(default_factory=made)
        fields.append((heading, OmitArgPrefixes[made], default))
    form = dataclasses.make_dataclass("Form", fields, frozen=True, kw_only=True)
    form.__doc__ = about
    found = parse(form, prog, words)
    return {
        one.name: getattr(part, one.name)
        for part in (getattr(found, heading) for heading in groups)
        for one in dataclasses.fields(part)
    }


def read_form(prog: str, form: type[Form], arguments: Sequence[str]) -> Form:
    """Reads the arguments of a command whose flags are a single dataclass.

    Args:
        prog: The words before the arguments, such as `"rnnapps serve"`.
        form: The dataclass, whose docstring is what `--help` says of the command.
        arguments: The arguments.

    Returns:
        An instance of the dataclass.

    Raises:
        ConfigError: If the arguments do not fit.
        SystemExit: After `--help`.
    """
    groups = {form.__name__.lower(): Group(form)}
    return form(**read(prog, inspect.getdoc(form) or "", groups, arguments))


def documented(cls: type) -> dict[str, str]:
    """What the strings behind a class' fields say, by the fields' names; its bases' fields too."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not (dataclasses.is_dataclass(base) or issubclass(base, Config)) or base is Config:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def _dataclass(heading: str, group: Group) -> type:
    """The dataclass whose fields are a group's flags, as tyro wants them."""
    options = not issubclass(group.cls, Config)
    hints, texts = typing.get_type_hints(group.cls, include_extras=True), documented(group.cls)
    fields = []
    for name, default in _defaults(group.cls).items():
        if group.names is not None and name not in group.names:
            continue
        default, text = group.defaults.get(name, default), texts.get(name, "")
        # What pydantic checks is nothing to tyro.
        kind = hints[name] if options else group.cls.model_fields[name].annotation
        if default is dataclasses.MISSING:
            # Of several values that tyro takes none for, it would say a default of nothing.
            shown = arg(help=text, help_behavior_hint="(required)")
            fields.append((name, Annotated[kind, shown]))
            continue
        unsaid = default is None or default is False or default in ((), "")
        shown = arg(
            help=text,
            metavar=_metavar(hints[name]),
            help_behavior_hint="" if unsaid else f"(default: {_plain(default)})",
        )
        fields.append((name, Annotated[kind, shown], dataclasses.field(default=default)))
    made = dataclasses.make_dataclass(heading, fields, frozen=True, kw_only=True)
    made.__doc__ = ""
    return FlagCreatePairsOff[made] if options else made


def _defaults(cls: type) -> dict[str, Any]:
    """The fields of a configuration or a dataclass, with their defaults."""
    if issubclass(cls, Config):
        return {name: field.get_default() for name, field in cls.model_fields.items()}
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(cls)
    }


def _metavar(hint: Any) -> str | None:
    """What help calls a value: `PATH`, not `{None}|PATH`; the names that a field takes."""
    while typing.get_origin(hint) is Annotated:
        hint, *notes = typing.get_args(hint)
        for note in notes:
            if isinstance(note, OneOf):
                return _among(note.values)
    if typing.get_origin(hint) is Literal:
        return _among(typing.get_args(hint))
    if typing.get_origin(hint) in (Union, types.UnionType):
        kind, *others = (kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        if others:
            return None  # tyro says which
        while typing.get_origin(kind) is Annotated:
            kind = typing.get_args(kind)[0]
        plain = isinstance(kind, type) and ("PATH" if issubclass(kind, Path) else kind.__name__)
        return _metavar(kind) or (plain.upper() if plain else None)
    return None


def _among(values: Sequence[Any]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_paths(words: Sequence[str], classes: Sequence[type]) -> None:
    """Refuses the empty path, which `Path` takes for the current folder."""
    pairs = itertools.pairwise([*words, "--"])
    empty = {word.removesuffix("=") for word, value in pairs if word[-1:] == "=" or not value}
    for cls in classes:
        for name, hint in typing.get_type_hints(cls).items():
            if flag(name) in empty and Path in (hint, *typing.get_args(hint)):
                raise ConfigError(f"Expected {flag(name)} to be a path. Received: ''.")


def _renamed(arguments: Sequence[str], classes: Sequence[type]) -> list[str]:
    """The arguments with today's names of flags; says so where an old one was used."""
    names = {old: new for cls in classes for old, new in getattr(cls, "renamed", {}).items()}
    words = []
    for word in arguments:
        head, equals, value = word.partition("=")
        for no in ("--", "--no-"):
            for old, new in names.items():
                if head == no + flag(old)[2:]:
                    head = no + flag(new)[2:]
                    print(f"rnnapps: {flag(old)} is now {flag(new)}.", file=sys.stderr)
        words.append(head + equals + value)
    return words
