"""What an extractor owes. The tests' names are the promises."""

import json
from collections import Counter
from itertools import islice
from typing import Any

from dteg.connectors.base import Checkpoint, Extractor, Stream
from dteg.core.batch import Batch
from dteg.pipelines.cursor import to_json
from dteg.testing.case import Case, must
from dteg.testing.connector_contract import ConnectorContract

Rows = Counter[str]


class ExtractorContract(ConnectorContract):
    """Streams are stable, batches fit their schema, and resuming loses nothing."""

    def test_stream_names_equal_streams(self, case: Case) -> None:
        """Assets are planned from the config alone, so the names must be the real ones."""
        config = case.checked_config()
        with _create(case) as extractor:
            names = type(extractor).stream_names(config)
            must(
                names and len(set(names)) == len(names),
                f"stream names must be unique and at least one: {names}",
            )
            must(names == type(extractor).stream_names(config), "stream_names must return the same each time")
            found = [stream.name for stream in extractor.streams()]
            must(names == found, f"stream_names says {names}, streams() says {found}")

    def test_streams_are_stable(self, case: Case) -> None:
        """Asking twice gives the same schemas, keys and cursors."""
        with _create(case) as first, _create(case) as second:
            for one, two in zip(first.streams(), second.streams(), strict=True):
                must(
                    one.schema.equals(two.schema, check_metadata=True),
                    f"{one.name}: another schema at each call",
                )
                must(
                    (one.primary_key, one.cursor_field) == (two.primary_key, two.cursor_field),
                    f"{one.name}: not stable",
                )

    def test_keys_and_cursors_are_columns(self, case: Case) -> None:
        """And a cursor is only named by an extractor that can filter by it."""
        with _create(case) as extractor:
            for stream in extractor.streams():
                named = {*stream.primary_key, *([stream.cursor_field] if stream.cursor_field else [])}
                absent = named - set(stream.schema.names)
                must(not absent, f"{stream.name}: no column {absent}")
                if stream.cursor_field:
                    must(
                        extractor.capabilities.incremental,
                        f"{stream.name} has a cursor, capabilities say not incremental",
                    )

    def test_batches_have_the_stream_schema(self, case: Case) -> None:
        """Exactly: names, types, nullability and SQL types."""
        for stream, batches in _everything(case):
            for batch in batches:
                must(
                    batch.schema.equals(stream.schema, check_metadata=True),
                    f"{stream.name}: a batch has\n{batch.schema}\nbut the stream\n{stream.schema}",
                )

    def test_source_has_rows(self, case: Case) -> None:
        """Two rows at least, or the other checks would say nothing."""
        total = sum(_rows(batches).total() for _, batches in _everything(case))
        must(
            total >= 2,
            f"the config given to contract_tests reads {total} rows; give it a source with two or more",
        )

    def test_reading_twice_gives_the_same_rows(self, case: Case) -> None:
        """Reading changes nothing, in the source or in the extractor."""
        with _create(case) as extractor:
            for stream in list(extractor.streams()):
                first, second = (_rows(list(extractor.read(stream, None))) for _ in range(2))
                must(first == second, f"{stream.name}: {_difference(first, second)}")

    def test_resume_from_cursor_loses_nothing(self, case: Case) -> None:
        """A read since any cursor value gives all rows with that value or a greater one."""
        for stream, batches in _everything(case):
            if not stream.cursor_field:
                continue
            everything = [row for batch in batches for row in batch.to_pylist()]
            values = sorted({row[stream.cursor_field] for row in everything} - {None})
            for value in {*values[:1], *values[len(values) // 2 :][:1], *values[-1:]}:
                expected = Counter(
                    repr(row) for row in everything if _reaches(row[stream.cursor_field], value)
                )
                lost = expected - _rows(_read(case, stream, Checkpoint(cursor=to_json(value))))
                must(not lost, f"{stream.name}: since {value!r}, lost {_few(lost)}")
            if len(values) > 1:
                again = _rows(_read(case, stream, Checkpoint(cursor=to_json(values[-1])))).total()
                must(again < len(everything), f"{stream.name}: incremental, but reads everything again")

    def test_resume_from_position_loses_nothing(self, case: Case) -> None:
        """After any batch: what was read before and what is read since make up everything."""
        if not case.subject.cls.capabilities.resumable:
            return
        for stream, batches in _everything(case):
            everything = _rows(batches)
            for count in {1, len(batches) // 2, len(batches)} - {0}:
                read, position = _read_some(case, stream, count)
                rest = _rows(_read(case, stream, Checkpoint(position=position)))
                lost = everything - _rows(read) - rest
                must(not lost, f"{stream.name}: resumed after {count} batches, lost {_few(lost)}")

    def test_resume_at_the_end_repeats_nothing(self, case: Case) -> None:
        """A resumable extractor that has read everything reads nothing more."""
        if not case.subject.cls.capabilities.resumable:
            return
        for stream, _ in _everything(case):
            with _create(case) as extractor:
                for _batch in extractor.read(stream, None):
                    pass
                position = _json(extractor.checkpoint(stream))
            again = _rows(_read(case, stream, Checkpoint(position=position)))
            must(not again, f"{stream.name}: read again after the end: {_few(again)}")

    def test_change_sensor_is_stable(self, case: Case) -> None:
        """While the source does not change, neither does its fingerprint."""
        with _create(case) as extractor:
            sensor = extractor.change_sensor()
            if sensor is not None:
                must(
                    sensor.fingerprint() == sensor.fingerprint(),
                    "the fingerprint changes though the source does not",
                )

    def test_close_after_a_partial_read(self, case: Case) -> None:
        """A reader may stop in the middle; closing twice is fine."""
        extractor = _create(case)
        for stream in extractor.streams():
            next(iter(extractor.read(stream, None)), None)
        extractor.close()
        extractor.close()


def _create(case: Case) -> Extractor[Any]:
    connector = case.create()
    assert isinstance(connector, Extractor)
    return connector


def _everything(case: Case) -> list[tuple[Stream, list[Batch]]]:
    with _create(case) as extractor:
        return [(stream, list(extractor.read(stream, None))) for stream in list(extractor.streams())]


def _read(case: Case, stream: Stream, since: Checkpoint) -> list[Batch]:
    """Read with a new extractor, through the checkpoint's JSON, as a later run would."""
    with _create(case) as extractor:
        same = next(each for each in extractor.streams() if each.name == stream.name)
        return list(extractor.read(same, Checkpoint.from_json(_json(since.to_json()))))


def _read_some(case: Case, stream: Stream, count: int) -> tuple[list[Batch], dict[str, Any]]:
    with _create(case) as extractor:
        same = next(each for each in extractor.streams() if each.name == stream.name)
        batches = list(islice(extractor.read(same, None), count))
        return batches, _json(extractor.checkpoint(same))


def _json(data: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(data)))
    except TypeError as error:
        raise AssertionError(f"the checkpoint is not JSON: {error}") from error


def _rows(batches: list[Batch]) -> Rows:
    return Counter(repr(row) for batch in batches for row in batch.to_pylist())


def _reaches(value: Any, start: Any) -> bool:
    return value is not None and bool(value >= start)


def _few(rows: Rows) -> str:
    return ", ".join(list(rows)[:3]) + (" ..." if len(rows) > 3 else "")


def _difference(first: Rows, second: Rows) -> str:
    return (
        f"only at first: {_few(first - second) or 'nothing'}; only later: {_few(second - first) or 'nothing'}"
    )
