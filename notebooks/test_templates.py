"""Runs the notebook of each package that `rnnapps new` writes, on a little data of its own."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps.cli.new import copy_out

# As in tests/conftest.py: each of many graphs is run once or twice.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
PAIRS = [(f"le {n} mai", f"may {n}") for n in range(1, 31)]
REVIEWS = [(f"a {word} film of {n} minutes", label) for n in range(30)
           for word, label in (("fine", "good"), ("dull", "bad"))]  # fmt: skip
HOURS = pd.date_range("2024-01-01", periods=600, freq="h")
LOAD = pd.DataFrame({"time": HOURS, "load": 100 + np.sin(np.arange(600) / 4)})
SMALL = {
    "sentiment": {"data": "own.csv", "units": 4, "embedding_dim": 4, "epochs": 1},
    "chargen": {"data": "own.txt", "units": 8, "window": 16, "batch_size": 8},
    "translation": {
        "data": "own.tsv", "units": 8, "embedding_dim": 8, "epochs": 1, "tokenizer": "word",
        "min_length": 1,
    },
    "forecasting": {
        "data": "load.csv", "target": ["load"], "horizon": 12, "lookback": 48, "units": 4,
        "epochs": 1,
    },
    "tagging": {"data": "names.conll", "units": 4, "embedding_dim": 4, "epochs": 1},
}  # fmt: skip


@pytest.mark.parametrize("application", SMALL)
def test_a_notebook_runs_from_top_to_bottom(application, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"its_{application}"
    copy_out(application, name)
    monkeypatch.chdir(tmp_path / name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / name), *sys.path])
    (tmp_path / name / "own.txt").write_text("the cat sat on the mat\n" * 200)
    (tmp_path / name / "own.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS))
    pd.DataFrame(REVIEWS, columns=["text", "label"]).to_csv("own.csv", index=False)
    LOAD.to_csv("load.csv", index=False)
    names = "".join(f"May B-name\nmet O\n{i} O\n\n" for i in range(60))
    (tmp_path / name / "names.conll").write_text(names)
    cells = json.loads((tmp_path / name / f"{name}.ipynb").read_text())["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found: dict = {}
    exec(codes[0], found)
    found["settings"].update(SMALL[application])
    for code in codes[1:]:
        exec(code, found)
    assert (tmp_path / name / "saved_models" / name / "1" / "saved_model.pb").exists()
    assert not found["judged"].loc[found["judged"].index[0]].isna().any()
