"""What a processor owes. The tests' names are the promises."""

import json
from typing import Any

import pyarrow as pa

from dteg.connectors.base import Processor
from dteg.core.batch import Batch
from dteg.core.errors import ConfigError
from dteg.testing.case import Case, must, must_raise
from dteg.testing.connector_contract import ConnectorContract

_OTHER = pa.schema([pa.field("contract_other_column", pa.int64())])


class ProcessorContract(ConnectorContract):
    """The schema is known before the data, and no row vanishes unseen."""

    def test_sample_has_rows(self, case: Case) -> None:
        """Or the other checks would say nothing."""
        must(any(batch.num_rows for batch in case.sample), "give contract_tests a sample with rows")

    def test_output_schema_is_the_schema_of_the_output(self, case: Case) -> None:
        """The target table is made from it before the first batch arrives."""
        processor = _create(case)
        for batch in case.sample:
            expected, found = processor.output_schema(batch.schema), processor.process(batch).schema
            must(
                found.equals(expected, check_metadata=True),
                f"output_schema says\n{expected}\nprocess gives\n{found}",
            )

    def test_empty_batch_stays_empty(self, case: Case) -> None:
        """With the same schema as a full one."""
        processor = _create(case)
        empty = case.sample[0].slice(0, 0)
        result = processor.process(empty)
        must(result.num_rows == 0, "rows out of nothing")
        must(
            result.schema.equals(processor.output_schema(empty.schema), check_metadata=True),
            "another schema when empty",
        )

    def test_no_row_vanishes(self, case: Case) -> None:
        """Rows come out, or are dead letters; only a processor whose purpose it is may drop them."""
        processor = _create(case)
        given = sum(batch.num_rows for batch in case.sample)
        kept = sum(processor.process(batch).num_rows for batch in case.sample)
        rejected = len(processor.context.dead_letters)
        if processor.capabilities.row_preserving:
            must(
                (kept, rejected) == (given, 0),
                f"row_preserving, but {given} rows became {kept} and {rejected} rejected",
            )
        elif not case.subject.drops_rows:
            must(
                kept + rejected == given, f"{given} rows given, {kept} came out and {rejected} were rejected"
            )
        else:
            must(
                kept + rejected <= given,
                f"{given} rows given, but {kept} came out and {rejected} were rejected",
            )

    def test_dead_letters_can_be_stored(self, case: Case) -> None:
        """Each says why and where, and its payload is JSON."""
        processor = _create(case)
        for batch in case.sample:
            processor.process(batch)
        for letter in processor.context.dead_letters:
            must(letter.reason and letter.position, f"a dead letter without reason or position: {letter}")
            json.dumps(letter.payload)

    def test_untouched_columns_keep_their_metadata(self, case: Case) -> None:
        """Such as the SQL type of the source."""
        processor = _create(case)
        for batch in (_marked(batch) for batch in case.sample):
            for field in (*processor.output_schema(batch.schema), *processor.process(batch).schema):
                place = batch.schema.get_field_index(field.name)
                if place >= 0 and batch.schema.field(place).type == field.type:
                    kept = dict(field.metadata or {})
                    must(
                        kept.get(b"contract") == field.name.encode(),
                        f"column {field.name!r} lost its metadata",
                    )

    def test_two_runs_agree(self, case: Case) -> None:
        """The same batches give the same rows again."""
        first, second = (
            [processor.process(batch).to_pylist() for batch in case.sample]
            for processor in (_create(case), _create(case))
        )
        must(repr(first) == repr(second), "two processors with one config gave different rows")

    def test_missing_column_is_a_config_error(self, case: Case) -> None:
        """Said before any row is read."""
        if case.subject.needs_columns:
            with must_raise(ConfigError, "output_schema for a stream without the configured columns"):
                _create(case).output_schema(_OTHER)


def _create(case: Case) -> Processor[Any]:
    connector = case.create()
    assert isinstance(connector, Processor)
    return connector


def _marked(batch: Batch) -> Batch:
    fields = [f.with_metadata({**(f.metadata or {}), b"contract": f.name.encode()}) for f in batch.schema]
    return pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields))
