"""Texts without labels: what is read, and what is left out."""

import pytest

from rnnapps.data import read_unlabelled
from rnnapps.errors import DataError


def test_lines_tables_and_folders(tmp_path):
    (tmp_path / "lines.txt").write_text("text\n\nA film, seen once\nanother \n")
    (tmp_path / "table.csv").write_text('text,stars\n"one, two",5\nthree,4\n')
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a.txt").write_text("two\nlines")
    (tmp_path / "folder" / "deep" / "b.txt").write_text("THREE")
    names = ("lines.txt", "table.csv", "folder")
    found = read_unlabelled([str(tmp_path / name) for name in names])
    # A .txt has no header, and a text that differs in case alone is the same.
    kept = ["text", "A film, seen once", "another ", "one, two", "three", "two\nlines"]
    assert found.texts == kept
    assert [line.rpartition(": ")[2] for line in found.said] == [
        "3 unlabelled texts", "2 unlabelled texts", "2 unlabelled texts",
    ]  # fmt: skip
    assert read_unlabelled([]).texts == []


def test_what_is_measured_on_is_left_out_and_counted(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("\n".join(f"text {i}." for i in range(30)))
    test = ["Text  3.", "text 4 .", *(f"test {i}" for i in range(38))]  # a tagger's have spaces
    parts = {"train": ["text 7."], "validation": ["text 5."], "test": test}
    found = read_unlabelled([str(path)], **parts)
    assert len(found.texts) == 26
    assert not {"text 3.", "text 4.", "text 5.", "text 7."} & {*found.texts}
    assert found.notes == (
        "3 unlabelled texts are left out: they are in the validation part or the test part",
    )
    path.write_text("\n".join(test))
    with pytest.raises(DataError, match=r"not those of the test part.*more.txt \(unlabelled=\)"):
        read_unlabelled([str(path)], **parts)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", "\n \n", "Expected texts in .*empty.txt .unlabelled=.. Received: none"),
        ("other.csv", "words,n\na,1\n", "no column 'text'"),
        ("damaged.txt", b"caf\xe9", "damaged.txt"),
        ("document.pdf", b"%PDF-1.4", "document.pdf"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, sentence):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        read_unlabelled([str(tmp_path / name)])
    with pytest.raises(DataError, match=r"No such file .*missing.txt \(unlabelled=\)\."):
        read_unlabelled([str(tmp_path / "missing.txt")])


def test_no_path_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("a text of another purpose")
    with pytest.raises(DataError, match=r"Expected a path .*\(unlabelled=\)\. Received: ''"):
        read_unlabelled([""])
