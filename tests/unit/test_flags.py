"""The flags of every command's settings can be made, and say what they take."""

from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from rnnapps.apps import APPLICATIONS, config_class
from rnnapps.cli import flags, main
from rnnapps.cli.demo import Demo
from rnnapps.cli.export import Export
from rnnapps.cli.predict import Ask
from rnnapps.cli.serve import Serve
from rnnapps.cli.settings import read_settings
from rnnapps.cli.train import RunOptions
from rnnapps.cli.update import Update
from rnnapps.config import Config
from rnnapps.errors import flag


@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_setting_of_an_application_has_a_flag(name, capsys):
    with pytest.raises(SystemExit):
        read_settings("train", "Trains.", name, ["--help"])
    said = capsys.readouterr().out
    missing = [field for field in config_class(name).model_fields if flag(field) not in said]
    assert not missing


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Ask, ["predict", "--server", "http://localhost"]),
        (Demo, ["demo"]),
        (Export, ["export"]),
        (Serve, ["serve"]),
        (Update, ["update"]),
    ],
)
def test_help_fills_its_lines_wherever_a_docstring_breaks_its_own(form, words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    said = capsys.readouterr().out
    for name, text in flags.documented(form).items():
        assert text in said, name
    assert "None" not in said  # what is not set has no default to tell
    assert "(default: )" not in said


class Odd(Config):
    """Settings in all forms that Python has for what may be left open."""

    sections: ClassVar = {"inner": "model"}

    inner: Annotated[int | None, Field(ge=0)] = None
    """A number."""
    outer: Annotated[int, Field(ge=0)] | None = None
    """A number, too."""
    path: Annotated[Path, Field()] | None = None
    """A file."""
    several: tuple[str, ...] | None = None
    """Names."""
    either: int | str | None = None
    """A number, or a word."""


def test_what_may_be_left_open_is_declared_in_any_form(capsys):
    def read(*arguments):
        return flags.read("try", "Tries.", flags.sections(Odd, {}), arguments)

    assert set(read().values()) == {None}
    given = ["--inner", "1", "--outer", "2", "--path", "a.csv", "--several", "b", "c"]
    assert read(*given, "--either", "d") == {
        "inner": 1, "outer": 2, "path": Path("a.csv"), "several": ("b", "c"), "either": "d",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        read("--help")
    said = capsys.readouterr().out
    assert "--inner INT" in said and "--outer INT" in said and "--path PATH" in said


def test_of_several_files_of_settings_the_last_counts(tmp_path):
    for units in (5, 7):
        (tmp_path / f"{units}.toml").write_text(f"units = {units}\n")
    words = [word for units in (5, 7) for word in ("--config", str(tmp_path / f"{units}.toml"))]
    run = flags.Group(RunOptions)
    settings, found = read_settings("train", "Trains.", "sentiment", words, run=run)
    assert (settings.units, found["config"].name) == (7, "7.toml")
