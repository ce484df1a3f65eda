from datetime import date
from decimal import Decimal

import pytest
from pydantic import ValidationError

from dteg.core.errors import ConfigError, QualityGateError
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .data_validator import DataValidator, DataValidatorConfig

SAMPLE = make_batch(email=["a@b", "nobody", None], amount=[1, -1, None])
RULES = [{"column": "email", "not_null": True, "pattern": "^[^@]+@[^@]+$"}, {"column": "amount", "min": 0}]

TestDataValidator = contract_tests(
    DataValidator,
    config={"rules": RULES},
    bad_config=[
        {"rules": []},
        {"rules": [{"column": "email"}]},
        {"rules": [{"column": "email", "not_null": False}]},
        {"rules": [{"column": "email", "pattern": "("}]},
        {"rules": [{"column": "email", "patern": "x"}]},
    ],
    sample=[SAMPLE, SAMPLE.slice(1)],
)


@pytest.fixture
def validator(tmp_path):
    return lambda rules, **config: DataValidator(
        DataValidatorConfig(rules=rules, **config), make_context(tmp_path)
    )


def test_reasons_name_rules_and_never_values(validator):
    processor = validator(RULES)
    assert processor.process(SAMPLE).to_pylist() == [{"email": "a@b", "amount": 1}]
    assert [(letter.position, letter.reason) for letter in processor.context.dead_letters] == [
        (
            "data_validator input (row 2)",
            "column 'email' does not match ^[^@]+@[^@]+$; column 'amount' is less than 0",
        ),
        ("data_validator input (row 3)", "column 'email' is null"),
    ]


@pytest.mark.parametrize(
    ("rule", "values", "kept"),
    [
        ({"min": 1}, [0, 1, None], [1, None]),
        ({"max": 1.5}, [1, 2], [1]),
        ({"min": 0, "max": 1}, [-1, 0, 1, 2], [0, 1]),
        ({"min": "2026-01-01"}, [date(2025, 12, 31), date(2026, 1, 1)], [date(2026, 1, 1)]),
        ({"min": 0.5}, [Decimal("0.49"), Decimal("0.50")], [Decimal("0.50")]),
        ({"max": "b"}, ["a", "c"], ["a"]),
        ({"accepted_values": ["new", "paid"]}, ["new", "old", None], ["new", None]),
        ({"accepted_values": [1, 2]}, [1, 3], [1]),
        ({"accepted_values": [1, 2]}, ["1", "3"], ["1"]),
        ({"max_length": 2}, ["ab", "äöü", None], ["ab", None]),
        ({"pattern": "b"}, ["abc", "xyz", None], ["abc", None]),
        ({"not_null": True}, [1, None], [1]),
    ],
)
def test_rules(validator, rule, values, kept):
    result = validator([{"column": "x", **rule}]).process(make_batch(x=values))
    assert result.column("x").to_pylist() == kept


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ({"pattern": "x"}, [1]),
        ({"max_length": 1}, [1]),
        ({"min": "soon"}, [date(2026, 1, 1)]),
        ({"min": 1}, ["a"]),
        ({"accepted_values": ["x"]}, [1]),
        ({"min": 5}, [date(2026, 1, 1)]),
    ],
)
def test_rule_that_does_not_fit_the_type(validator, rule, values):
    with pytest.raises(ConfigError, match="data_validator"):
        validator([{"column": "x", **rule}]).output_schema(make_batch(x=values).schema)


def test_fail_counts_the_rows(validator):
    with pytest.raises(QualityGateError, match=r"is null: 1 row\(s\)") as caught:
        validator([{"column": "email", "not_null": True}], on_error="fail").process(SAMPLE)
    assert caught.value.failed == ["column 'email' is null"]


def test_error_of_a_bad_pattern_says_why():
    with pytest.raises(ValidationError, match="pattern: "):
        DataValidatorConfig(rules=[{"column": "x", "pattern": "(?=a)"}])
