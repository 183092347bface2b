"""The processes of one search on this machine."""

import pytest

from rnnapps.errors import RunError
from rnnapps.tuning.processes import run_processes


def test_they_import_nothing_of_the_working_directory(tmp_path, monkeypatch, capfd):
    for name in ("numbers", "json", "rnnapps"):  # a stranger's, in a folder of data
        (tmp_path / f"{name}.py").write_text(f"open('{name} was run', 'w')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="The search cannot go on; its chief said why above"):
        run_processes(["tune", "no such application"], 1, tmp_path / "project")
    assert "rnnapps: Expected an application" in capfd.readouterr().err
    assert not list(tmp_path.glob("*was run"))
