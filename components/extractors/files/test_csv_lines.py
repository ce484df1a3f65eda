import csv
import io
import itertools
import re
from calendar import isleap, monthrange

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dteg.core.types import sql_field

from .conversion import convert
from .csv_lines import (
    SHORT_FRACTION,
    SHORT_WHOLE,
    form_of,
    matches,
    plain_pattern,
    records_end,
    strict_pattern,
)
from .inference import Kind, join, kind_of_text
from .plain import plain_cast

RECORDS = 'a,"b ""q"" \n x",c\r\n"",,"\r"\r\n\r\n"z",\\.,"\\."\r\nd,e,"f"\r\n'
BORDERS = ",\r\n"
# What texts are changed with, or without; and how many of those that still match are changed once more.
MARKS = ("", *"013469-+:. TZtex_")
MOST_CHANGED_TWICE = 60


STRICT = strict_pattern(",", '"')


def blocks_of_records(content, size):
    """Return what stands between the borders of records that were found, block by block."""
    found, rest, is_open = [], b"", False
    for start in range(0, len(content), size):
        block = content[start : start + size]
        is_open ^= block.count(b'"') % 2 == 1
        cut = records_end(block, b'"', is_open=is_open)
        found.append(rest + block[:cut] if cut else b"")
        rest = block[cut:] if cut else rest + block
    assert not is_open
    return [*found, rest]


def rows(content):
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 13, 1000])
def test_blocks_end_behind_records(line_break, size):
    """Tried: with a break inside quotes taken for the end of a record, this turns red."""
    content = RECORDS.replace("\r\n", line_break).encode()
    found = blocks_of_records(content, size)
    assert b"".join(found) == content
    assert [row for block in found for row in rows(block)] == rows(content)
    assert not any(block.startswith(b"\n") for block in found[1:] if line_break == "\r\n")


@pytest.mark.parametrize(
    "content",
    [b'a"b"\n', b'"a"b\n', b'"a" ,b\n', b'a, "b"\n', b'5" x\n', b"a\n\\.\nb\n", b'"a"\n\\.\n', b"\r\\.\r",
     b"\\.\n", b'"a""b"c\n', b'"a\n', b"a", b'x",abc,"y\n'],
)  # fmt: skip
def test_what_programs_read_differently_is_not_strict(content):
    assert not matches(content, STRICT)


def is_strict(content):
    """Say the same another way: whole lines, and nothing but borders beside quotes."""
    stretches = content.split('"')
    outside = stretches[::2]
    return (
        len(stretches) % 2 == 1
        and all(stretch[0] in BORDERS for stretch in outside[1:] if stretch)
        and all(stretch[-1] in BORDERS for stretch in outside[:-1] if stretch)
        and (not content or content[-1] in "\r\n")
    )


@settings(deadline=None)
@given(st.text(st.sampled_from('",\r\nxž'), max_size=12))
def test_the_strict_pattern_matches_what_is_strict_and_nothing_else(content):
    assert matches(content.encode(), STRICT) == is_strict(content)


def test_all_short_texts():
    """Tried: with quotes allowed inside unquoted fields, or anything behind the closing one, this turns red."""
    for content in map("".join, itertools.product('",\nx', repeat=6)):
        assert matches(content.encode(), STRICT) == is_strict(content), content


SEEDS = {
    "boolean": ["true", "FALSE"],
    "bigint": ["0", "-7", "123456789012345", "-999999999999999999"],
    "real": ["0", "-1.5", "123456789012345.", "0.00000000000000000001"],
    "double precision": ["0", "-1.5", "123456789012345.", "0.1234567890123456789"],
    "numeric": ["0", "-1.50", "12345678901234567.5"],
    "numeric(38,4)": ["0", "-1.5", "1234567890.1234"],
    "numeric(20,0)": ["0", "-123456789"],
    "date": ["2024-02-28", "2023-02-28", "1900-02-28", "2000-02-29", "2024-04-30", "9999-12-31"],
    "timestamp": ["2024-02-29", "2024-02-29T23:59", "1969-12-31 00:00:09", "2024-01-01 10:00:00.12345"],
    "timestamptz": ["2024-02-29T23:59Z", "1969-12-31 00:00:09-14:59", "2024-01-01 10:00:00.12345+02:00"],
    "uuid": ["123e4567-E89B-12d3-a456-426614174000"],
}
KINDS = {
    Kind.BOOLEAN: "boolean", Kind.BIGINT: "short", Kind.WIDE_BIGINT: "bigint", Kind.DOUBLE: "fraction",
    Kind.NUMERIC: "numeric", Kind.DATE: "date", Kind.TIMESTAMP: "timestamp", Kind.TIMESTAMPTZ: "timestamptz",
}  # fmt: skip


OPEN = {
    "short": (SHORT_WHOLE, ["0", "-7", "123456789012345"]),
    "fraction": (SHORT_FRACTION, [
        "0", "-1.5", "0.12345678901234567", "0.00012345678901234567", "123.12345678901234", "123456.12345678901",
        "1234567890.1234567", "123456789012345.12",
    ]),
}  # fmt: skip


