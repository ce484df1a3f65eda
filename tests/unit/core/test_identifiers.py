import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES, TableName, check_identifier, quote


@pytest.mark.parametrize(
    ("text", "expected"),
    [("t", ("public", "t")), ("raw.t", ("raw", "t")), ('My "S.Größe %', ('My "S', "Größe %")), ("a.select", ("a", "select"))],
)  # fmt: skip
def test_a_table_name_is_taken_as_it_is_written(text, expected):
    table = TableName.parse(text)
    assert (table.schema, table.name) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty table name"), (".t", "empty schema name"), ("a.", "empty table name"), ("a.b.c", "has 3 parts"),
     ("a.b\x00", "NUL"), ("x" * 64, "longer than 63 bytes"), ("ü" * 32, "longer than 63 bytes")],
)  # fmt: skip
def test_a_name_that_postgresql_would_change_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        TableName.parse(text)


def test_63_bytes_fit():
    assert check_identifier("ü" * 31 + "x")
    assert TableName.parse("한" * 21).name == "한" * 21


def test_quotes_are_doubled():
    assert quote('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
    assert TableName("a b", 'c"d').sql == '"a b"."c""d"'


@settings(derandomize=True, deadline=None)
@given(
    st.text(min_size=1, max_size=63).filter(
        lambda name: "\x00" not in name and len(name.encode("utf-8", "replace")) <= 63 and name.isprintable()
    )
)
def test_a_quoted_name_ends_only_at_its_last_quote(name):
    inner = quote(name)[1:-1]
    assert inner.replace('""', "").count('"') == 0
    assert inner.replace('""', '"') == name


def test_a_suffix_fits_and_tables_that_differ_at_their_end_stay_apart():
    assert TableName("raw", "t").with_suffix("__dead_letters") == TableName("raw", "t__dead_letters")
    first, second = (TableName("raw", "한" * 20 + end).with_suffix("__dead_letters") for end in "ab")
    assert first != second
    for table in (first, second):
        assert len(table.name.encode()) <= MAX_IDENTIFIER_BYTES
        assert table.name.startswith("한한한")
        assert table.name.endswith("__dead_letters")
