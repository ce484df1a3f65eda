"""The change sensor: one run for each change of the source, none for a look that fails."""

import dagster as dg
import pytest

from dteg.core.errors import TransientError

pytestmark = pytest.mark.integration

WATCH = "watch: {every_s: 30}\nenabled: true"


def look(folder, instance, cursor=None):
    (sensor,) = folder.definitions().get_repository_def().sensor_defs
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=folder.definitions())
    return sensor.evaluate_tick(context)


def test_sensor_runs_once_for_each_change(folder, instance):
    folder.pipeline("events", extra=WATCH)
    folder.source.fingerprint = "A"
    first = look(folder, instance)
    assert len(first.run_requests) == 1
    assert first.cursor == "A"
    again = look(folder, instance, first.cursor)
    assert not again.run_requests
    assert "not changed" in again.skip_message
    folder.source.fingerprint = "B"
    changed = look(folder, instance, first.cursor)
    assert (len(changed.run_requests), changed.cursor) == (1, "B")
    folder.source.fingerprint = "A"  # back to an earlier state is a change too
    back = look(folder, instance, changed.cursor)
    assert len(back.run_requests) == 1
    assert back.run_requests[0].run_key is None  # Dagster would refuse a key that it has seen


@pytest.mark.parametrize("broken", [TransientError("the share is not mounted"), None])
def test_source_that_cannot_be_looked_at_is_skipped_and_keeps_the_cursor(folder, instance, broken):
    folder.pipeline("events", extra=WATCH)
    folder.source.fingerprint = broken  # None: an extractor without a change sensor
    result = look(folder, instance, "A")
    assert not result.run_requests
    assert result.cursor in (None, "A")
    assert (str(broken) if broken else "cannot tell whether its source changed") in result.skip_message


def test_broken_file_is_skipped(folder, instance):
    folder.pipeline("events", extra=WATCH)
    folder.source.fingerprint = "A"
    (sensor,) = folder.definitions().get_repository_def().sensor_defs
    folder.write("events", "pipeline: {")
    result = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert "pipelines/events.yaml" in result.skip_message


def test_interval_and_status_come_from_the_file(folder):
    folder.pipeline("events", extra=WATCH)
    folder.pipeline("off", extra="watch: {}")
    sensors = {sensor.name: sensor for sensor in folder.definitions().get_repository_def().sensor_defs}
    assert sensors["events_watch"].minimum_interval_seconds == 30
    assert sensors["events_watch"].default_status == dg.DefaultSensorStatus.RUNNING
    assert sensors["off_watch"].default_status == dg.DefaultSensorStatus.STOPPED
