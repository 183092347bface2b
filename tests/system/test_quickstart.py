import dataclasses
import re

from rnnapps.apps import APPLICATIONS
from rnnapps.apps.run import read_run
from rnnapps.quickstart import STAGES, quickstart

# Each stage as it is, but for its size and, where a question does not need the sample, its data.
SMALL = {
    "sentiment": {"epochs": 1, "units": 4, "embedding_dim": 4, "data": "reviews.csv"},
    "chargen": {"epochs": 1, "units": 4, "embedding_dim": 4},
    "translation": {
        "epochs": 1, "units": 4, "embedding_dim": 4, "max_tokens": 60, "beam_width": 1,
        "data": "pairs.tsv",
    },
    "forecasting": {
        "epochs": 1, "units": 4, "lookback": 48, "validation_share": 0.1, "test_share": 0.02,
        "max_examples": 4_000,
    },
    "tagging": {"epochs": 1, "units": 4, "embedding_dim": 4, "data": "names.conll"},
}  # fmt: skip


def test_quickstart_takes_all_the_whole_way(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    (tmp_path / "reviews.csv").write_text(
        "text,label\n" + "".join(f"a fine film {i},good\na dull film {i},bad\n" for i in range(60))
    )
    (tmp_path / "pairs.tsv").write_text("".join(f"number {i}\t{i}\n" for i in range(200)))
    names = "".join(f"May B-name\nmet O\n{i} O\n\n" for i in range(60))
    (tmp_path / "names.conll").write_text(names)
    stages = tuple(
        dataclasses.replace(stage, settings={**stage.settings, **SMALL[stage.application]})
        for stage in STAGES
    )
    quickstart(tmp_path / "runs", tmp_path / "saved", stages)
    out = capsys.readouterr().out
    for stage in STAGES:
        assert read_run(tmp_path / "runs" / stage.application)["application"] == stage.application
        assert (tmp_path / "saved" / stage.application / "1" / "saved_model.pb").exists()
        row = next(line for line in out.splitlines() if line.startswith(f"│ {stage.application}"))
        metric, number = stage.metric.replace("_", " "), r" +-?[\d.]+ "
        export = f"{stage.application}/1"
        assert re.search(rf"│ {metric} +│{number} *│{number}\(.+│ \d+ +│ {export} +│", row)
    assert "\nrnnapps train sentiment --data reviews.csv --text-column text --label-column" in out
    assert [stage.application for stage in STAGES] == list(APPLICATIONS)
    assert "the plot was tedious' is " in out
    assert "although the acting was " in out
    assert "in 'We met Jordan Baker near the old mill .': " in out
    assert re.search(r"the load from 20\d\d-\d\d-\d\d \d\d:00 on:( -?\d+){24}\n", out)
