import json
import subprocess
import sys

import pytest

from dteg.quality import AcceptedValues, CheckResult, NullCheck, RangeCheck, Unique, blocking_failures
from dteg.quality.results import EXPECTATIONS
from dteg.quality.rules import Rule
from dteg.quality.wording import findings, shorten

pytestmark = pytest.mark.unit


def make_result(**changes):
    values = {
        "name": "null_check_id", "type": "null_check", "table": "raw.t", "severity": "error", "passed": False,
        "failing": 1, "total": 3, "message": "raw.t: 1 of 3 rows has NULL in id", "sample": [{"id": None}],
    }  # fmt: skip
    return CheckResult(**(values | changes))


def test_only_failed_errors_block():
    failed, warned, passed = make_result(), make_result(severity="warn"), make_result(passed=True)
    assert blocking_failures([failed, warned, passed]) == [failed]


def test_json_looks_like_a_great_expectations_result():
    value = json.loads(json.dumps(make_result().to_json()))
    assert value["success"] is False
    assert value["expectation_config"]["type"] == "expect_column_values_to_not_be_null"
    assert value["expectation_config"]["severity"] == "critical"
    assert value["result"] == {
        "element_count": 3,
        "unexpected_count": 1,
        "unexpected_percent": 33.333333,
        "partial_unexpected_list": [{"id": None}],
    }
    assert make_result(total=0).to_json()["result"]["unexpected_percent"] == 0


def test_every_rule_has_an_expectation():
    union = Rule.__origin__
    assert {model.model_fields["type"].default for model in union.__args__} == set(EXPECTATIONS)


@pytest.mark.parametrize(
    ("rule", "failing", "message"),
    [
        (
            AcceptedValues(column="carrier", values=["AA", 1]),
            12,
            "12 of 336,776 rows have carrier outside {AA, 1}",
        ),
        (NullCheck(columns=["a", "b", "c"]), 1, "1 of 336,776 rows has NULL in a, b or c"),
        (Unique(columns=["a", "b"]), 2, "2 of 336,776 rows have the same a and b as an earlier row"),
        (RangeCheck(column="x", min=0), 2, "2 of 336,776 rows have x below 0"),
        (RangeCheck(column="x", max=0), 2, "2 of 336,776 rows have x above 0"),
        (RangeCheck(column="x", min="a", max="b"), 2, "2 of 336,776 rows have x outside a to b"),
    ],
)
def test_findings_are_said_in_a_sentence(rule, failing, message):
    assert findings(rule, failing, 336_776) == message


def test_long_lists_and_texts_are_cut():
    assert findings(AcceptedValues(column="c", values=list(range(99))), 0, 1).endswith("8, 9, …}")
    assert shorten("x" * 81) == "x" * 79 + "…"
    assert shorten("x" * 80) == "x" * 80


def test_reading_rules_does_not_import_the_driver():
    code = "import sys, dteg.quality; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
