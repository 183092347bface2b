"""The folder of a search."""

import json

import pytest
from searching import flags

from rnnapps import cli
from rnnapps.errors import RunError
from rnnapps.tuning.project import one_search


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--range", "units=3:9"], "range of units (3:5, 3:9)"),
        (["--dropout", "0.5"], "dropout (0.3, 0.5)"),
        (["--tuner", "bayesian"], "tuner (random, bayesian)"),
        (["--objective", "loss"], "objective (val_accuracy, val_loss)"),
        (["--objective", "bleu"], "Expected --objective to be one of accuracy, macro_f1"),
        (["--trials", "0"], "Expected --trials to be at least 1"),
        (["--time-budget", "soon"], "Expected --time-budget to be a time such as 90s"),
        (["--tune", "unts"], "Did you mean units?"),
    ],
)
def test_another_search_or_a_mistake_is_one_sentence(more, sentence, table, searched, capsys):
    before = sorted(path.name for path in searched.iterdir())
    capsys.readouterr()
    assert cli.main(flags(table, searched, "--trials", "4", *more)) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(path.name for path in searched.iterdir()) == before


def test_a_folder_with_something_else_is_left_alone(table, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("all of it")
    assert cli.main(flags(table, tmp_path)) == 2
    assert "exists and holds no search" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert cli.main(["tune", "--report", str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_a_search_that_was_killed_as_it_began_can_begin(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".search.json.elsewhere-1.draft").write_text('{"app')
    with one_search(tmp_path, {"application": "sentiment"}):
        assert json.loads((tmp_path / "search.json").read_text()) == {"application": "sentiment"}
        with (
            pytest.raises(RunError, match="Another search is running in"),
            one_search(tmp_path, {"application": "sentiment"}),
        ):
            pass
