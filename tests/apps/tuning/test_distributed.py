"""Searches of several processes, some of which are killed."""

import os
import pathlib
import signal
import socket
import time

import pytest
from searching import flags, outcome, start, wait_for

from rnnapps import cli
from rnnapps.errors import ConfigError
from rnnapps.files import locked
from rnnapps.tuning import processes
from rnnapps.tuning.options import TuneOptions
from rnnapps.tuning.processes import check_address
from rnnapps.tuning.report import read_search

pytestmark = pytest.mark.system


def children(parent):
    """The processes that a process has started, by the name of their part in the search."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
            status = (folder / "status").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if f"\nPPid:\t{parent}\n" in status and "--worker-id" in words:
            found[words[words.index("--worker-id") + 1]] = int(folder.name)
    return found


def test_workers_that_cannot_train_at_all_end_the_search(tmp_path):
    project, path = tmp_path / "search", tmp_path / "empty.csv"
    path.write_text("time,load\n")
    process = start(flags(path, project, "--trials", "4", "--workers", "2"))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "empty.csv holds no rows" in err
    assert err.splitlines()[-1].endswith("said why above.")
    assert not project.exists()


def test_two_chiefs_on_one_port_and_a_worker_without_a_chief(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        oracle = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match="Expected oracle= to be free for a chief"):
            check_address(TuneOptions(role="chief", oracle=oracle))
        check_address(TuneOptions(role="worker", oracle=oracle))
    monkeypatch.setattr(processes, "_PATIENCE", 2.0)
    began = time.monotonic()
    with pytest.raises(ConfigError, match="No chief answers at oracle="):
        check_address(TuneOptions(role="worker", oracle=oracle))
    assert 2 <= time.monotonic() - began < 12


def test_a_worker_takes_part_only_in_its_chiefs_search_under_a_name_of_its_own(
    table, searched, tmp_path, capsys
):
    with socket.socket() as chief:
        chief.bind(("127.0.0.1", 0))
        chief.listen()
        role = ("--role", "worker", "--oracle", f"127.0.0.1:{chief.getsockname()[1]}")
        for project, more, sentence in (
            (searched, ["--dropout", "0.5"], "dropout (0.3, 0.5)"),
            (searched, ["--worker-id", "one"], "A worker one is running"),
            (tmp_path, [], "holds no search; a worker shares its chief's --project-dir"),
        ):
            with locked(searched / ".one.lock"):
                assert cli.main(flags(table, project, *role, *more)) == 2
            assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_worker_that_is_gone_gives_its_trial_back_and_the_chief_ends(table, tmp_path):
    project = tmp_path / "machines"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()

    def part(role, name):
        more = ("--role", role, "--oracle", f"127.0.0.1:{address[1]}", "--worker-id", name)
        return start(flags(table, project, "--trials", "2", *more))

    def answers():
        with socket.socket() as asking:
            return asking.connect_ex(address) == 0

    chief = part("chief", "unused")
    wait_for(answers, chief)
    first = second = part("worker", "first")
    try:
        wait_for(lambda: list(project.glob("trial_0/.run.partial/*/epoch-00001")), first)
        first.kill()
        second = part("worker", "second")
        wait_for((project / "trial_1/result.json").exists, second)
        time.sleep(2)
        assert second.poll() is None, "it left a trial behind that has not ended"
        assert read_search(project)["trials"][1]["status"] == "running"
        os.utime(project / "trial_0", (0, 0))  # as if that had been long ago
        assert second.wait(120) == 0, second.communicate()
        assert chief.wait(60) == 0, chief.communicate()
    finally:
        for process in (chief, first, second):
            process.kill()
            process.communicate()
    assert [row[:2] for row in outcome(project)] == [("0", "completed"), ("1", "completed")]


@pytest.mark.skipif(not pathlib.Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_chief_and_workers_survive_being_killed(table, searched, tmp_path):
    project = tmp_path / "distributed"
    process = start(flags(table, project, "--trials", "4", "--workers", "2"))
    wait_for(lambda: list(project.glob("trial_*/.run.partial/*/epoch-00001")), process)
    family = children(process.pid)
    assert set(family) == {"chief", "worker-0", "worker-1"}
    worker = family["worker-0"]
    os.kill(worker, signal.SIGKILL)
    wait_for(
        lambda: children(process.pid).get("worker-0", family["worker-0"]) != family["worker-0"]
    )
    os.kill(family["chief"], signal.SIGKILL)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    rows, expected = outcome(project), outcome(searched)
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    for mine, other in zip(rows, expected, strict=True):
        assert mine[2] == pytest.approx(other[2], abs=1e-6)
        assert mine[3] == other[3]
