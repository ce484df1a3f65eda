"""What is due, who does it, and the worker of the studio that does it while no Dagster does."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from dteg.datasets.models import Due
from dteg.datasets.service import Datasets
from studio.datasets.worker import DatasetsWorker
from studio.services import Services
from tests.integration.datasets.conftest import SALES, changed

pytestmark = pytest.mark.integration
EVERY = ("max_age: 1h", 'schedule: "0 * * * *", max_age: 1h')


@pytest.fixture
def planned(datasets: Datasets, run):
    datasets.save(changed(SALES, EVERY))
    run("UPDATE _dteg.datasets SET saved_at = now() - interval '5 hours'")
    return datasets


def test_of_several_missed_times_only_the_last_is_due_and_only_once(planned):
    now = datetime.now(UTC)
    slot = now.replace(minute=0, second=0, microsecond=0)
    assert planned.due(now) == [Due(slug="sales", slot=slot, what="refresh")]
    assert planned.claim(planned.due(now)[0], "one") is True
    assert planned.claim(Due(slug="sales", slot=slot, what="refresh"), "two") is False
    assert planned.due(now) == []
    later = planned.due(now + timedelta(hours=3))
    assert [each.slot for each in later] == [slot + timedelta(hours=3)]
    assert planned.claim(Due(slug="nothing", slot=slot, what="refresh")) is False
    assert planned.get("sales").next_at == slot + timedelta(hours=1)


def test_a_snapshot_is_due_only_of_rows_that_are_there(datasets, run):
    datasets.save(
        changed(SALES, ("checks:", 'snapshot: {schedule: "* * * * *", metrics: [amount]}\nchecks:'))
    )
    run("UPDATE _dteg.datasets SET saved_at = now() - interval '5 minutes'")
    assert datasets.due() == []
    datasets.refresh("sales")
    assert [each.what for each in datasets.due()] == ["snapshot"]


def test_the_worker_refreshes_what_is_due_in_a_process_of_its_own(planned, shop, run):
    # Once a year: at the end of an hour the next time would be due before the first refresh has ended.
    planned.save(changed(SALES, ("max_age: 1h", 'schedule: "0 0 1 1 *", max_age: 1h')), replace=True)
    run("UPDATE _dteg.datasets SET saved_at = now() - interval '2 years'")
    worker = DatasetsWorker(Services(shop))
    worker.start_due(planned)
    worker.start_due(planned)
    end = time.monotonic() + 120
    while planned.get("sales").live is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    found = planned.generations("sales")
    assert len(found) == 1
    assert found[0].run_id.startswith("studio-sales-")
    assert run("SELECT claimed_by FROM _dteg.dataset_claims") == [("studio",)]
    assert planned.due() == []


def test_the_worker_tells_once_that_rows_have_grown_old(sales, shop, run):
    worker = DatasetsWorker(Services(shop))
    worker._report_age(sales)
    run("UPDATE _dteg.dataset_generations SET data_as_of = now() - interval '2 hours'")
    for _ in range(3):
        worker._report_age(sales)
    sales.refresh("sales")
    worker._report_age(sales)
    heard = run("SELECT subject, state FROM _dteg.alert_occurrences WHERE kind = 'freshness' ORDER BY id")
    assert heard == [("ds.sales", "firing"), ("ds.sales", "resolved")]
