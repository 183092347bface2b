"""A run's report, and the model card of its export: what they say is what the run's files say."""

import html.parser
import json
import re
import shutil

import pytest
import sacrebleu

from rnnapps import cli, load
from rnnapps.apps.card import Card
from rnnapps.apps.run_info import RunInfo
from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.tagging.metrics import mistakes
from rnnapps.apps.translation.metrics import best_and_worst
from rnnapps.data import Pairs
from rnnapps.files import checksum
from rnnapps.pages import render

HEADINGS = [
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
]  # fmt: skip


@pytest.fixture
def run(sample_run, tmp_path_factory):
    """A run of one's own that has not been evaluated, as the sample's may have been."""
    own = shutil.copytree(sample_run, tmp_path_factory.mktemp("run") / "run")
    app = load(own)
    if app.metrics.pop("test", None):
        app.save(own)
    return own


class Page(html.parser.HTMLParser):
    """The texts of a page, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.tags, self.texts, self.open = [], set(), [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.open.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def test_it_holds_all_it_needs_and_measures_nothing(run, capsys):
    before = (run / "metrics.json").read_bytes()
    (run / "mine.txt").write_text("kept")
    assert cli.main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}/report.html\n"
    page = Page((run / "report.html").read_text("utf-8"))
    assert "This run has not been evaluated. rnnapps evaluate" in page.text
    assert page.loads
    assert all(one.startswith("data:") for one in page.loads)
    assert not page.tags & {"script", "iframe", "object", "embed"}
    assert (run / "metrics.json").read_bytes() == before
    accuracy = json.loads(before)["validation"]["accuracy"]
    assert f"accuracy ↑ {accuracy:.4f}" in page.text
    info = RunInfo.read(run)
    assert info.checksums["report.html"] == checksum(run / "report.html")
    assert cli.main(["report", str(run)]) == 0  # over its own
    app = load(run)
    app.evaluate()
    assert not (run / "report.html").exists()  # it said what is no longer so
    assert (run / "mine.txt").read_text() == "kept"
    assert cli.main(["report", str(run)]) == 0
    text = Page((run / "report.html").read_text("utf-8")).text
    assert "not been evaluated" not in text
    for name in app.metrics["test"]["baselines"]:
        assert name in text
    assert "Confusion matrix. True classes" in text


def test_what_the_run_did_not_write_is_left(run, tmp_path, capsys):
    (run / "report.html").write_text("my own")
    assert cli.main(["report", str(run)]) == 2
    assert capsys.readouterr().err == (
        f"rnnapps: {run}/report.html exists, and is not what the run wrote: move it, or use "
        "--output.\n"
    )
    assert (run / "report.html").read_text() == "my own"
    target = tmp_path / "page.html"
    assert cli.main(["report", str(run), "--output", str(target)]) == 0
    assert target.read_text("utf-8").endswith("</html>")
    assert "report.html" not in RunInfo.read(run).checksums


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist; `rnnapps train` makes one."),
        (["RUN", "--output", "."], "Expected --output to be a file. Received: ., a folder."),
        (["RUN", "--output", "no/x.html"], "There is no folder no to write --output=no/x.html"),
    ],
)
def test_a_mistake_is_a_sentence(run, capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    arguments = [str(run) if one == "RUN" else one for one in arguments]
    assert cli.main(["report", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"rnnapps: {said}")


def test_a_damaged_run_is_not_told_of(run, capsys):
    with (run / "history.csv").open("a") as file:
        file.write("9,9,9,9,9\n")
    assert cli.main(["report", str(run)]) == 2
    assert "history.csv is damaged" in capsys.readouterr().err


MISTAKE = {
    "text": "<script>alert(1)</script>",
    "label": "<b>",
    "predicted": "&",
    "probability": 0.9,
}
PAIR = {"text": "<i>ein</i> |", "expected": "a", "answered": "<b>b</b>", "chrf": 12.345}
FOUND = {
    "accuracy": 0.5,
    "by_class": {"<u>a|b": {"f1": 0.25, "examples": 7}},
    "by_length": [{"up_to": 5, "count": 3, "bleu": 12.5}],
    "classes": ["<u>a|b", "c", "d"],
    "confusion": [[5, 3, 0], [0, 4, 0], [1, 0, 1]],
    "mistakes": [MISTAKE],
    "worst": [PAIR],
    "best": [{**PAIR, "chrf": 100.0}],
}


def card_of(found):
    info = RunInfo(source="</title><script>x</script>", notes=["<img src=x onerror=y>"])
    history = [{"epoch": 1, "val_loss": 1.0}]
    return Card("sentiment", SentimentConfig(), info, {"test": found}, history)


def test_markup_in_the_data_is_text():
    page = Page(render("report.html", card=card_of(FOUND), figures=[], run="<i>"))
    assert not page.tags & {"script", "img", "i", "b", "u"}
    assert "<script>alert(1)</script> <b> & (0.900)" in page.text
    assert "Worst text right answered chrF <i>ein</i> | a <b>b</b> 12.3 Best" in page.text
    assert "<i>ein</i> | a <b>b</b> 100.0" in page.text


def test_what_is_taken_for_what_is_read_off_the_confusion_matrix():
    counted = [("<u>a|b", "c", 3, 3 / 8), ("d", "<u>a|b", 1, 1 / 2)]
    [part] = card_of(FOUND).measured
    assert [(p.true, p.answered, p.count, p.share) for p in part.confusions] == counted
    page = Page(render("report.html", card=card_of(FOUND), figures=[], run="run"))
    assert "<u>a|b c 3 37.5%" in page.text
    assert "5 words at most 3 12.5" in page.text
    markdown = card_of(FOUND).markdown()
    assert "| <u>a\\|b | c | 3 | 37.5% |" in markdown
    assert "| <u>a\\|b | 0.2500 | 7 |" in markdown
    assert "| 5 words at most | 3 | 12.5" in markdown
    assert "ein" not in markdown
    assert "alert" not in markdown
    assert not re.search(r"\n{3}", markdown)
    old = {name: FOUND[name] for name in ("accuracy", "confusion")}  # version 0.1.0 kept no names
    assert card_of(old).measured[0].confusions == []


def test_the_surest_wrong_spans_of_a_tagger():
    tokens = [["Will", "May", "met", "New", "York", "City"], ["in", "April", "."]]
    truth = [["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC"], ["O", "O", "O"]]
    tags = [["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"], ["O", "B-PER", "O"]]
    sure = [[0.9, 0.99, 1.0, 0.8, 0.7, 0.6], [1.0, 0.95, 1.0]]
    assert mistakes(tokens, truth, tags, sure, spans=True) == [
        {"text": "in [April] .", "label": "nothing", "predicted": "PER", "probability": 0.95},
        {
            "text": "Will May met [New York] City",
            "label": "LOC (New York City)",
            "predicted": "LOC",
            "probability": 0.7,
        },
    ]
    assert mistakes(tokens, truth, tags, sure, spans=False, most=1) == [
        {"text": "in [April] .", "label": "O", "predicted": "B-PER", "probability": 0.95}
    ]
    assert mistakes(tokens, truth, truth, sure, spans=True) == []


def test_the_best_and_the_worst_translations():
    pairs = Pairs(["a", "b b b", "c c", "d"], ["A man", "A dog runs", "The cat", "A house"])
    answers = ["A man", "A dog runs", "xyz", "A horse"]
    found = best_and_worst(pairs, answers, most=2)
    assert [one["text"] for one in found["best"]] == ["b b b", "a"]  # both right: the longer first
    assert [one["text"] for one in found["worst"]] == ["c c", "d"]
    score = sacrebleu.sentence_chrf("a horse", ["a house"]).score
    assert found["worst"][1] == {
        "text": "d", "expected": "A house", "answered": "A horse", "chrf": pytest.approx(score),
    }  # fmt: skip
    assert best_and_worst(Pairs(["a"], ["b"]), ["c"]) == {"best": [], "worst": []}


def test_an_export_has_its_card_in_the_fields_headings(run, tmp_path):
    app = load(run)
    app.metrics["test"] = {
        "accuracy": 0.912345,
        "mistakes": [{"text": "a secret text"}],
        "baselines": {"NB-SVM": {"accuracy": 0.95}},
        "classes": ["bad", "good"],
        "confusion": [[8, 2], [0, 10]],
    }
    version = app.export(tmp_path / "sentiment")
    text = (version / "MODEL_CARD.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert "| accuracy ↑ | 0.9123 | 0.9500 * |" in text
    assert "| bad | good | 2 | 20.0% |" in text
    assert "secret" not in text
    assert "- `serving_default`: `text` (string)" in text
    assert "training: 4,800" in text
    assert not re.search(r"\n{3}", text)
