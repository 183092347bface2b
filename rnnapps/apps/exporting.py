"""Exports an application as the next version of a SavedModel, with its model card."""

import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rnnapps.apps.card import Card
from rnnapps.errors import ConfigError, RnnappsError
from rnnapps.progress import working
from rnnapps.serving.export.accelerating import NARROW, rounded
from rnnapps.serving.export.export import EXACT, NEAR, ROUGH, ExportSpec, publish

if TYPE_CHECKING:
    from rnnapps.apps.application import Application


def export(
    app: "Application", model_dir: pathlib.Path | str, xla: bool, precision: str
) -> pathlib.Path:
    """Publishes the next version of an application; see `Application.export`.

    Args:
        app: The application.
        model_dir: The model's folder.
        xla: Whether XLA compiles the network.
        precision: Of the weights.

    Returns:
        The new version's folder.
    """
    if precision not in ("float32", NARROW):
        raise ConfigError(
            f"Expected --precision to be float32 or {NARROW}. Received: {precision!r}."
        )
    narrow, spec, model_card = precision == NARROW, app.serving_spec(), app.model_card()
    if narrow:
        model_card["precision"] = {
            "weights": precision,
            **_cost_of_rounding(app, spec.compiled_methods),
        }
    tolerance = NEAR if app.config.precision == "float32" else ROUGH
    with working("exporting"):
        document = _card(app, model_card.get("precision")).markdown(_asked(spec))
        return publish(
            model_dir, spec, model_card, xla, narrow, tolerance if xla else EXACT, document
        )


def _card(app: "Application", precision: dict[str, Any] | None) -> Card:
    return Card(app.name, app.config, app.info, app.metrics, app.history, precision)


def _asked(spec: ExportSpec) -> list[tuple[str, str]]:
    """The signatures by name, each with its inputs."""
    return [
        (name, ", ".join(f"`{one.name}` ({one.dtype.name})" for one in signature.inputs))
        for name, signature in spec.signatures.items()
    ]


def model_card(app: "Application") -> dict[str, Any]:
    """What an export says of a model; see `Application.model_card`.

    Args:
        app: The application.
    """
    return {
        "application": app.name,
        "data": app.info.source,
        "lineage": app.info.lineage,
        "configuration": app.config.to_dict(),
        "metrics": _numbers(app.metrics),
    }


def _cost_of_rounding(app: "Application", core: Sequence[Callable]) -> dict[str, Any]:
    """The objectives on the validation part with float32 weights and with narrow ones."""
    try:
        splits = app._trained_on()
        before = app._evaluate(splits, "validation")
        with rounded(core):
            after = app._evaluate(splits, "validation")
    except RnnappsError as error:  # the data is gone, or was never in the configuration
        return {"unknown": str(error)}
    pairs = {name: [before[name], after[name]] for name in app.objectives if name in before}
    return {"validation": pairs}


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of nested metrics, without lists and texts, which may quote the test part."""
    kept = {key: _numbers(v) if isinstance(v, dict) else v for key, v in found.items()}
    return {key: v for key, v in kept.items() if isinstance(v, dict | float | int)}
