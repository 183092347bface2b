"""The pages of docs/ do what they say: their shell and Python run, and what they name exists."""

import ast
import contextlib
import pathlib
import re

import pytest
from pages import Reader, blocks, write_files

pytestmark = pytest.mark.system

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGES = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in DOCS.rglob("*.md")}


@pytest.fixture(scope="module")
def trained():
    """What pages train by the same line is trained once."""
    return {}


@pytest.fixture
def read(tmp_path, monkeypatch, trained):
    """Types a page; returns what its Python has defined."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    with contextlib.ExitStack() as stack:
        yield Reader(stack, trained).read


def a_data_set(names):
    assert names["app"].info.source == "films"
    assert names["found"]["accuracy"] > 0


def a_metric(names):
    assert -1 <= names["found"]["matthews"] <= 1


def a_sampler(names):
    tokens = names["tokens"].numpy()[:, :20]
    # Behind token 1 only 1 and 2 are likely enough, and so 3 comes behind a 2 alone.
    assert {1, 2} <= set(tokens.ravel().tolist()) <= {1, 2, 3}
    for first, row in zip((1, 2), tokens, strict=True):
        before = [first, *row[:-1]]
        assert all(a == 2 for a, b in zip(before, row, strict=True) if b == 3 and a != 3)


def a_transfer(names):
    assert names["soups"].classes == ["bad", "good", "slow"]
    assert names["soups"].info.lineage[0].startswith("runs/films: given to fit()")
    assert "weights" in names["soups"].info.notes[-1]
    assert names["found"].keys() == {"objective", "validation", "test", "updated"}


def tagging(names):
    assert 0 <= names["app"].metrics["test"]["f1"] <= 1


# What a page's Python has to have come to, beside having run.
CHECKS = {
    "how-to/data-set": a_data_set,
    "how-to/metric": a_metric,
    "how-to/sampler": a_sampler,
    "how-to/transfer": a_transfer,
    "guides/tagging": tagging,
}


@pytest.mark.parametrize("page", sorted(page for page, path in PAGES.items() if blocks(path)))
def test_a_page_does_what_it_says(page, read):
    CHECKS.get(page, lambda names: None)(read(PAGES[page]))


def test_an_application():
    from rnnapps.apps.application import Application

    page = PAGES["how-to/application"].read_text("utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE))
    assert named == Application.__abstractmethods__


@pytest.mark.parametrize("path", [*PAGES.values(), DOCS.parent / "CONTRIBUTING.md"], ids=str)
def test_paths_lead_somewhere(path):
    text = path.read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (path.parent / link).exists(), link
    for named in re.findall(r"`((?:tests|rnnapps|docs|benchmarks)/[\w./]*)`", text):
        assert (DOCS.parent / named).exists(), named


def sentences():
    """The strings of rnnapps' code, with an ellipsis for what is filled in."""
    for path in (DOCS.parent / "rnnapps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", "") for part in node.values)
                yield "".join(part if isinstance(part, str) else "…" for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_sentences_of_troubleshooting_are_the_code_s():
    quoted = re.findall(r"^> (.+)$", PAGES["troubleshooting"].read_text("utf-8"), re.MULTILINE)
    there = [re.sub("…+", "…", sentence) for sentence in sentences()]
    assert len(quoted) > 40
    assert not [one for one in quoted if not any(re.sub("…+", "…", one) in all for all in there)]
