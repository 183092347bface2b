"""The run directory: whole after a kill, refused where it is damaged, kind to the user's files."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

import keras
import pytest
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import SentimentClassifier
from rnnapps.apps.interrupted import state_of
from rnnapps.apps.placing import draft_of, put_in_place, recover
from rnnapps.apps.run_info import RunInfo
from rnnapps.data import feed, make_reviews
from rnnapps.errors import ConfigError, DiskError, RunError

SETTINGS = {"epochs": 1, "units": 4, "embedding_dim": 4, "bidirectional": False, "ngrams": 0}
REVIEWS = make_reviews(120)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with eagerly():
        app = SentimentClassifier(**SETTINGS)
        return app.fit(REVIEWS, run_dir=tmp_path_factory.mktemp("a") / "r")


@pytest.fixture
def run_dir(app, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(app.run_dir, tmp_path / "run")


@contextlib.contextmanager
def full_disk():
    """Files may grow to 4 KB only: to a program, a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def as_of_old(run_dir):
    """The run as rnnapps 0.1.0 would have written it."""
    info = RunInfo.read(run_dir)
    (run_dir / "run.json").unlink()
    old = {"data": info.fingerprint, "source": info.source, "seconds": info.seconds}
    path = run_dir / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **old}))
    return info


def test_what_a_run_is_stands_beside_its_metrics(app, run_dir):
    info = RunInfo.read(run_dir)
    assert info == app.info
    assert info.source == "given to fit()"
    assert info.versions["rnnapps"] == rnnapps.__version__
    assert json.loads((run_dir / "metrics.json").read_text()).keys() == {"validation"}
    assert set(info.checksums) == set(names(run_dir)) - {"run.json"}


@eagerly()
def test_a_run_of_the_first_version_loads(run_dir):
    info = as_of_old(run_dir)
    before = (run_dir / "metrics.json").read_text()
    app = rnnapps.load(run_dir)
    assert (app.info.fingerprint, app.info.source) == (info.fingerprint, info.source)
    assert app.info.seconds == info.seconds
    assert set(app.metrics) < set(json.loads(before))
    app.evaluate(make_reviews(20))
    assert rnnapps.load(run_dir).metrics["test"] == app.metrics["test"]


def test_a_link_to_a_run_stays_one(app, tmp_path):
    link, target = tmp_path / "latest", tmp_path / "disk" / "run"
    link.symlink_to(target)
    for _ in range(2):
        app.save(link)
        assert link.is_symlink()
        assert (target / "model.keras").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "latest"]
    assert rnnapps.load(link).run_dir == target


