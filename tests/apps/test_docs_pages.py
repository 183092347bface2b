"""The pages of docs/ do what they say: their Python runs, and what they name exists."""

import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def run(page, folder, monkeypatch):
    """Runs a page's Python, and returns the names that it has defined."""
    monkeypatch.chdir(folder)
    names = {"__name__": "page"}
    for code in re.findall(
        r"^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.M | re.S
    ):
        exec(code, names)
    return names


def test_a_data_set(tmp_path, monkeypatch):
    names = run("how-to/data-set.md", tmp_path, monkeypatch)
    assert names["app"].info.source == "films"
    assert names["found"]["accuracy"] > 0


def test_a_metric(tmp_path, monkeypatch):
    assert -1 <= run("how-to/metric.md", tmp_path, monkeypatch)["found"]["matthews"] <= 1


def test_a_sampler(tmp_path, monkeypatch):
    tokens = run("how-to/sampler.md", tmp_path, monkeypatch)["tokens"].numpy()[:, :20]
    # Behind token 1 only 1 and 2 are likely enough, and so 3 comes behind a 2 alone.
    assert {1, 2} <= set(tokens.ravel().tolist()) <= {1, 2, 3}
    for first, row in zip((1, 2), tokens, strict=True):
        before = [first, *row[:-1]]
        assert all(a == 2 for a, b in zip(before, row, strict=True) if b == 3 and a != 3)


def test_a_transfer(tmp_path, monkeypatch):
    names = run("how-to/transfer.md", tmp_path, monkeypatch)
    assert names["soups"].classes == ["bad", "good", "slow"]
    assert names["soups"].info.lineage[0].startswith("runs/films: given to fit()")
    assert "weights" in names["soups"].info.notes[-1]
    assert names["found"].keys() == {"objective", "validation", "test", "updated"}


def test_tagging(tmp_path, monkeypatch):
    app = run("guides/tagging.md", tmp_path, monkeypatch)["app"]
    assert 0 <= app.metrics["test"]["f1"] <= 1


def test_an_application():
    from rnnapps.apps.application import Application

    page = (DOCS / "how-to" / "application.md").read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE))
    assert named == Application.__abstractmethods__


PAGES = [*sorted(DOCS.rglob("*.md")), DOCS.parent / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:tests|rnnapps|docs|benchmarks)/[\w./]*)`", text):
        assert (DOCS.parent / path).exists(), path
