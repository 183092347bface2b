"""Answers for a table by processes that are killed: the same bytes, whoever was killed and when."""

import contextlib
import csv
import dataclasses
import os
import pathlib
import random
import signal
import subprocess
import sys
import tarfile
import time

import pytest

from rnnapps.apps.bulk.parts import Answered, Part
from rnnapps.apps.bulk.processes import in_processes
from rnnapps.errors import DataError, RunError

GOLDEN = pathlib.Path(__file__).parents[1] / "apps" / "golden" / "0.1.0" / "sentiment.tar.xz"
TEXTS = ["A fine film.", "dull, and\nlong", "", "the cast was\rnot superb"]
PARTS = [
    Part(i, i * 10, [{"text": f"{i}-{j}"} for j in range(10)], f"rows of {i}") for i in range(40)
]


@dataclasses.dataclass(frozen=True)
class Slow:
    """Answers without a model, and notes in a folder who answered what."""

    folder: pathlib.Path
    poison: int | None = None
    mistake: int | None = None

    def start(self):
        return self.answer

    def answer(self, part):
        (self.folder / f"{part.number}-{os.getpid()}").touch()
        time.sleep(0.02)
        if part.number == self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        if part.number == self.mistake:
            raise DataError("Expected --column to be there.")
        return Answered(part.number, len(part.rows), "".join(r["text"] for r in part.rows).encode())


def workers_of(process: int) -> list[int]:
    """The processes that answer for another one."""
    found = []
    for one in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"spawn_main" in pathlib.Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(int(one))
    return found


def gone(processes) -> bool:
    """Whether processes end within ten seconds."""
    end = time.monotonic() + 10
    while any(pathlib.Path(f"/proc/{one}").exists() for one in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_parts_of_workers_that_are_killed_are_answered_by_others(tmp_path, capsys):
    draws, found, kills = random.Random(0), [], 0
    for part in in_processes(Slow(tmp_path), PARTS, 3):
        found.append(part)
        if draws.random() < 0.3 and (workers := workers_of(os.getpid())):
            os.kill(draws.choice(workers), signal.SIGKILL)
            kills += 1
    assert kills >= 5
    assert sorted(part.number for part in found) == list(range(40))
    for part in found:
        assert part.content.decode() == "".join(row["text"] for row in PARTS[part.number].rows)
    assert "a worker died (SIGKILL); rows of " in capsys.readouterr().err
    assert gone(workers_of(os.getpid()))


def test_a_part_of_which_every_worker_dies_is_said(tmp_path):
    with pytest.raises(
        RunError, match=r"answered for rows of 3 died 11 times, the last by SIGKILL"
    ):
        list(in_processes(Slow(tmp_path, poison=3), PARTS, 2))
    assert gone(workers_of(os.getpid()))


def test_a_mistake_in_a_worker_is_the_commands(tmp_path):
    with pytest.raises(DataError, match="Expected column= to be there"):
        list(in_processes(Slow(tmp_path, mistake=5), PARTS, 2))
    assert gone(workers_of(os.getpid()))


def start(folder, *words):
    command = [sys.executable, "-m", "rnnapps.cli", "predict", "export", "in.csv", *words]
    return subprocess.Popen(
        [*command, "--part-rows", "50"], cwd=folder, stderr=subprocess.PIPE, text=True
    )


def test_a_command_that_is_killed_ends_with_the_same_bytes(tmp_path):
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "sentiment" / "export").rename(tmp_path / "export")
    with (tmp_path / "in.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        table.writerows((i, f"{TEXTS[i % 4]} {i % 91}") for i in range(4000))
    _, errors = (whole := start(tmp_path, "--output", "whole.csv")).communicate(timeout=300)
    assert whole.returncode == 0, errors

    draws, state = random.Random(0), tmp_path / ".broken.csv.partial"
    for kill in range(2):
        process = start(tmp_path, "--output", "broken.csv", "--workers", "2")
        before = len(list(state.glob("part-*")))
        while len(list(state.glob("part-*"))) < before + draws.randint(1, 20):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        workers = workers_of(process.pid)
        if kill:
            os.kill(process.pid, signal.SIGKILL)
        else:  # a worker alone: the command replaces it and goes on
            os.kill(workers.pop(), signal.SIGKILL)
            assert any("a worker died (SIGKILL); rows " in line for line in process.stderr)
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert gone(workers)  # with the process that started them
        assert not (tmp_path / "broken.csv").exists()
    _, errors = (last := start(tmp_path, "--output", "broken.csv", "--workers", "2")).communicate()
    assert last.returncode == 0, errors
    assert (tmp_path / "broken.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["broken.csv", "export", "in.csv", "sentiment", "whole.csv"]
