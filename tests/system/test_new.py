import json
import re
import site
import subprocess
import sys
import zipfile

import pytest

from rnnapps import cli
from rnnapps.apps import APPLICATIONS, config_class

# As in tests/conftest.py: each of many graphs is run once or twice.
UNOPTIMIZED = """
import tensorflow as tf
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
"""
NAMES = {application: f"my_{application}" for application in APPLICATIONS}


def ask(capsys, *arguments, status=0):
    capsys.readouterr()
    assert cli.main([str(a) for a in arguments]) == status
    return capsys.readouterr()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a package of each application, and an environment that has them installed."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for application, name in NAMES.items():
            assert cli.main(["new", application, name]) == 0
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    places = next((folder / "env").glob("lib/python*/site-packages"))
    lines = [f"import site; site.addsitedir({place!r})\n" for place in site.getsitepackages()]
    (places / "parent.pth").write_text("".join(lines))
    run(folder, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps",
        *(word for name in NAMES.values() for word in ("-e", f"./{name}")))  # fmt: skip
    return folder


def run(folder, *arguments, status=0):
    """What Python of the environment prints."""
    words = [folder / "env" / "bin" / "python", *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_each_passes_its_own_test(home):
    files = [f"{name}/test_{name}.py" for name in NAMES.values()]
    words = ["-p", "no:cacheprovider", "--rootdir", str(home), *files]
    out = run(home, "-c", f"{UNOPTIMIZED}\nimport pytest\nraise SystemExit(pytest.main({words}))")
    assert f"{3 * len(NAMES)} passed" in out


def test_a_package_is_whole_and_its_own(home):
    for application, name in NAMES.items():
        files = [path for path in (home / name).rglob("*.*") if path.is_file()]
        texts = [path.read_text() for path in files if path.suffix != ".pyc"]
        assert not [text for text in texts if "my_app" in text or "TheApplication" in text]
        assert not [text for text in texts if f"apps.{application}" in text]
        assert f'    name = "{name}"' in (home / name / name / "app.py").read_text()
        run(home, "-m", "ruff", "check", "--quiet", name)
        run(home, "-m", "ruff", "format", "--quiet", "--check", name)


def test_the_commands_take_it_and_a_change_to_its_model_takes_effect(home):
    edit(
        home / "my_sentiment" / "my_sentiment" / "model.py",
        '    logits = layers.Dense(classes, dtype="float32", name="logits")(x)',
        '    x = layers.Dense(7, "relu", name="mine")(x)',
    )
    (home / "reviews.csv").write_text(
        "text,label\n" + "".join(f"a fine film {i},1\na dull film {i},0\n" for i in range(60))
    )
    commands = [
        ["train", "my_sentiment", "--data", "reviews.csv", "--units", "4", "--embedding-dim", "4",
         "--epochs", "1", "--run-dir", "run", "--json"],
        ["evaluate", "run", "--json"],
        ["predict", "run", "a fine film", "--json"],
        ["export", "run", "saved/my_sentiment"],
    ]  # fmt: skip
    out = run(home, "-c", f"from rnnapps.cli import main\nassert not any(map(main, {commands}))")
    rows = out.splitlines()
    assert json.loads(rows[0])["validation"]["accuracy"] >= 0
    assert json.loads(rows[1])["baselines"]
    assert json.loads(rows[2])["label"] in ("0", "1")
    assert (home / "saved" / "my_sentiment" / "1" / "saved_model.pb").exists()
    assert rows[3].endswith("saved/my_sentiment/1")
    saved = zipfile.ZipFile(home / "run" / "model.keras").read("config.json").decode()
    assert '"name": "mine"' in saved
    assert "my_sentiment>LogitEnsemble" in saved
    assert (
        "rnnapps>LogitEnsemble" not in saved
    )  # which would load the layer that it was copied from


def test_training_goes_through_its_model(home):
    rows = (f"one two {i}\tfour five {i}\n" for i in range(200))
    (home / "some.txt").write_text("".join(rows))
    lines = {
        "my_chargen": "    network = CharNetwork(",
        "my_translation": "        super().__init__(**kwargs)",
        "my_forecasting": "    inputs = {",
    }
    script = "from rnnapps.cli import main\n"
    for name, line in lines.items():
        indent = line[: -len(line.lstrip())]
        edit(home / name / name / "model.py", line, f"{indent}raise SystemExit({name!r})")
        data = [] if name == "my_forecasting" else ["--data", "some.txt", "--max-tokens", "60"]
        arguments = ["train", name, *data, "--run-dir", f"run-{name}"]
        script += f"try:\n    main({arguments})\nexcept SystemExit as end:\n    print(end)\n"
    assert run(home, "-c", script).splitlines() == list(lines)


def test_a_notebook_sets_what_there_is_to_set(home):
    for application, name in NAMES.items():
        cells = json.loads((home / name / f"{name}.ipynb").read_text())["cells"]
        codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        assert f"from {name}.app import {APPLICATIONS[application]}" in codes[1]
        for line in codes[0].splitlines():  # its own settings, and those for a person's data
            found: dict = {}
            exec(line.removeprefix("# "), found)
            config_class(application)(**found["settings"])


def edit(path, line, before):
    """Puts a line before the only one that reads so."""
    text = path.read_text()
    assert len(re.findall(rf"^{re.escape(line)}$", text, re.MULTILINE)) >= 1
    path.write_text(text.replace(f"{line}\n", f"{before}\n{line}\n", 1))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("new", "Expected an application after new: sentiment, chargen,"),
        ("new sentimant mine", "Did you mean sentiment?"),
        ("new sentiment", "See rnnapps new sentiment --help."),
        ("new sentiment two words", "Unrecognized options: words."),
        ("new sentiment 2nd", "Expected a name for a Python package"),
        ("new sentiment my-app", "Expected a name for a Python package"),
        ("new sentiment apps/mine", "Expected a name for a Python package"),
        ("new sentiment ..", "Expected a name for a Python package"),
        ("new sentiment _mine", "Expected a name for a Python package"),
        ("new sentiment 情感", "Expected a name for a Python package"),
        ("new sentiment class", "Expected a name for a Python package"),
        ("new sentiment json", "a name that no module has"),
        ("new sentiment rnnapps", "a name that no module has"),
        ("new sentiment numpy", "a name that no module has"),
        ("new sentiment scikit_learn", "a name that no module has"),
        ("new sentiment chargen", "a name other than an application's"),
    ],
)
def test_a_bad_name_is_one_sentence_and_leaves_nothing(
    arguments, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out, err = ask(capsys, *arguments.split(), status=2)
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_refused_and_force_moves_it_away(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    _, err = ask(capsys, "new", "chargen", "mine", status=2)
    assert err == (
        "rnnapps: mine exists; choose another name, or move it out of the way with --force.\n"
    )
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "diary.txt"]
    for old in ("mine.old", "mine.old-2"):
        _, err = ask(capsys, "new", "chargen", "mine", "--force")
        assert err == f"rnnapps: what was mine is now {old}.\n"
        assert (tmp_path / "mine" / "mine" / "model.py").exists()
    assert (tmp_path / "mine.old" / "diary.txt").read_text() == "dear diary"


def test_a_folder_that_cannot_be_written_is_left_as_it_is(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".mine.draft").write_text("in the way")  # where the package would be written
    _, err = ask(capsys, "new", "sentiment", "mine", status=2)
    assert err == "rnnapps: Cannot write mine: Not a directory.\n"
    assert [path.name for path in tmp_path.iterdir()] == [".mine.draft"]
