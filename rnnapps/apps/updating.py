"""Updates a run with new data, unless it gets worse on the old data."""

import contextlib
import functools
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rnnapps.apps.interrupted import state_of
from rnnapps.apps.run import check_free
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.files import remove_tree
from rnnapps.progress import say, working

if TYPE_CHECKING:
    from rnnapps.apps.application import Application

GIVEN = "given to fit()"  # the source of a model that learned from no configuration's data
TOLERANCE = 0.02
_SHARE = 0.25  # of the epochs of a training: its weights are there already


def update(
    app: "Application",
    new: Any,
    run_dir: pathlib.Path | str | None,
    tolerance: float,
    epochs: int | None,
) -> dict[str, Any]:
    """Updates an application; see `Application.update`.

    Args:
        app: The application, which is the updated one afterwards, or as it was.
        new: The new data.
        run_dir: Where the updated run is kept.
        tolerance: By which share the old validation part may get worse.
        epochs: Passes over the data, at most.

    Returns:
        What was measured.
    """
    _ = app.model  # there has to be one
    if not 0 <= tolerance < 1:
        raise ConfigError(f"Expected --tolerance to be from 0 to 1. Received: {tolerance}.")
    if epochs is not None and epochs < 1:
        raise ConfigError(f"Expected --epochs to be at least 1. Received: {epochs}.")
    app._check_head()
    run_dir = run_dir or app.run_dir
    with _place(app, run_dir) as folder:
        if app.run_dir is not None:  # whose weights are gone on with
            app._check_same(app.run_dir)
        after, found = _gone_on(app, new, folder, epochs)
        found["updated"] = _kept_up(app, found, tolerance)
        if found["updated"]:
            if run_dir is not None:
                after.save(run_dir)
            vars(app).clear()
            vars(app).update(vars(after))
    return found


@contextlib.contextmanager
def _place(app: "Application", run_dir: pathlib.Path | str | None) -> Iterator[pathlib.Path]:
    """A folder for the training's state, beside the run, which nobody else writes meanwhile.

    What a killed update has left there, the next one takes away.
    """
    if run_dir is None:
        with tempfile.TemporaryDirectory() as place:
            yield pathlib.Path(place)
        return
    run_dir = pathlib.Path(run_dir).resolve()
    check_free(run_dir, app.name)
    with state_of(run_dir) as state:
        folder = state / "update"
        remove_tree(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)


def _gone_on(
    app: "Application", new: Any, folder: pathlib.Path, epochs: int | None
) -> tuple["Application", dict[str, Any]]:
    """The application that has learned from the new data, too; what was measured before and after.

    Args:
        app: The application, which stays as it is.
        new: The new data.
        folder: Where the training's state is kept.
        epochs: Passes over the data, at most.
    """
    sources = _sources(app, new)
    with working("reading the data"):
        old, added = _old_data(app), []
        splits = old
        for source in sources:
            added.append(app._added(source, splits))
            splits = app._joined(splits, added[-1])
    parts = app._measured_apart(old, functools.reduce(app._joined, added))
    before = _measured(app, parts)
    if not before["validation"]:
        raise DataError("Expected a validation part, which decides. Received: none.")
    after = _trained(app, splits, folder, epochs)
    if app.info.source == GIVEN or not all(isinstance(one, pathlib.Path) for one in sources):
        after.info.source, after.given = GIVEN, app._given_again(splits)
    else:
        after.info.added = [*app.info.added, *map(str, sources)]
    return after, _compared(app, before, _measured(after, parts))


def _sources(app: "Application", new: Any) -> list[Any]:
    """The files of the new data; or what a person has given, by itself."""
    several = new if isinstance(new, list) and new else [new]
    if not all(isinstance(one, pathlib.Path) for one in several):
        return [new]
    known = [str(pathlib.Path(app.config.data).resolve()), *app.info.added]
    resolved = [path.resolve() for path in several]
    for i, path in enumerate(several):
        if str(resolved[i]) in known:
            raise DataError(f"Expected new data. Received: {path}, which the run has learned from.")
        if resolved[i] in resolved[:i]:
            raise DataError(f"Expected each file of new data once. Received: {path} again.")
    return resolved


def _old_data(app: "Application") -> Any:
    if app.info.source != GIVEN:
        return app._trained_on()
    if app.given[0] is None:
        raise RunError(
            "Expected a run whose data is a file or a data set, which can be read again. Received: "
            "one that learned from what fit() was given; call update() behind fit()."
        )
    return app._given_data()


def _trained(
    app: "Application", splits: Any, folder: pathlib.Path, epochs: int | None
) -> "Application":
    """An application that starts from another one's weights, trained on parts."""
    from rnnapps.apps.starting import source_at  # imports TensorFlow

    source, info = app.run_dir, app.info
    if source is None:  # its run is kept nowhere
        source = folder / "run"
        app.save(source)
        app.run_dir, app.info = None, info
    config = app.config
    epochs = epochs or max(1, round(config.epochs * _SHARE))
    start = {"init_from": str(source), "epochs": epochs}
    after = type(app)(config.model_copy(update={**app._settled(), **config.in_updates, **start}))
    after.learned = app.learned
    after.info = app.info.model_copy()
    (folder / "state").mkdir()
    with source_at(source, app):
        after.learn(splits, folder / "state", ())
    after.config = config
    return after


def _measured(app: "Application", parts: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """The application's first objective on the parts, as far as there are such."""
    objective, found = next(iter(app.objectives)), {}
    for part in ("validation", "test"):
        there = {name: one for name, one in parts.items() if app._has(one, part)}
        found[part] = {name: _value(app, one, part, objective) for name, one in there.items()}
    return found


def _value(app: "Application", parts: Any, part: str, objective: str) -> float | None:
    """A measure; `None` where the model cannot answer: it does not know a class."""
    try:
        return app._evaluate(parts, part)[objective]
    except DataError:
        return None


def _compared(app: "Application", before: dict, after: dict) -> dict[str, Any]:
    found: dict[str, Any] = {"objective": next(iter(app.objectives))}
    for part, values in before.items():
        found[part] = {
            name: {"before": value, "after": after[part][name]} for name, value in values.items()
        }
    return found


def _kept_up(app: "Application", found: dict[str, Any], tolerance: float) -> bool:
    """Whether what was known before is known as well as before."""
    name = "old" if "old" in found["validation"] else "new"  # what was forecast is learned from
    values = found["validation"][name]
    before, after = values["before"], values["after"]
    worse = before - after if app.objectives[found["objective"]] == "max" else after - before
    share = worse / abs(before) if before else float(worse > 0)
    if share > tolerance:
        say(
            [
                f"the {name} validation part's {found['objective']} went from {before:.4g} to "
                f"{after:.4g}, worse by more than {tolerance:.0%} (--tolerance): the run is not "
                "updated"
            ]
        )
    return share <= tolerance
