import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from rnnapps.errors import DiskError, RunError
from rnnapps.files import draft_file, draft_folder, locked, read_json, remove_tree, write


def test_processes_may_write_one_file_at_once(tmp_path):
    code = (
        "import pathlib, sys; from rnnapps.files import write\n"
        "for _ in range(500): write(pathlib.Path(sys.argv[1]), sys.argv[2] * 1000)"
    )
    path = tmp_path / "seconds"
    processes = [subprocess.Popen([sys.executable, "-c", code, path, str(i)]) for i in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert path.read_text() in [str(i) * 1000 for i in range(4)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_what_it_was_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    write(path, "old")
    with pytest.raises(InterruptedError), draft_file(path) as draft:
        draft.write_text("half of the")
        assert path.read_text() == "old"
        raise InterruptedError
    assert path.read_text() == "old"
    write(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_naming_its_file(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_pipe_is_written_to_and_a_folder_is_not(tmp_path):
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pathlib.Path(pipe).read_text()))
    reader.start()
    write(pipe, "through")
    reader.join(10)
    assert received == ["through"]
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write(tmp_path, "text")
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_tree_is_gone_at_once_and_swept_after_a_kill(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(5000):
        (folder / str(number)).touch()
    code = (
        "import pathlib, sys; from rnnapps.files import remove_tree\n"
        "remove_tree(pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    while folder.exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    assert [path.name[:6] for path in tmp_path.iterdir()] == [".tree."]  # the kill was in time
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


def test_drafts_in_use_stay_and_killed_ones_go(tmp_path):
    killed = tmp_path / ".draft-killed" / "whole"
    killed.mkdir(parents=True)
    with draft_folder(tmp_path, ".draft-") as first:
        assert not killed.exists()
        first.mkdir()
        with draft_folder(tmp_path, ".draft-"):
            pass
        assert first.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_not_of_a_folder_that_was_taken_away(tmp_path):
    folder, reached = tmp_path / "folder", []

    def second():
        with contextlib.suppress(FileNotFoundError), locked(folder / ".lock"):
            reached.append("held")

    folder.mkdir()
    with locked(folder / ".lock"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)  # it waits by now
        remove_tree(folder)
    thread.join(10)
    assert reached == []


def test_a_full_device_is_one_sentence():
    with pytest.raises(DiskError, match=r"No space left on device: /dev has .* MB free"):
        write(pathlib.Path("/dev/full"), "text")
    program = [sys.executable, "-m", "rnnapps.cli", "--help"]
    with open("/dev/full", "w") as full:
        run = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (run.returncode, run.stderr) == (2, "rnnapps: output: No space left on device.\n")


def test_without_posix_there_is_help_and_a_sentence(tmp_path):
    code = (
        "import pathlib, sys; sys.modules['fcntl'] = None\n"
        "from rnnapps.cli import main\n"
        "assert main(['--help']) == 0\n"
        "from rnnapps.errors import RnnappsError\n"
        "from rnnapps.files import locked\n"
        "try:\n"
        "    with locked(pathlib.Path(sys.argv[1])): pass\n"
        "except RnnappsError as error: print(error, file=sys.stderr)\n"
    )
    program = [sys.executable, "-c", code, str(tmp_path / "lock")]
    run = subprocess.run(program, capture_output=True, text=True)
    assert "usage: rnnapps COMMAND" in run.stdout
    assert run.stderr.startswith("rnnapps trains, tunes and exports on POSIX systems: Linux, macOS")


def test_what_is_no_json_object_is_one_sentence(tmp_path):
    path = tmp_path / "file.json"
    for text in ("[]", "{", "[" * 100_000, "\ud800"):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(RunError, match=r"file\.json is damaged") as error:
            read_json(path)
        assert "\n" not in str(error.value)
