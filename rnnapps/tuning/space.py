"""The search space, derived from a configuration's fields. Imports no TensorFlow or KerasTuner."""

import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from rnnapps.config import Config, OneOf, TrainingConfig, Tune, TuneChoice
from rnnapps.errors import ConfigError, flag, nearest

Space = dict[str, Tune | TuneChoice]
_TRAINING = ("schedule", "freeze", "unfreeze_gradually")  # tunable in every application


def tunable_fields(config_class: type[Config]) -> Space:
    """The fields that can be tuned, with their predefined ranges.

    These are the fields with a `Tune` or `TuneChoice` range, and fields of the network with a fixed
    set of values: a `Literal` that `TrainingConfig` does not have, names, or a boolean.

    Args:
        config_class: The configuration.

    Returns:
        The range of each tunable field by name.
    """
    space: Space = {}
    for name, field in config_class.model_fields.items():
        if own := _own_range(field):
            space[name] = own
        elif name in TrainingConfig.model_fields and name not in _TRAINING:
            continue  # where and how it runs, not searchable
        elif field.annotation is bool:
            space[name] = TuneChoice((False, True))
        elif typing.get_origin(field.annotation) is typing.Literal:
            space[name] = TuneChoice(typing.get_args(field.annotation))
        elif names := next((one for one in field.metadata if isinstance(one, OneOf)), None):
            space[name] = TuneChoice(names.values)
    return space


def make_space(
    config: Config, names: Sequence[str] = (), ranges: Mapping[str, str] | None = None
) -> Space:
    """Builds the search space.

    Args:
        config: The configuration; the other fields keep its values.
        names: The fields to tune; if empty, those with a `Tune` or `TuneChoice` range.
        ranges: Other ranges by field, as text: `low:high`, `low:high:step`, `low:high:log`, or
            comma-separated values. These fields are also tuned.

    Returns:
        The range of each field to tune.

    Raises:
        ConfigError: If a field does not exist or cannot be tuned, or a range is malformed or
            exceeds the field's bounds.
    """
    tunable, ranges = tunable_fields(type(config)), ranges or {}
    for name in (*names, *ranges):
        if name not in tunable:
            what = "cannot be tuned" if name in type(config).model_fields else "does not exist"
            raise ConfigError(
                f"The setting {name!r} {what}; tunable settings are {', '.join(tunable)}."
                f"{nearest(name, list(tunable))}"
            )
        if by := config.decided.get(name):
            raise ConfigError(f"The setting {name!r} cannot be tuned with {flag(by)}.")
    if not names and not ranges:
        fields = type(config).model_fields.items()
        names = [name for name, field in fields if _usual(field) and name not in config.decided]
    space = {name: tunable[name] for name in tunable if name in (*names, *ranges)}
    for name, text in ranges.items():
        space[name] = _read_range(name, text, type(config).model_fields[name].annotation)
        for value in _extremes(space[name]):
            try:
                type(config)(**{**config.model_dump(), name: value})
            except ConfigError as error:
                raise ConfigError(f"--range {name}={text} breaks a bound: {error}") from None
    return space


def _own_range(field: FieldInfo) -> Tune | TuneChoice | None:
    return next((one for one in field.metadata if isinstance(one, Tune | TuneChoice)), None)


def _usual(field: FieldInfo) -> bool:
    """Whether a field is tuned by default."""
    own = _own_range(field)
    return own is not None and not getattr(own, "by_name", False)


def _read_range(name: str, text: str, kind: Any) -> Tune | TuneChoice:
    mistake = ConfigError(
        f"Expected --range {name} to be low:high, low:high:step, low:high:log with low above 0, or "
        f"values with commas between them. Received: {text!r}."
    )
    kind = kind if kind in (int, float) else None
    try:
        if ":" not in text:
            return TuneChoice(tuple(_value(word, kind) for word in text.split(",")))
        low, high, *rest = text.split(":")
        low, high = _value(low, kind or float), _value(high, kind or float)
        if not kind or not low < high or len(rest) > 1:
            raise mistake
        if rest == ["log"]:
            if low <= 0:
                raise mistake
            return Tune(low, high, sampling="log")
        step = _value(rest[0], kind) if rest else None
        if step is not None and step <= 0:
            raise mistake
        return Tune(low, high, step)
    except ValueError:
        raise mistake from None


def _value(word: str, kind: type | None) -> Any:
    if kind:
        return kind(word)
    return {"true": True, "false": False}.get(word.lower(), word)


def _extremes(found: Tune | TuneChoice) -> Sequence[Any]:
    return found.values if isinstance(found, TuneChoice) else (found.low, found.high)


def declare(hp: Any, space: Space, config: Config) -> dict[str, Any]:
    """Declares each field to tune to KerasTuner, and returns its values.

    The default is the configuration's value, or the nearest in the range.

    Args:
        hp: A `keras_tuner.HyperParameters`.
        space: The ranges.
        config: The configuration.

    Returns:
        The values by field.
    """
    return {name: _declare(hp, name, space[name], config) for name in space}


def _declare(hp: Any, name: str, found: Tune | TuneChoice, config: Config) -> Any:
    default = getattr(config, name)
    if isinstance(found, TuneChoice):
        values = list(found.values)
        if values == [False, True]:
            return hp.Boolean(name, default=default)
        numbers = all(isinstance(one, int | float) for one in (default, *values))
        if numbers and default not in values:
            default = min(values, key=lambda value: abs(value - default))
        return hp.Choice(name, values, default=default if default in values else None)
    whole = type(config).model_fields[name].annotation is int
    default = min(max(default or 0, found.low), found.high)
    options = {"step": found.step, "sampling": found.sampling, "default": default}
    if whole:
        return hp.Int(name, found.low, found.high, **{**options, "step": found.step or None})
    return hp.Float(name, found.low, found.high, **options)


def describe(space: Space) -> dict[str, str]:
    """Formats ranges as text, in the syntax of `--range`.

    Args:
        space: The range of each field by name.

    Returns:
        The text of each.
    """
    found = {}
    for name, one in space.items():
        if isinstance(one, TuneChoice):
            found[name] = ",".join(str(value) for value in one.values)
        else:
            last = "log" if one.sampling == "log" else one.step
            parts = (one.low, one.high, last)
            found[name] = ":".join(str(part) for part in parts if part is not None)
    return found


def parse_names(text: str | None) -> list[str]:
    """The field names of `--tune units,cell`; flag spelling is accepted, too."""
    words = [word.strip() for word in (text or "").split(",")]
    return [word.removeprefix("--").replace("-", "_") for word in words if word]


def parse_ranges(words: Sequence[str]) -> dict[str, str]:
    """The ranges of `--range units=64:512:64`, by field name."""
    found = {}
    for word in words:
        name, _, text = word.partition("=")
        names = parse_names(name)
        if len(names) != 1 or not text:
            raise ConfigError(f"Expected {flag('range')} FIELD=RANGE. Received: {word!r}.")
        found[names[0]] = text
    return found
