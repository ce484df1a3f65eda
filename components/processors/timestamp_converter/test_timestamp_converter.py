# ruff: noqa: DTZ001 - local times without a zone are what is tested
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.core.errors import ConfigError
from dteg.core.types import sql_type
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .timestamp_converter import (
    TimestampConverter,
    TimestampConverterConfig,
)

SEOUL = {"timezone": "Asia/Seoul", "fields": ["created_at"]}

TestTimestampConverter = contract_tests(
    TimestampConverter,
    config=SEOUL,
    bad_config=[
        {"timezone": "Asia/Soul"},
        {"format": "unix"},
        {"format": "%Y %z"},
        {"format": "%S.%f"},
        {"fields": []},
        {"dst": "x"},
    ],
    sample=[
        make_batch(id=[1, 2, 3], created_at=["2026-01-01 09:00", "never", None]),
        make_batch(id=[4], created_at=["2026-01-01T00:00:00Z"]),
    ],
)


@pytest.fixture
def convert(tmp_path):
    def run(values, **config):
        config = {"timezone": "Asia/Seoul", "fields": ["x"], **config}
        processor = TimestampConverter(TimestampConverterConfig(**config), make_context(tmp_path))
        batch = make_batch(x=values)
        result = processor.process(batch)
        assert result.schema == processor.output_schema(batch.schema)
        return result.column(0).to_pylist(), [letter.reason for letter in processor.context.dead_letters]

    return run


MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "config"),
    [
        (["2026-01-01 09:00"], {}),
        (["2026-01-01T00:00:00Z"], {}),
        (["2026-01-01 01:00+01:00"], {}),
        ([datetime(2026, 1, 1, 9)], {}),
        ([MIDNIGHT], {}),
        ([date(2026, 1, 1)], {"timezone": "UTC"}),
        (["2026-01-01 01:00"], {"from_timezone": "Europe/Berlin"}),
        (["01.01.2026 09:00"], {"format": "%d.%m.%Y %H:%M"}),
        ([1767225600], {"format": "epoch_s"}),
        ([1767225600000], {"format": "epoch_ms"}),
        ([1767225600.0], {"format": "epoch_s"}),
        (["1767225600"], {"format": "epoch_s"}),
        (pa.array([1767225600 * 10**9], pa.timestamp("ns", "UTC")), {}),
    ],
)
def test_becomes_the_instant(convert, values, config):
    assert convert(values, **config) == ([MIDNIGHT], [])


def test_fractions_of_a_second(convert):
    assert convert([1767225600.5], format="epoch_s")[0][0].microsecond == 500_000
    assert convert(["2026-01-01 09:00:00.1234567"])[0][0].microsecond == 123_456


def test_to_local_is_the_wall_clock(convert):
    assert convert([MIDNIGHT], to="local") == ([datetime(2026, 1, 1, 9)], [])
    assert convert(["2026-01-01 01:00"], from_timezone="Europe/Berlin", to="local") == (
        [datetime(2026, 1, 1, 9)],
        [],
    )


SKIPPED, REPEATED = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)


def test_times_at_clock_changes_are_rejected(convert):
    kept, reasons = convert([SKIPPED, REPEATED, datetime(2026, 7, 1, 12)], timezone="Europe/Berlin")
    assert kept == [datetime(2026, 7, 1, 10, tzinfo=UTC)]
    assert reasons == ["column 'x' is skipped or repeated by a clock change in Europe/Berlin"] * 2


def test_times_at_clock_changes_by_choice(convert):
    earliest, _ = convert([REPEATED, SKIPPED], timezone="Europe/Berlin", dst="earliest")
    latest, _ = convert([REPEATED, SKIPPED], timezone="Europe/Berlin", dst="latest")
    assert [at.hour for at in (earliest[0], latest[0])] == [0, 1]
    assert earliest[1] < datetime(2026, 3, 29, 1, tzinfo=UTC) == latest[1]


def test_what_is_no_time_is_rejected(convert):
    kept, reasons = convert(["2026-02-30", "", "soon", None, "2026-01-01 09:00"])
    assert kept == [None, MIDNIGHT]
    assert reasons == ["column 'x' is no time in the format iso"] * 3
    assert convert(["31.02.2026", None, "1.1.2026"], format="%d.%m.%Y", timezone="UTC")[0] == [None, MIDNIGHT]
    assert convert([1e300, float("nan")], format="epoch_s")[0] == []


def test_numbers_need_an_epoch_format(convert):
    with pytest.raises(ConfigError, match="epoch_s"):
        convert([1])
    with pytest.raises(ConfigError, match="not a time"):
        convert([True])


def test_sql_type_and_other_metadata(tmp_path):
    processor = TimestampConverter(TimestampConverterConfig(**SEOUL), make_context(tmp_path))
    field = pa.field("created_at", pa.string(), metadata={"note": "kept", "dteg:sql_type": "varchar(20)"})
    result = processor.output_schema(pa.schema([field])).field(0)
    assert (sql_type(result), result.metadata[b"note"]) == ("timestamptz", b"kept")


def test_near_miss_for_time_zones():
    with pytest.raises(ValidationError, match='did you mean "Asia/Seoul"'):
        TimestampConverterConfig(timezone="Asia/Seol", fields=["x"])
