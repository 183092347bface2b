"""`rnnapps new`: copies an application as the start of your own. Imports no TensorFlow."""

import dataclasses
import importlib.metadata
import importlib.util
import itertools
import json
import keyword
import os
import re
import sys
from pathlib import Path

from tyro.conf import Positional

from rnnapps import __version__
from rnnapps.apps import APPLICATIONS
from rnnapps.cli.flags import read_form
from rnnapps.cli.settings import application_first
from rnnapps.errors import ConfigError, RunError, nearest
from rnnapps.files import remove_tree

_HERE = Path(__file__).parent.parent
_IMPORT = r"^from \S+ import (?:\([^)]*\)|.*)\n"


@dataclasses.dataclass(frozen=True)
class New:
    """Copies an application into a package of your own."""

    name: Positional[str]
    """Name of the package and its folder."""
    force: bool = False
    """Move an existing folder of this name out of the way."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    application, rest = application_first("new", arguments)
    form = read_form(f"rnnapps new {application}", New, rest)
    folder = copy_out(application, form.name, form.force)
    print(f"{folder}: pip install -e ./{folder}, then rnnapps train {form.name}")


def copy_out(application: str, name: str, force: bool = False) -> Path:
    """Writes a package: an application's rooms, a test, a notebook, a README, `pyproject.toml`.

    Args:
        application: One of rnnapps' own.
        name: The package's name, and that of the folder in the working directory.
        force: Whether to move what has that name out of the way.

    Returns:
        The folder, which appears whole or not at all.

    Raises:
        ConfigError: If there is no such application, or a package cannot have this name.
        RunError: If there is something of this name, and not `force`; or it cannot be written.
    """
    if application not in APPLICATIONS:
        raise ConfigError(
            f"Expected one of {', '.join(APPLICATIONS)}. Received: {application!r}."
            f"{nearest(application, list(APPLICATIONS))}"
        )
    folder = Path(name)
    _check_name(name, folder)
    if os.path.lexists(folder) and not force:
        raise RunError(
            f"{folder} exists; choose another name, or move it out of the way with --force."
        )
    draft = folder.with_name(f".{name}.draft")
    remove_tree(draft)
    try:
        _write(application, name, draft)
        if os.path.lexists(folder):
            old = folder.rename(_free(folder))
            print(f"rnnapps: what was {folder} is now {old}.", file=sys.stderr)
        draft.rename(folder)
    except OSError as error:
        raise RunError(f"Cannot write {folder}: {error.strerror}.") from None
    finally:
        remove_tree(draft)
    return folder


def _write(application: str, name: str, folder: Path) -> None:
    """Writes the package's files; in the templates its name is my_app."""
    (folder / name).mkdir(parents=True)
    for room in sorted((_HERE / "apps" / application).glob("*.py")):
        text = _own(room.read_text("utf-8"), application, name)
        (folder / name / room.name).write_text(text, "utf-8")
    templates = _HERE / "templates"
    for template in (templates / "pyproject.toml", *sorted((templates / application).iterdir())):
        text = template.read_text("utf-8").replace("my_app", name)
        text = text.replace("TheApplication", APPLICATIONS[application])
        text = text.replace("rnnapps~=0.0", f"rnnapps~={__version__}")
        (folder / template.name.replace("my_app", name)).write_text(text, "utf-8")


def _own(text: str, application: str, name: str) -> str:
    """A room's text with the package's name where the application's was.

    Keras saves a layer under the name of the package that registered it, so that a person's layers
    and those that they were copied from stay apart in one process.
    """
    for old, new in {
        f"rnnapps.apps.{application}": name,
        'keras_serializable("rnnapps")': f'keras_serializable("{name}")',
        f'    name = "{application}"': f'    name = "{name}"',
    }.items():
        text = text.replace(old, new)
    # A copy has no models that were saved under a former name.
    text = re.sub(r"^(@|from \S+ import )formerly\b.*\n", "", text, flags=re.MULTILINE)
    return re.sub(f"(?:{_IMPORT})+", _in_order, text, flags=re.MULTILINE)


def _in_order(block: re.Match[str]) -> str:
    """Lines of imports in the order of their modules, as ruff and isort want it."""
    lines = re.findall(_IMPORT, block[0], re.MULTILINE)
    return "".join(sorted(lines, key=lambda line: line.split()[1].lower()))


def _check_name(name: str, folder: Path) -> None:
    """Refuses what is no name of a Python package, or hides a module that there is."""
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?", name) or keyword.iskeyword(name):
        raise ConfigError(
            "Expected a name for a Python package: letters, digits and underscores between them, "
            f"a letter first, and no keyword. Received: {name!r}."
        )
    if name in APPLICATIONS:
        raise ConfigError(f"Expected a name other than an application's. Received: {name!r}.")
    if name in sys.stdlib_module_names or _installed_elsewhere(name, folder):
        raise ConfigError(
            f"Expected a name that no module has: the package would hide it. Received: {name!r}."
        )


def _installed_elsewhere(name: str, folder: Path) -> bool:
    """Whether there is a module or a distribution of this name that is not in this folder."""
    found = importlib.util.find_spec(name)
    if found:
        places = found.submodule_search_locations or [found.origin or ""]
        return not all(Path(place).is_relative_to(folder.absolute()) for place in places)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    source = json.loads(distribution.read_text("direct_url.json") or "{}")
    return source.get("url") != folder.absolute().as_uri()


def _free(folder: Path) -> Path:
    """The first of NAME.old, NAME.old-2, ... that there is not."""
    for number in itertools.count(1):
        other = folder.with_name(f"{folder.name}.old{'' if number == 1 else f'-{number}'}")
        if not os.path.lexists(other):
            return other
