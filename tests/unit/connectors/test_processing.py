import json
import math

import pyarrow as pa
import pytest

from dteg.connectors.processing import check_columns, set_aside
from dteg.core.errors import ConfigError
from dteg.testing import make_batch, make_context


def test_one_letter_for_each_bad_row(tmp_path):
    context = make_context(tmp_path)
    batch = make_batch(x=[math.nan, 1.0, 2.0], y=[b"\xff", None, b"a"])
    bad = {"first": pa.array([True, False, False]), "second": pa.array([True, False, True])}
    assert set_aside(context, batch, bad, "source", 10).to_pylist() == [False, True, False]
    assert [(letter.reason, letter.position) for letter in context.dead_letters] == [
        ("first; second", "source (row 11)"),
        ("second", "source (row 13)"),
    ]
    assert json.dumps([letter.payload for letter in context.dead_letters], allow_nan=False)


def test_empty_batch(tmp_path):
    empty = make_batch(x=pa.array([], pa.int64()))
    assert len(set_aside(make_context(tmp_path), empty, {"bad": pa.array([], pa.bool_())}, "source", 0)) == 0


def test_missing_column_has_a_near_miss():
    with pytest.raises(ConfigError, match=r"p: no column 'amout'; did you mean \"amount\""):
        check_columns("p", ["amout"], make_batch(amount=[1]).schema)
