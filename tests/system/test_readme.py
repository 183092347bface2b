"""Pastes the lines of the READMEs one after another, with small settings and stand-in files."""

import contextlib
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import pytest
from pages import SMALL, Reader, blocks, write_files

import rnnapps

HOME = pathlib.Path(__file__).parents[2]


class Visitor(Reader):
    """Somebody who has cloned the repository, and starts a server as a process of its own."""

    def type(self, line):
        words = shlex.split(line)
        if words[0] == "make":  # make quickstart would install: only that there is such a target
            dry = [*words, "--dry-run"]
            done = subprocess.run(dry, cwd=HOME, check=True, capture_output=True)
            if not (HOME / ".venv").exists():
                assert b"-m venv .venv" in done.stdout
        elif words[0] == ".":  # the environment that make quickstart makes
            assert words[1:] == [".venv/bin/activate"]
        else:
            super().type(line)

    def mode(self, words):
        return contextlib.nullcontext()  # as a visitor's machine does

    def serve(self, words):
        ports = ["--rest-port", "0", "--grpc-port", "0"]
        command = [sys.executable, "-m", "rnnapps.cli", *words[1:], *ports]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        server = self.stack.enter_context(process)
        self.stack.callback(server.send_signal, signal.SIGTERM)
        said = next(line for line in server.stdout if line.startswith("REST"))
        self.ports["8501"] = re.search(r"http://127.0.0.1:(\d+)", said)[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the reader's own files, and the applications at sample size."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    for application, name in rnnapps.apps.APPLICATIONS.items():
        monkeypatch.setattr(rnnapps, name, small(getattr(rnnapps, name), SMALL[application]))
    return tmp_path


def small(application, settings):
    return lambda **given: application(**{**given, **settings})


def test_both_languages_hold_the_same_code():
    assert blocks(HOME / "README.md") == blocks(HOME / "README.zh-CN.md")


def test_every_link_leads_somewhere():
    for name in ("README.md", "README.zh-CN.md"):
        links = re.findall(r"\]\(([^)#]+)\)", (HOME / name).read_text("utf-8"))
        assert len(links) >= 5
        there = [link for link in links if not link.startswith("https://")]
        assert not [link for link in there if not (HOME / link).exists()]


def test_every_line_works(here, capsys):
    with contextlib.ExitStack() as stack:
        Visitor(stack).read(HOME / "README.md")
    answers = capsys.readouterr().out
    assert '"predictions"' in answers  # curl
    for path in ("runs/mine", "runs/first", "saved_models/sentiment/1"):
        assert (here / path).is_dir()
