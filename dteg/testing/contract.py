"""The contract suite: what every connector owes, as pytest tests.

TestKafka = contract_tests(KafkaExtractor, config="kafka_config", lazy=("confluent_kafka",))
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dteg.connectors.base import Connector, Extractor, Loader, Processor, Transformer
from dteg.testing.case import Case, Given, Subject
from dteg.testing.connector_contract import ConnectorContract
from dteg.testing.extractor_contract import ExtractorContract
from dteg.testing.loader_contract import LoaderContract
from dteg.testing.processor_contract import ProcessorContract
from dteg.testing.transformer_contract import TransformerContract

__all__ = ["contract_tests"]

_SUITES: list[tuple[type[Connector[Any]], type[ConnectorContract]]] = [
    (Extractor, ExtractorContract),
    (Processor, ProcessorContract),
    (Loader, LoaderContract),
    (Transformer, TransformerContract),
]


def contract_tests(
    cls: type[Connector[Any]],
    *,
    config: Given,
    bad_config: Sequence[Mapping[str, Any]] = (),
    broken: Given = (),
    sample: Given = None,
    read_back: Given = None,
    lazy: tuple[str, ...] = (),
    packaged: bool = True,
    drops_rows: bool = False,
    needs_columns: bool = True,
) -> type[ConnectorContract]:
    """Return a test class for one connector; assign it to a name that starts with `Test`.

    `config`, `broken`, `sample` and `read_back` may be the value itself, the name of a fixture that
    gives it, or (not `read_back`) a function whose parameters are fixtures, such as
    `lambda tmp_path: {"path": str(tmp_path / "x.csv")}`. They are asked for anew in each test.

    Args:
        cls: The connector's class.
        config: A config that works, against a source with at least two rows, or an empty target.
        bad_config: Changes to `config` that the config model must refuse.
        broken: Changes to `config` that pass the model, but with which the system cannot be used,
            such as a wrong port.
        sample: Processors and loaders: a batch or several of one schema. Loaders take the first, by
            default one with a column `id`; its first column is the key.
        read_back: Loaders: function (checked config, table) -> rows as dicts, read past the connector.
        lazy: Modules that importing the connector must not import.
        packaged: Whether the connector is a component of its own, with dteg.yaml and README.md.
        drops_rows: Processors: whether rows may vanish without being dead letters.
        needs_columns: Processors: whether the config names columns that must exist.
    """
    subject = Subject(
        cls, config, bad_config, broken, sample, read_back, lazy, packaged, drops_rows, needs_columns
    )
    suite = next((suite for base, suite in _SUITES if issubclass(cls, base)), ConnectorContract)
    members = {
        "__doc__": f"The contract of {cls.__name__}.",
        "pytestmark": [pytest.mark.contract],
        "case": _case_fixture(subject),
    }
    return type(f"Test{cls.__name__}", (suite,), members)


def _case_fixture(subject: Subject) -> Any:
    @pytest.fixture
    def case(_self: object, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        sample = _resolve(subject.sample, request)
        read_back = subject.read_back
        return Case(
            subject,
            config=dict(_resolve(subject.config, request)),
            broken=[dict(change) for change in _resolve(subject.broken, request)],
            sample=[sample] if isinstance(sample, pa.RecordBatch) else list(sample or ()),
            read_back=request.getfixturevalue(read_back) if isinstance(read_back, str) else read_back,
            folder=tmp_path,
        )

    return case


def _resolve(given: Given, request: pytest.FixtureRequest) -> Any:
    if isinstance(given, str):
        return request.getfixturevalue(given)
    if callable(given):
        return given(*(request.getfixturevalue(name) for name in inspect.signature(given).parameters))
    return given