def texts_of(form, seeds):
    """Return what matches a form among the seeds, all texts a character away from one, and many two away."""
    pattern = re.compile(form)
    near = [text for text in changed(seeds) if pattern.fullmatch(text)]
    # Evenly from all of them: each kind of change stands beside others of its kind.
    further = changed(near[:: max(1, len(near) // MOST_CHANGED_TWICE)])
    texts = sorted({*seeds, *near, *filter(pattern.fullmatch, further)})
    assert set(seeds) <= set(filter(pattern.fullmatch, texts))
    return pa.array(texts, pa.string())


def changed(texts):
    """Return texts with one character changed, added or left out."""
    return sorted(
        {
            text[:at] + mark + text[behind:]
            for text in texts
            for at in range(len(text) + 1)
            for behind in (at, at + 1)
            for mark in MARKS
        }
    )


@pytest.mark.parametrize("type_", SEEDS)
def test_a_text_of_a_form_is_of_the_type_for_the_closer_look_too(type_):
    """Tried: with 30 February, 24:00, 10:60, a fifth digit of a fraction or 19 digits in a form, this turns red."""
    column = sql_field("v", type_)
    values = texts_of(form_of(column), SEEDS[type_])
    if pa.types.is_string(column.type):
        assert not pc.any(convert(values, column)[1]).as_py()
    else:
        assert plain_cast(values, column.type) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_a_form_leave_the_inference_where_it_is(kind):
    """Tried: with leading zeros in a form, 16 digits in that of short whole numbers or 18 in that of fractions, this turns red."""
    type_ = KINDS[kind]
    form, seeds = OPEN.get(type_) or (form_of(sql_field("v", type_)), SEEDS[type_])
    values = texts_of(form, seeds)
    assert join(kind, kind_of_text(values, kind)) is kind
    # One by one, too: what all of them have in common may hide what one of them is.
    assert {join(kind, kind_of_text(values.slice(at, 1), kind)) for at in range(0, len(values), 97)} == {kind}


def test_each_day_of_the_calendar_is_a_date_and_no_other():
    form = re.compile(form_of(sql_field("d", "date")))
    for year, month, day in itertools.product((1900, 2000, 2023, 2024, 2100), range(14), range(33)):
        is_day = 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
        assert bool(form.fullmatch(f"{year}-{month:02}-{day:02}")) == is_day
    for year in range(10_000):
        assert bool(form.fullmatch(f"{year:04}-02-29")) == isleap(year)


@settings(deadline=None)
@given(st.text(st.sampled_from('",\n05.-'), max_size=14))
@example('5,0.5\n"-5","0.05"\n,\n')
def test_lines_of_forms_are_strict_and_their_fields_null_or_of_the_form(content):
    forms = [form_of(sql_field("a", "bigint")), form_of(sql_field("b", "numeric(6,2)"))]
    if matches(content.encode(), plain_pattern(forms, ",", '"', "")):
        assert is_strict(content)
        assert '""' not in content
        for row in rows(content.encode()):
            assert all(not text or re.fullmatch(form, text) for form, text in zip(forms, row, strict=True))


@pytest.mark.parametrize(
    ("content", "null", "expected"),
    [
        ('1,2.50,2024-02-29\r\n"-7","0","1999-12-31"\r\n,,\r\n', "", True),
        ("1,2.50,NA\n", "NA", True),
        ("1,2.50,\n", "NA", False),
        ('1,2.50,"NA"\n', "NA", False),
        ('1,"",\n', "", False),
        ("1,2.505,\n", "", False),
        ("01,2.5,\n", "", False),
        ("1,2.5,2023-02-29\n", "", False),
        ("1,2.5,1900-02-29\n", "", False),
        ("1,2.5\n", "", False),
        ("1,2.5,,\n", "", False),
        ("1,2.5,", "", False),
        ("\n", "", False),
    ],
)
def test_lines_of_declared_types(content, null, expected):
    forms = [form_of(sql_field("c", type_)) for type_ in ("integer", "numeric(6,2)", "date")]
    assert matches(content.encode(), plain_pattern(forms, ",", '"', null)) == expected


@pytest.mark.parametrize("type_", ["text", "varchar(3)", "jsonb", "numeric(3,5)", "timestamp(3)", "bigint[]"])
def test_other_types_have_no_form(type_):
    assert form_of(sql_field("c", type_)) is None


@pytest.mark.parametrize(("delimiter", "quote"), [(".", '"'), ("-", '"'), (",", "0")])
def test_marks_that_stand_in_forms_leave_the_fields_to_the_closer_look(delimiter, quote):
    """Tried: with a point between columns, `1.5.2` matches as two numbers, and this turns red."""
    forms = [form_of(sql_field("a", "numeric(6,2)")), form_of(sql_field("b", "bigint"))]
    assert plain_pattern(forms, delimiter, quote, "") is None


def test_very_many_columns_are_left_to_the_closer_look():
    date = form_of(sql_field("d", "date"))
    assert plain_pattern([date] * 40, ",", '"', "") is not None
    assert plain_pattern([date] * 400, ",", '"', "") is None
    assert plain_pattern([None] * 40, ",", '"', "") is None