def test_a_state_without_its_configuration_is_none(tmp_path):
    left = tmp_path / ".run.partial" / "network" / "epoch-00007"
    left.mkdir(parents=True)
    (left / "model.weights.h5").write_text("another run's")
    with state_of(tmp_path / "run") as state_dir:
        assert [path.name for path in state_dir.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []


@eagerly()
def test_only_what_the_run_wrote_is_replaced(app, run_dir):
    again = rnnapps.load(run_dir)
    again.evaluate(make_reviews(20))
    assert (run_dir / "figures" / "confusion_matrix.png").exists()
    for name in ("NOTES.txt", "figures/mine.png", "export/1/saved_model.pb"):
        (run_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / name).write_text("mine")
    before = set(names(run_dir))
    app.save(run_dir)
    gone = {"figures/confusion_matrix.png", "figures/reliability_diagram.png"}
    assert before - set(names(run_dir)) == gone  # of a model that is no longer there
    assert (run_dir / "NOTES.txt").read_text() == "mine"
    assert "test" not in rnnapps.load(run_dir).metrics


@eagerly()
def test_another_run_is_given_no_metrics_and_not_updated(run_dir):
    old, other = rnnapps.load(run_dir), rnnapps.load(run_dir)
    other.model.set_weights([weight + 1 for weight in other.model.get_weights()])
    other.save(run_dir)
    before = (run_dir / "metrics.json").read_text()
    with pytest.raises(RunError, match="holds another run by now"):
        old.evaluate(make_reviews(20))
    with pytest.raises(RunError, match="holds another run by now"):
        old.update(make_reviews(20))
    assert (run_dir / "metrics.json").read_text() == before


def test_a_save_that_was_interrupted_is_finished(app, run_dir, tmp_path, capsys):
    other = shutil.copytree(run_dir, tmp_path / ".run.new")  # as a kill leaves them: half moved
    (other / "config.toml").rename(run_dir / "config.toml")
    (run_dir / "model.keras").write_text("an older one")
    assert rnnapps.load(run_dir).info == app.info
    assert "was interrupted, and is finished now" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_there_is_one_whole_run_however_often_writing_is_killed(tmp_path):
    run_dir = tmp_path / "run"
    script = (
        "import itertools, pathlib, sys\n"
        "from rnnapps.apps.placing import draft_of, put_in_place\n"
        "from rnnapps.apps.run_info import RunInfo\n"
        "for number in itertools.count():\n"
        "    with draft_of(pathlib.Path(sys.argv[1])) as draft:\n"
        "        for name in ('config.toml', 'model.keras', 'history.csv', 'metrics.json'):\n"
        "            (draft / name).write_text(f'application = \"{number}\"')\n"
        "        (draft / f'{number % 3}.png').write_text('')\n"
        "        put_in_place(draft, pathlib.Path(sys.argv[1]), RunInfo(source=str(number)))\n"
        "        print(number, flush=True)\n"
    )
    for kill in range(6):
        program = [sys.executable, "-c", script, str(run_dir)]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(0.003 * kill)
        os.kill(process.pid, signal.SIGKILL)
        last = (["0", *process.communicate()[0].split()])[-1]
        recover(run_dir)
        info = RunInfo.read(run_dir)
        info.check(run_dir)
        assert int(info.source) >= int(last)
        assert set(names(run_dir)) == {*info.checksums, "run.json"}
    with draft_of(run_dir) as draft:
        put_in_place(draft, run_dir, info)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # what was killed is swept


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def forget_a_word(path):
    """Writes the archive anew with one line less in its vocabulary."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in parts if name.endswith("vocabulary.txt"))
    parts[name] = parts[name].split(b"\n", 1)[1]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


DAMAGES = {
    "cut": ("model.keras", cut),
    "flipped": ("model.keras", flip),
    "emptied": ("model.keras", lambda path: path.write_bytes(b"")),
    "gone": ("model.keras", pathlib.Path.unlink),
    "no name": ("config.toml", lambda path: path.write_text("application = 1")),
    "self": ("config.toml", lambda path: path.write_text(path.read_text() + "self = 1\n")),
    "config": ("config.toml", lambda path: path.write_text(path.read_text() + "config = 1\n")),
    "deep": ("config.toml", lambda path: path.write_text("x = " + "[" * 100_000)),
    "list": ("metrics.json", lambda path: path.write_text("[]")),
    "deep metrics": ("metrics.json", lambda path: path.write_text("[" * 100_000)),
    "history": ("history.csv", lambda path: path.write_text('"')),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_one_sentence(damage, old, run_dir):
    if old:
        as_of_old(run_dir)
    name, spoil = DAMAGES[damage]
    spoil(run_dir / name)
    with pytest.raises(RunError, match=re.escape(name)) as error:
        rnnapps.load(run_dir)
    assert "\n" not in str(error.value)


def test_what_would_answer_otherwise_is_refused(run_dir):
    forget_a_word(run_dir / "model.keras")
    with pytest.raises(RunError, match=r"model\.keras is damaged: .* checksum"):
        rnnapps.load(run_dir)
    (run_dir / "run.json").write_text('{"source": 1}')
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        rnnapps.load(run_dir)


def test_code_in_a_model_is_refused_as_unsafe(run_dir, tmp_path):
    inputs = keras.Input((1,))
    unsafe = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    with draft_of(run_dir) as draft:
        unsafe.save(draft / "model.keras")
        put_in_place(draft, run_dir, RunInfo.read(run_dir))
    with pytest.raises(RunError, match=r"model\.keras is unsafe: it holds a Lambda layer"):
        rnnapps.load(run_dir)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(app, run_dir, tmp_path):
    before, loaded = names(tmp_path), rnnapps.load(run_dir)
    for write in (
        lambda: app.save(run_dir),
        lambda: app.save(tmp_path / "other"),
        lambda: app.export(tmp_path / "model"),
        lambda: loaded.evaluate(make_reviews(20)),
        lambda: SentimentClassifier(**SETTINGS).fit(REVIEWS, run_dir=tmp_path / "new"),
        lambda: rnnapps.load(run_dir),  # Keras unpacks the weights into the temporary folder
    ):
        sentence = pytest.raises(DiskError, match=r"File too large: .* make room and repeat")
        with sentence as error, full_disk():
            write()
        assert "\n" not in str(error.value)
        assert names(tmp_path) == before
    assert rnnapps.load(run_dir).info == app.info


@eagerly()
def test_what_is_measured_of_a_run_that_cannot_be_written_is_there_and_not_kept(
    app, tmp_path, capsys
):
    run_dir = shutil.copytree(app.run_dir, tmp_path / ("r" * 250))  # beside which no draft can be
    before = (run_dir / "metrics.json").read_text()
    found = rnnapps.load(run_dir).evaluate(make_reviews(20))
    assert 0 <= found["accuracy"] <= 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"rnnapps: what was measured is not kept in {run_dir}: File name too long."
    assert (run_dir / "metrics.json").read_text() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_that_may_only_be_read_stays_whole(tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir(0o555)
    with pytest.raises(PermissionError), draft_of(run_dir) as draft:
        (draft / "metrics.json").write_text("{}")
        put_in_place(draft, run_dir, RunInfo(source="sample"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_training_leaves_no_generated_code(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    batches = feed(tf.data.Dataset.range(3), lambda number: number + 1)
    assert list(batches.as_numpy_iterator()) == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_is_read_from_the_file_that_a_run_holds(app):
    read = type(app.config).from_toml(app.run_dir / "config.toml")
    assert read == app.config
    with pytest.raises(ConfigError, match="Unknown setting self="):
        type(app.config)(**{"self": 1})


def test_a_run_s_data_is_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "data.csv").write_text("text,label\n")
    info = RunInfo(source="data.csv", folder=str(tmp_path / "there"))
    monkeypatch.chdir(tmp_path)
    settings = {"data": "data.csv", "units": 4}
    assert info.located(settings) == {"data": str(tmp_path / "there" / "data.csv"), "units": 4}
    assert info.located({"data": "sample"}) == {"data": "sample"}
    assert info.located({"data": "*.csv"}) == {"data": str(tmp_path / "there" / "*.csv")}
    assert RunInfo(source="data.csv").located(settings) == settings
    (tmp_path / "data.csv").write_text("text,label\n")  # what is here goes first
    assert info.located(settings) == settings
    assert info.located({"data": "*.csv"}) == {"data": "*.csv"}
