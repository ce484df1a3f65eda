import gzip

import pytest

from dteg.tables.delimiters import delimiter_of


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("id;name;price\n1;a;2,5\n", ";"),
        ("id\tname\n1\ta\n", "\t"),
        ("id|name|x;y\n", "|"),
        ("\ufeffid;name\n", ";"),
        ('"a,b";c\n', ";"),
        ("a;b,c\n", None),
        ("a,b\n1;2,3\n", None),
        ("single\n1;2\n", None),
        ("", None),
    ],
)
def test_the_first_line_shows_the_delimiter(tmp_path, head, expected):
    path = tmp_path / "x.csv"
    path.write_text(head, encoding="utf-8")
    assert delimiter_of(path) == expected


def test_it_is_seen_through_gzip(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a;b\n1;2\n"))
    assert delimiter_of(path) == ";"


def test_what_cannot_be_read_is_left_to_who_reads_it(tmp_path):
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip")
    assert delimiter_of(tmp_path / "broken.csv.gz") is None
    assert delimiter_of(tmp_path / "absent.csv") is None
    assert delimiter_of(tmp_path) is None
