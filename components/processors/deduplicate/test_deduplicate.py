import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.connectors.base import Context
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .deduplicate import Deduplicate, DeduplicateConfig

SAMPLES = [make_batch(id=[1, 2, 1], name=["a", "b", "c"]), make_batch(id=[2, 3], name=["d", "e"])]

TestDeduplicate = contract_tests(
    Deduplicate,
    config={"key": ["id"]},
    bad_config=[{"key": []}, {"keep": "any"}],
    sample=SAMPLES,
    drops_rows=True,
)


def names(folder, batches, **config):
    processor = Deduplicate(DeduplicateConfig(**config), make_context(folder))
    return [name for batch in batches for name in processor.process(batch).column("name").to_pylist()]


def test_first_of_the_stream_stays(tmp_path):
    assert names(tmp_path, SAMPLES, key=["id"]) == ["a", "b", "e"]


def test_last_of_each_batch_stays(tmp_path):
    assert names(tmp_path, SAMPLES, key=["id"], keep="last") == ["b", "c", "d", "e"]


def test_null_keys_are_never_duplicates(tmp_path):
    batch = make_batch(id=[None, 1, None, 1], name=["a", "b", "c", "d"])
    assert names(tmp_path, [batch, batch], key=["id"]) == ["a", "b", "c", "a", "c"]


def test_borders_between_columns_count(tmp_path):
    batch = make_batch(a=["x", "xy"], b=["yz", "z"], name=["1", "2"])
    assert names(tmp_path, [batch, batch], key=["a", "b"]) == ["1", "2"]


@pytest.mark.parametrize(
    "values", [[b"\xff", b"\xff"], [1.5, 1.5], [True, True], pa.array(["a", "a"]).dictionary_encode()]
)
def test_key_types(tmp_path, values):
    assert names(tmp_path, [make_batch(id=values, name=["a", "b"])], key=["id"]) == ["a"]


def test_list_as_key_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="plain column"):
        Deduplicate(DeduplicateConfig(key=["x"]), make_context(tmp_path)).output_schema(
            make_batch(x=[[1]]).schema
        )


@given(st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=5))
def test_like_a_dict_in_python(batches):
    processor = Deduplicate(DeduplicateConfig(key=["x"]), Context(Project(__file__)))
    found = [
        value
        for values in batches
        for value in processor.process(make_batch(x=pa.array(values, pa.int64()))).column("x").to_pylist()
    ]
    assert found == list(dict.fromkeys(value for values in batches for value in values))
