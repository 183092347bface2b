"""A model's folder: which model it is for, and which versions it has."""

import pathlib
import re

from rnnapps.errors import RunError
from rnnapps.files import read_json

_LARGEST = 2**63 - 1  # TF Serving's largest version number


def versions_of(model_dir: pathlib.Path) -> dict[int, pathlib.Path]:
    """The versions in a model's folder that TF Serving recognizes.

    Args:
        model_dir: The folder.

    Returns:
        The folders by version number, ascending.
    """
    if not model_dir.is_dir():
        return {}
    named = {path: path.name for path in model_dir.iterdir() if path.is_dir()}
    found = {int(name): path for path, name in named.items() if re.fullmatch(r"[0-9]{1,19}", name)}
    return {number: found[number] for number in sorted(found) if number <= _LARGEST}


def next_version(model_dir: pathlib.Path) -> pathlib.Path:
    """The folder of the next version.

    Args:
        model_dir: The model's folder.

    Returns:
        The path, which does not exist yet.

    Raises:
        RunError: If the latest version has the largest possible number.
    """
    number = max(versions_of(model_dir), default=0) + 1
    while (model_dir / str(number)).exists():  # a file
        number += 1
    if number > _LARGEST:
        raise RunError(f"{model_dir} holds version {_LARGEST}, and no server reads a higher one.")
    return model_dir / str(number)


def check_folder(model_dir: pathlib.Path, application: str | None) -> None:
    """Rejects a folder in which a new version would replace another model or never be served.

    Args:
        model_dir: The folder to export to; it need not exist.
        application: The application's name, as in a version's model card.

    Raises:
        RunError: If the folder does not belong to this application.
    """
    if model_dir.exists() and not model_dir.is_dir():
        raise RunError(f"Expected a folder to export to. Received: the file {model_dir}.")
    if not model_dir.exists():
        return
    if _is_version(model_dir):
        raise RunError(
            f"{model_dir} is a version of a model; export to its folder, {model_dir.parent}."
        )
    models = [path for path in sorted(model_dir.iterdir()) if _is_model(path)]
    if models:
        names = ", ".join(path.name for path in models)
        raise RunError(
            f"{model_dir} is a folder of models ({names}); export to a folder in it, such as "
            f"{model_dir / (application or 'my_model')}."
        )
    for version in versions_of(model_dir).values():
        card = version / "model_card.json"
        owner = read_json(card).get("application") if card.exists() else None
        if _is_version(version) and application != owner:
            raise RunError(
                f"{model_dir} holds a model of {owner or 'unknown origin'} (version "
                f"{version.name}), which a server would replace by one of {application}; export "
                f"to another folder."
            )


def _is_version(folder: pathlib.Path) -> bool:
    return (folder / "saved_model.pb").is_file()


def _is_model(folder: pathlib.Path) -> bool:
    return not folder.name.startswith(".") and any(map(_is_version, versions_of(folder).values()))
