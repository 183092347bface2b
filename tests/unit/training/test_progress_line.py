"""What a terminal of 80 columns shows of a training."""

import contextlib
import fcntl
import gzip
import math
import os
import re
import struct
import sys
import termios
import time
import zipfile

import numpy as np
import pandas as pd

from rnnapps.data.contents import read_contents
from rnnapps.data.separators import read_separated
from rnnapps.data.tables import read_table
from rnnapps.progress import counting, say, tracked, working
from rnnapps.text import WordTokenizer
from rnnapps.training.progress_line import ProgressLine


@contextlib.contextmanager
def a_terminal(monkeypatch):
    """Standard error on a terminal; a function of what was shown on it, without its colours."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    os.set_blocking(ours, False)
    shown = b""

    def lines() -> list[str]:
        nonlocal shown
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except (BlockingIOError, OSError):
                break
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
        return [line for line in re.split(r"[\r\n]+", text) if line.strip()]

    with os.fdopen(theirs, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        yield lines
    os.close(ours)


def test_the_time_left_does_not_count_the_first_step(monkeypatch):
    with a_terminal(monkeypatch) as lines:
        train()
        shown = lines()
    assert max(map(len, shown)) <= 80
    assert any(re.match(r"epoch 1/2  loss 0\.523[45]  val_loss 0\.4  \d s", one) for one in shown)
    left = [re.search(r"step (\d+)/10 .* 0:00:(\d+)", one) for one in shown if "epoch 1/2" in one]
    assert [one for one in left if one and one[1] in "3456"]
    assert all(int(one[2]) <= 4 for one in left if one)


def train():
    line = ProgressLine(steps=10, epochs=2)
    line.on_train_begin()
    for epoch in range(2):
        line.on_epoch_begin(epoch)
        for step in range(10):
            time.sleep(1.5 if epoch == step == 0 else 0.12)  # the first one traces the graph
            line.on_train_batch_end(step, {"loss": 123456.789})
        line.on_epoch_end(epoch, {"loss": 0.52345, "val_loss": 0.4})
    line.on_train_end()


def test_how_long_a_long_training_takes_is_said_once_without_a_terminal_too(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    told = (
        r"rnnapps: training takes about 33 min at most, 20 epochs of 100 steps \(7 windows\); "
        r"\d+\.\d GB of memory so far\.\n"
    )
    limited = told.replace("33 min at most, 20 epochs", "3 min at most, epochs")
    for seconds, limit, said in (
        (1.0, math.inf, told), (1.0, 180.0, limited), (0.01, math.inf, ""), (0.1, 50.0, ""),
    ):  # fmt: skip
        line = ProgressLine(steps=100, epochs=20, size="7 windows", limit=limit)
        clock[0] += 30  # the first step traces the graph
        for step in range(100):
            line.on_train_batch_end(step, {"loss": 1.0})
            clock[0] += seconds
        assert re.fullmatch(said, capsys.readouterr().err)


def test_counting_shows_a_count_a_share_and_a_time_left(monkeypatch):
    with a_terminal(monkeypatch) as lines, open(os.devnull, "w") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        with counting("answering", "rows") as show:
            for i in range(1, 6):
                time.sleep(0.15)
                show(i * 1000, i / 10)
        shown = lines()
    assert any(re.match(r"answering 4,000 rows .* 40% 0:00:0\d", one) for one in shown)


def test_work_shows_how_far_it_is_after_two_seconds(monkeypatch):
    with a_terminal(monkeypatch) as lines:
        with working("answering"), working("reading the data"):
            list(map(time.sleep, tracked([0.3] * 9, "rows")))
        shown = lines()
    assert any("answering ..." in one for one in shown)  # what it belongs to
    early = [one for one in shown if re.search(r"reading the data \.\.\.\s*$", one)]
    late = [
        one for one in shown if re.search(r"data \.\.\. [78] of 9 rows  \d+ %  0:00:0\d left", one)
    ]
    assert early and late and max(map(len, shown)) <= 80


def test_a_table_s_text_is_counted_as_it_is_read(monkeypatch):
    text = "a,b\n" + "1,some text\n" * 200_000
    with a_terminal(monkeypatch) as lines:
        with working("reading the data"):
            time.sleep(2.1)
            assert len(read_separated(text, ",", "the table")) == 200_000
            time.sleep(0.2)
        shown = lines()
    assert any(re.search(r"of 2,400,004 characters  \d+ %", one) for one in shown)


def test_a_parquet_file_s_rows_are_counted_within_a_group(monkeypatch, tmp_path):
    frame = pd.DataFrame({"text": ["some text"] * 200_000})
    frame.to_parquet(tmp_path / "texts.parquet", row_group_size=200_000)
    with a_terminal(monkeypatch) as lines:
        with working("reading the data"):
            time.sleep(2.1)
            pd.testing.assert_frame_equal(read_table(tmp_path / "texts.parquet").frame, frame)
            time.sleep(0.2)
        shown = lines()
    assert any(re.search(r"of 200,000 rows  \d+ %", one) for one in shown)


def test_unpacking_and_tokenizing_are_counted(monkeypatch, tmp_path):
    content = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "text.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "text.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text.txt", content)
    with a_terminal(monkeypatch) as lines:
        with working("reading the text"):
            time.sleep(2.1)
            for name in ("text.gz", "text.zip"):
                assert read_contents(tmp_path / name)[0] == content
                time.sleep(0.2)
            WordTokenizer(5).adapt(["one text"] * 5000)
            time.sleep(0.2)
        shown = lines()
    for counted in (r"of 3,00\d,\d{3} bytes", "4,096 of 5,000 texts"):
        assert any(re.search(rf"{counted}  \d+ %", one) for one in shown), counted


def test_nothing_is_shown_where_there_is_no_terminal(capfd):
    with working("reading the data"):
        list(map(time.sleep, tracked([0.3] * 8, "rows")))
    assert capfd.readouterr() == ("", "")


def test_long_sentences_end_a_terminal_s_lines_between_words(monkeypatch, capsys):
    sentence = "a sentence of some words that is longer than a line of a terminal holds " * 2
    say([sentence])
    assert capsys.readouterr().err == f"rnnapps: {sentence}.\n"
    with a_terminal(monkeypatch) as lines:
        say([sentence + "x" * 90])
        shown = lines()
    assert " ".join(one.strip() for one in shown if one.strip()).split() == [
        "rnnapps:", *sentence.split(), "x" * 90 + ".",
    ]  # fmt: skip
