"""Pastes the lines of the READMEs one after another, with small settings and stand-in files."""

import contextlib
import json
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import pandas as pd
import pytest

import rnnapps
from rnnapps import cli

HOME = pathlib.Path(__file__).parents[2]
CODE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REVIEWS = [(f"a fine film of {i} minutes", "1") for i in range(40)]
REVIEWS += [(f"a dull film of {i} minutes", "0") for i in range(40)]
PAIRS = [(f"number {i}", str(i)) for i in range(80)]
TEXT = "the cat sat on the mat\n" * 100
TABLE = pd.DataFrame({
    "time": pd.date_range("2024-01-01", periods=400, freq="h"),
    "load": [100 + (i % 24) for i in range(400)],
})  # fmt: skip
SMALL = {
    "sentiment": {"units": 4, "embedding_dim": 4, "epochs": 1, "data": "reviews.csv"},
    "chargen": {"units": 4, "embedding_dim": 4, "epochs": 1, "window": 16},
    "translation": {
        "units": 4, "embedding_dim": 4, "epochs": 1, "max_tokens": 40, "beam_width": 1,
    },
    "forecasting": {"units": 4, "epochs": 1, "lookback": 24},
    "tagging": {"units": 4, "embedding_dim": 4, "epochs": 1},
}  # fmt: skip


def blocks(name):
    """The README's code, without its comments."""
    found = CODE.findall((HOME / name).read_text("utf-8"))
    return [(kind, re.sub(r" *#.*$", "", code, flags=re.MULTILINE)) for kind, code in found]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the reader's own files, and the applications at sample size."""
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(REVIEWS, columns=["text", "label"]).to_csv("reviews.csv", index=False)
    pathlib.Path("book.txt").write_text(TEXT)
    pathlib.Path("pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS))
    TABLE.to_csv("load.csv", index=False)
    names = "".join(f"May B-name\nmet O\n{i} O\n\n" for i in range(60))
    pathlib.Path("names.conll").write_text(names)
    for application, name in rnnapps.apps.APPLICATIONS.items():
        monkeypatch.setattr(rnnapps, name, small(getattr(rnnapps, name), SMALL[application]))
    return tmp_path


def small(application, settings):
    return lambda **given: application(**{**given, **settings})


def test_both_languages_hold_the_same_code():
    assert blocks("README.md") == blocks("README.zh-CN.md")


def test_every_link_leads_somewhere():
    for name in ("README.md", "README.zh-CN.md"):
        links = re.findall(r"\]\(([^)#]+)\)", (HOME / name).read_text("utf-8"))
        assert len(links) >= 5
        assert not [link for link in links if not (HOME / link).exists()]


def test_every_line_works(here, capsys):
    with contextlib.ExitStack() as stack:
        for kind, code in blocks("README.md"):
            if kind == "python":
                exec(code, {})
                continue
            for line in code.splitlines():
                execute(line, here, stack)
    answers = capsys.readouterr().out
    assert '"predictions"' in answers  # curl
    for path in ("runs/first", "runs/best", "saved_models/sentiment/2", "saved_models/fast/1"):
        assert (here / path).is_dir()
    assert (here / "my_app" / "my_app" / "model.py").exists()


def execute(line, here, stack):
    """Runs a line of shell; `rnnapps` in this process, but for the server, which stays."""
    words = shlex.split(line)
    if words[0] == "make":  # make quickstart would install: only that there is such a target
        done = subprocess.run([*words, "--dry-run"], cwd=HOME, check=True, capture_output=True)
        if not (HOME / ".venv").exists():
            assert b"-m venv .venv" in done.stdout
    elif words[0] == ".":  # the environment that make quickstart makes
        assert words[1:] == [".venv/bin/activate"]
    elif words[:2] == ["rnnapps", "serve"]:
        ports = ["--rest-port", "0", "--grpc-port", "0"]
        command = [sys.executable, "-m", "rnnapps.cli", *words[1:], *ports]
        server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(server.send_signal, signal.SIGTERM)
        said = next(line for line in server.stdout if line.startswith("REST"))
        execute.port = re.search(r"http://127.0.0.1:(\d+)", said)[1]
    elif words[0] == "curl":
        command = ["curl", "--silent", "--show-error", *words[1:]]
        command = [word.replace("8501", execute.port) for word in command]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(json.dumps(json.loads(answer)))
    else:
        assert words[0] == "rnnapps", line
        words = [word.replace("8501", getattr(execute, "port", "8501")) for word in words[1:]]
        if words[0] in ("train", "tune") and words[1] in SMALL:
            for name, value in SMALL[words[1]].items():
                words += [f"--{name.replace('_', '-')}", str(value)]
            words += ["--trials", "1"] if words[0] == "tune" else []
        assert cli.main(words) == 0, line
