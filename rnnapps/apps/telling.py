"""How an application is shown, copied and pickled."""

import html
import pathlib
import tempfile
from typing import TYPE_CHECKING

from rnnapps.files import packed, unpack

if TYPE_CHECKING:
    from rnnapps.apps.application import Application


class Shown:
    """What makes an application one that can be shown, copied and pickled."""

    def __repr__(self: "Application") -> str:
        """The settings that are not the default ones, the data, and the first metrics."""
        return f"{type(self).__name__}({', '.join(told(self))})"

    def _repr_html_(self: "Application") -> str:
        """The same as a list, for a notebook."""
        rows = "".join(f"<li>{html.escape(one)}</li>" for one in told(self))
        return f"<b>{type(self).__name__}</b><ul>{rows}</ul>"

    def __reduce__(self: "Application") -> tuple:
        return copied(self)


def told(app: "Application") -> list[str]:
    """What an application is, for `repr`.

    Args:
        app: The application.

    Returns:
        The settings that are not the default ones, the data, and the first metric of each part.
    """
    usual = dict(app.config_class())
    said = [f"{name}={value!r}" for name, value in app.config if value != usual[name]]
    if not app.trained:
        return [*said, "not trained"]
    said.append(f"trained on {app.info.source}")
    for part in ("validation", "test"):
        measured = app.metrics.get(part, {})
        names = [name for name in app.objectives if name in measured]
        said += [f"{part} {name} {measured[name]:.4g}" for name in names[:1]]
    return said


def copied(app: "Application") -> tuple:
    """What `copy` and `pickle` make an application of again: its configuration, or its run.

    A Keras model can be copied by being saved only.

    Args:
        app: The application.
    """
    if not app.trained:
        return type(app), (app.config,)
    with tempfile.TemporaryDirectory() as folder:
        run_dir, info = app.run_dir, app.info
        try:
            app.save(pathlib.Path(folder, "run"))
        finally:
            app.run_dir, app.info = run_dir, info
        return from_archive, (type(app), packed(pathlib.Path(folder, "run")))


def from_archive(kind: type["Application"], content: bytes) -> "Application":
    """An application that `copied` has packed; its run is kept nowhere.

    Args:
        kind: Its class.
        content: The archive of its run.
    """
    with tempfile.TemporaryDirectory() as folder:
        unpack(content, pathlib.Path(folder))
        app = kind.load(folder)
    app.run_dir = None
    return app
