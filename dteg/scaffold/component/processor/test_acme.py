import pytest

from dteg.core.errors import ConfigError
from dteg.testing import make_batch, make_context
from dteg.testing.contract import contract_tests

from .acme import AcmeConfig, AcmeProcessor

SAMPLE = make_batch(id=[1, 2, 3, 4], name=[" a ", "b", "  ", None])

# Everything that each processor owes: a known schema, no row that vanishes, and more.
TestAcme = contract_tests(
    AcmeProcessor, config={"columns": ["name"]}, bad_config=[{"columns": []}], sample=SAMPLE
)


@pytest.fixture
def process(tmp_path):
    def process(batch, **config):
        return AcmeProcessor(AcmeConfig(**config), make_context(tmp_path)).process(batch)

    return process


def test_texts_are_trimmed(process):
    assert process(SAMPLE, columns=["name"]).column("name").to_pylist() == ["a", "b", "", None]


def test_empty_becomes_null(process):
    result = process(SAMPLE, columns=["name"], empty_as_null=True)
    assert result.column("name").to_pylist() == ["a", "b", None, None]


def test_other_types_are_refused(process):
    with pytest.raises(ConfigError, match="'id' is int64, not text"):
        process(SAMPLE, columns=["id"])
