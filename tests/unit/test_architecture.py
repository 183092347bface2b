"""docs/architecture.md names the files that there are, and no way through them is a maze."""

import collections
import pathlib
import re

import pytest

HOME = pathlib.Path(__file__).resolve().parents[2]
PAGE = (HOME / "docs" / "architecture.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TREE = next(block for block in BLOCKS if block.startswith("rnnapps/"))
WAYS = [block for block in BLOCKS if block.startswith("apps/")]


def listed(tree):
    """The tree's files, each with what the page says of it; indented by two below their folder."""
    folders, found = [], {}
    for line in tree.splitlines():
        name, _, about = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        else:
            found["".join(folders) + name] = about.strip()
    return found


def test_the_tree_lists_exactly_the_files_that_exist():
    there = {
        path.relative_to(HOME).as_posix()
        for path in (HOME / "rnnapps").rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__pycache__")) for part in path.parts[len(HOME.parts) :])
        and path.suffix != ".pyc"
    }
    tree = listed(TREE)
    assert set(tree) == there
    assert not [name for name, about in tree.items() if not about]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.split("/")[1])
def test_a_way_enters_each_file_twice_at_most(way):
    files = [line.split()[0] for line in way.splitlines()]
    assert not [file for file in files if not (HOME / "rnnapps" / file).is_file()]
    assert max(collections.Counter(files).values()) <= 2


def test_each_application_has_a_way():
    applications = {path.parent.name for path in (HOME / "rnnapps" / "apps").glob("*/app.py")}
    assert {way.split("/")[1] for way in WAYS} == applications
