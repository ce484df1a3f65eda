import pytest

from dteg.core.errors import ConfigError
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .rename import Rename, RenameConfig, snake_case

SAMPLE = make_batch(orderId=[1, 2], price=["1.5", None], types={"price": "numeric"})

TestRename = contract_tests(
    Rename,
    config={"columns": {"orderId": "order_id"}},
    bad_config=[{"columns": {}}, {"case": "camel"}],
    sample=SAMPLE,
)
TestRenameAll = contract_tests(
    Rename, config={"case": "snake", "prefix": "crm_"}, sample=SAMPLE, needs_columns=False
)


@pytest.fixture
def rename(tmp_path):
    return lambda **config: Rename(RenameConfig(**config), make_context(tmp_path))


def test_named_columns_are_taken_as_written(rename):
    schema = rename(columns={"orderId": "ID"}, case="snake", suffix="_x").output_schema(SAMPLE.schema)
    assert schema.names == ["ID", "price_x"]


def test_swap(rename):
    result = rename(columns={"orderId": "price", "price": "orderId"}).process(SAMPLE)
    assert result.to_pydict() == {"price": [1, 2], "orderId": ["1.5", None]}


def test_clash_names_both_columns(rename):
    with pytest.raises(ConfigError, match=r"'orderId' and 'price' would both be called 'price'"):
        rename(columns={"orderId": "price"}).output_schema(SAMPLE.schema)


def test_clash_by_case(rename):
    with pytest.raises(ConfigError, match="both"):
        rename(case="lower").output_schema(make_batch(a=[1], A=[1]).schema)


def test_too_long_name_is_refused(rename):
    with pytest.raises(ConfigError, match="63 bytes"):
        rename(prefix="x" * 60).output_schema(SAMPLE.schema)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orderId", "order_id"),
        ("HTTPStatus Code", "http_status_code"),
        ("already_snake", "already_snake"),
        ("***", "***"),
    ],
)
def test_snake_case(name, expected):
    assert snake_case(name) == expected
