"""A default division from a JSON or CSV file, and what is said of files that hold none."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodml.errors import LadderError
from oodml.splits.sides_file import FORMS, read_sides

JSON = '{"train": ["wolf", "Bär"], "test": ["red fox"]}'
CSV = "class,side\nwolf,train\nBär,train\nred fox,test\n"
EXPECTED = ["wolf", "Bär"], ["red fox"]


def write(folder: Path, name: str, content: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"], ids=["plain", "byte-order-mark"])
@pytest.mark.parametrize(("name", "content"), [("a.json", JSON), ("a.JSON", JSON), ("a.csv", CSV), ("a.txt", CSV)])
def test_both_forms_are_read(tmp_path: Path, name: str, content: str, encoding: str) -> None:
    assert read_sides(write(tmp_path, name, content, encoding)) == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        CSV.replace("\n", "\r\n"),
        "number,side,class\n1,train,wolf\n2,train,Bär\n3,test,red fox\n",  # other columns, another order
        "class,side\nwolf , train\n\nBär,train \nred fox,test",  # blanks, an empty line, no end of line
        'class,side\n"wolf",train\n"Bär","train"\n"red fox",test\n',
    ],
)
def test_csv_may_be_written_as_spreadsheets_write_it(tmp_path: Path, content: str) -> None:
    assert read_sides(write(tmp_path, "a.csv", content)) == EXPECTED


def test_names_with_commas_and_line_breaks_survive_quoting(tmp_path: Path) -> None:
    content = 'class,side\n"cat, tabby",train\n"two\nlines",test\n'
    assert read_sides(write(tmp_path, "a.csv", content)) == (["cat, tabby"], ["two\nlines"])


def test_numbers_as_class_names_become_text(tmp_path: Path) -> None:
    assert read_sides(write(tmp_path, "a.json", '{"train": [1, 2], "test": ["3"]}')) == (["1", "2"], ["3"])


def test_a_missing_file_is_named_with_the_forms_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match=r"cannot read the initial division .*gone\.json") as caught:
        read_sides(tmp_path / "gone.json")
    assert FORMS in str(caught.value)


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match=r"cannot read the initial division .*a\.csv"):
        read_sides(write(tmp_path, "a.csv", CSV, "latin-1"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"train": ["a"]}', r"holds no initial division: KeyError\('test'\)"),
        ('{"Train": ["a"], "test": ["b"]}', r"holds no initial division: KeyError\('train'\)"),
        ('["a", "b"]', "holds no initial division"),
        ('{"train": ["a"], "te', "holds no initial division"),
        ("", "holds no initial division"),
        ('{"train": "abc", "test": ["b"]}', "train and test must be lists of class names"),
        ('{"train": ["a"], "test": {"b": 1}}', "train and test must be lists of class names"),
    ],
)
def test_json_of_another_form_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(LadderError, match=rf"a\.json.*{message}") as caught:
        read_sides(write(tmp_path, "a.json", content))
    assert FORMS in str(caught.value)


@pytest.mark.parametrize("content", ["", "name,side\na,train\n", "wolf,train\nfox,test\n"])
def test_csv_without_its_columns_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(LadderError, match=r"a\.csv lacks the columns class and side"):
        read_sides(write(tmp_path, "a.csv", content))


@pytest.mark.parametrize(
    ("rows", "line", "side"),
    [
        ("a,train\nb,valid\n", 3, "valid"),
        ("a,train\n\n\nb,Test\n", 5, "Test"),  # empty lines count
        ("a,train\nb\n", 3, ""),
        ('"a\nb",train\nc,\n', 4, ""),
    ],
)
def test_an_unknown_side_names_its_line(tmp_path: Path, rows: str, line: int, side: str) -> None:
    with pytest.raises(LadderError, match=rf"a\.csv line {line}: side is '{side}', not train or test"):
        read_sides(write(tmp_path, "a.csv", f"class,side\n{rows}"))
