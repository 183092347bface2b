import os
import pathlib
import subprocess
import sys
import threading

import pytest

from rnnapps.files import write


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
