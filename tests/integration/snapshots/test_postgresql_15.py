"""Snapshots in a warehouse of Debian's PostgreSQL 15."""

import pytest

from dteg.snapshots.models import NewPoint
from studio.testing import empty_project
from tests.integration.snapshots.conftest import Shop

pytestmark = pytest.mark.integration


def test_points_rows_and_pruning(debian_hub_database, tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", debian_hub_database)
    shop = Shop(empty_project(tmp_path / "project"))
    assert shop.run("SHOW server_version_num")[0][0].startswith("15")
    shop.run("CREATE TABLE public.orders (country text, customer int, amount numeric(12,2))")
    shop.run("INSERT INTO public.orders VALUES ('KZ', 1, 10), ('DE', 1, 7)")
    shop.save(snapshot={"schedule": "0 * * * *", "by": ["country"], "rows": True})
    shop.refresh()
    taken = shop.snapshots.take("sales")
    assert (taken.points, taken.rows) == (8, 2)
    shop.snapshots.add("sales", "revenue", [NewPoint(slot=shop.slot.replace(year=2020), value=3)])
    assert [point.value for point in shop.snapshots.points("sales", "revenue")] == [3.0, 17.0]
    assert shop.snapshots.prune().points == 1
