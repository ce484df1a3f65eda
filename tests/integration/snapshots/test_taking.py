"""Snapshots: once for each planned time, never of another time."""

from datetime import timedelta

import pytest

from dteg.core.errors import ConfigError, ConflictError, InputError, NotFoundError
from dteg.snapshots import row_snapshots
from dteg.snapshots.models import How, NewPoint

pytestmark = pytest.mark.integration


def value(shop, metric, **by):
    return shop.snapshots.points("sales", metric, by)[-1].value


def count(shop, table):
    return shop.run(f"SELECT count(*) FROM _dteg.{table}")[0][0]


def test_numbers_of_each_choice_and_of_all(sales):
    taken = sales.snapshots.take("sales")
    assert (taken.slot, taken.taken_at, taken.stale, taken.generation) == (sales.slot, sales.now, False, 1)
    # Three countries (one of them null) with three metrics, and the total of those that can be added up.
    assert taken.points == 11
    assert value(sales, "revenue", country="KZ") == 35.0
    assert value(sales, "revenue", country=None) == 1.0
    assert value(sales, "revenue") == 43.0
    assert value(sales, "buyers", country="KZ") == 2.0
    assert value(sales, "rows") == 3.0
    with pytest.raises(NotFoundError, match="country=KZ"):
        sales.snapshots.points("sales", "buyers")
    assert [(each.name, each.how, each.series) for each in sales.snapshots.metrics("sales")] == [
        ("revenue", How.SUM, 4), ("buyers", How.VALUE, 3), ("rows", How.COUNT, 4),
    ]  # fmt: skip


def test_a_second_time_changes_nothing(sales):
    first = sales.snapshots.take("sales")
    sales.run("INSERT INTO public.orders VALUES ('KZ', 9, 1000)")
    sales.refresh()
    sales.later(minutes=10)
    again = sales.snapshots.take("sales")
    assert (again.again, again.taken_at, again.generation) == (True, first.taken_at, 1)
    assert value(sales, "revenue") == 43.0
    assert count(sales, "snapshot_points") == 11
    assert count(sales, "snapshot_takes") == 1


def test_a_new_slot_gets_points_of_its_own(sales):
    sales.snapshots.take("sales")
    sales.later(hours=1)
    sales.run("INSERT INTO public.orders VALUES ('FR', 9, 1000)")
    sales.refresh()
    assert sales.snapshots.take("sales").points == 14
    assert [point.value for point in sales.snapshots.points("sales", "revenue")] == [43.0, 1043.0]
    (first,) = [each for each in sales.snapshots.series("sales", "revenue") if not each.by]
    assert (first.points, first.last_value) == (2, 1043.0)


def test_old_rows_are_marked_and_taken_again_when_fresh_ones_come(sales):
    sales.later(hours=3)
    stale = sales.snapshots.take("sales")
    assert stale.stale
    assert [point.stale for point in sales.snapshots.points("sales", "revenue")] == [True]
    sales.run("DELETE FROM public.orders WHERE country = 'DE'")
    sales.refresh()
    fresh = sales.snapshots.take("sales")
    assert (fresh.stale, fresh.again, fresh.generation) == (False, False, 2)
    assert value(sales, "revenue") == 36.0
    # The country that is gone keeps no point of the stale rows.
    with pytest.raises(NotFoundError):
        sales.snapshots.trend("sales", "revenue", {"country": "XX"})
    assert sales.snapshots.points("sales", "revenue", {"country": "DE"}) == []


def test_a_time_that_is_over_is_taken_from_the_rows_of_then(sales):
    slot = sales.slot
    sales.later(hours=2)
    sales.run("INSERT INTO public.orders VALUES ('KZ', 9, 1000)")
    sales.refresh()
    taken = sales.snapshots.take("sales", slot)
    assert (taken.slot, taken.generation, taken.stale) == (slot, 1, False)
    assert value(sales, "revenue") == 43.0
    assert sales.snapshots.take("sales").generation == 2
    assert value(sales, "revenue") == 1043.0


def test_todays_rows_never_stand_for_yesterday(sales):
    early = sales.slot - timedelta(hours=5)
    with pytest.raises(ConflictError, match="cannot be taken from today's rows"):
        sales.snapshots.take("sales", early)
    slot = sales.slot
    for _ in range(3):  # two generations are kept
        sales.later(hours=1)
        sales.refresh()
    with pytest.raises(ConflictError, match="cannot be taken from today's rows"):
        sales.snapshots.take("sales", slot)
    assert count(sales, "snapshot_points") == 0


def test_after_a_rollback_the_times_between_are_unknown(sales):
    slot = sales.slot
    sales.later(hours=2)
    sales.refresh()
    sales.datasets.rollback("sales")
    sales.run("UPDATE _dteg.dataset_generations SET published_at = %s WHERE n = 1", sales.now)
    with pytest.raises(ConflictError, match="cannot be taken"):
        sales.snapshots.take("sales", slot)


def test_what_cannot_be_a_slot(sales):
    with pytest.raises(InputError, match="has not come yet"):
        sales.snapshots.take("sales", sales.slot + timedelta(hours=1))
    with pytest.raises(InputError, match="is no time of the schedule"):
        sales.snapshots.take("sales", sales.slot - timedelta(minutes=7))
    with pytest.raises(InputError, match="is no time"):
        sales.snapshots.take("sales", sales.slot.replace(year=4, minute=1))
    with pytest.raises(NotFoundError):
        sales.snapshots.take("nowhere")


def test_without_rows_or_without_snapshot_it_says_what_to_do(shop):
    shop.save()
    with pytest.raises(ConflictError, match="dteg dataset refresh sales"):
        shop.snapshots.take("sales")
    shop.save(snapshot=None)
    with pytest.raises(ConfigError, match="snapshot"):
        shop.snapshots.take("sales")


def test_too_many_series_are_refused(shop):
    shop.run("INSERT INTO public.orders SELECT 'c' || n, 1, 1 FROM generate_series(1, 5001) n")
    shop.save()
    shop.refresh()
    with pytest.raises(ConfigError) as caught:
        shop.snapshots.take("sales")
    assert caught.value.problems[0].path == "snapshot.by"
    assert count(shop, "snapshot_takes") == 0


def test_two_at_once_take_one(sales):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda _: sales.snapshots.take("sales"), range(6)))
    assert sorted(each.again for each in taken) == [False] + [True] * 5
    assert count(sales, "snapshot_points") == 11


# Whole rows


def test_rows_are_kept_by_month_and_follow_the_columns(shop):
    shop.save(snapshot={"schedule": "0 * * * *", "rows": True})
    shop.refresh()
    assert shop.snapshots.take("sales").rows == 3
    assert shop.snapshots.take("sales").again
    assert shop.run("SELECT count(*), sum(revenue) FROM ds_history.sales") == [(3, 43)]
    shop.later(days=32)
    measures = [
        {"name": "revenue", "fn": "sum", "of": "o.amount", "type": "text"},
        {"name": "orders", "fn": "count"},
    ]
    shop.save(snapshot={"schedule": "0 * * * *", "rows": True}, measures=measures)
    shop.refresh()
    shop.snapshots.take("sales")
    found = shop.run(
        "SELECT country, revenue, revenue__1, buyers, orders FROM ds_history.sales WHERE country = 'KZ' ORDER BY snapshot_slot"
    )
    assert [tuple(map(str, row)) for row in found] == [
        ("KZ", "None", "35.00", "2", "None"),
        ("KZ", "35.00", "None", "None", "3"),
    ]
    listed = shop.snapshots.row_snapshots("sales")
    assert [(each.rows, each.relation) for each in listed] == [(3, "ds_history.sales")] * 2
    partitions = shop.run(
        "SELECT relname FROM pg_class WHERE relname ~ '^sales__2' AND relkind = 'r' ORDER BY 1"
    )
    assert len(partitions) == 2
    assert partitions[1][0] == f"sales__{shop.slot:%Y_%m}"


def test_too_many_rows_are_kept_only_if_forced(shop, monkeypatch):
    monkeypatch.setattr(row_snapshots, "MAX_ROWS", 2)
    shop.save(snapshot={"schedule": "0 * * * *", "rows": True})
    shop.refresh()
    taken = shop.snapshots.take("sales")
    assert (taken.rows, taken.points) == (None, 2)
    assert "--force-rows" in taken.problem
    shop.later(hours=1)
    assert shop.snapshots.take("sales", force_rows=True).rows == 3
    (told,) = shop.run("SELECT message FROM _dteg.alert_occurrences")
    assert "3 rows were not kept" in told[0]


# Keeping


def test_old_points_are_thinned_to_one_a_day_and_then_go(shop):
    shop.save(snapshot={"schedule": "0 * * * *", "rows": True, "keep": {"raw": "2d", "daily": "10d"}})
    shop.refresh()
    midnight = shop.now.replace(hour=0, minute=0)
    past = [NewPoint(slot=midnight - timedelta(hours=n), value=n) for n in range(1, 24 * 20)]
    shop.snapshots.add("sales", "revenue", past)
    shop.snapshots.take("sales")
    before = len(shop.snapshots.points("sales", "revenue"))
    done = shop.snapshots.prune()
    points = [point.slot for point in shop.snapshots.points("sales", "revenue")]
    assert done.points == before - len(points)
    old = [slot for slot in points if slot < shop.now - timedelta(days=2, hours=24)]
    assert {slot.hour for slot in old} == {23}
    assert len(old) in (7, 8)
    assert min(points) >= shop.now - timedelta(days=10)
    assert len([slot for slot in points if slot > shop.now - timedelta(days=2)]) >= 24
    assert shop.snapshots.prune().points == 0
    shop.later(days=62)
    assert shop.snapshots.prune().partitions == 1
    assert shop.snapshots.row_snapshots("sales") == []


def test_history_of_a_removed_dataset_stays_for_a_month(sales):
    sales.snapshots.take("sales")
    sales.datasets.remove("sales")
    assert sales.snapshots.prune().datasets == []
    assert value(sales, "revenue") == 43.0
    sales.later(days=31)
    assert sales.snapshots.prune().datasets == ["sales"]
    assert count(sales, "snapshot_points") == 0


# Unusual values


def test_an_unusual_value_becomes_an_alert_until_one_fits_again(sales):
    past = [NewPoint(slot=sales.slot - timedelta(hours=n), value=40 + n * 7919 % 7) for n in range(1, 60)]
    sales.snapshots.add("sales", "revenue", past)
    assert sales.snapshots.take("sales").unusual == 0
    sales.later(hours=1)
    sales.run("INSERT INTO public.orders VALUES ('KZ', 9, 1000)")
    sales.refresh()
    assert sales.snapshots.take("sales").unusual == 1
    sales.later(hours=1)
    sales.run("DELETE FROM public.orders WHERE customer = 9")
    sales.refresh()
    assert sales.snapshots.take("sales").unusual == 0
    told = sales.run(
        "SELECT state, subject, message, details->>'value' FROM _dteg.alert_occurrences ORDER BY id"
    )
    assert [(state, subject, seen) for state, subject, _, seen in told] == [
        ("firing", "ds.sales: revenue is unusual", "1043.0"),
        ("resolved", "ds.sales: revenue is unusual", "43.0"),
    ]
    assert "where 3" in told[0][2]


def test_a_stale_snapshot_alarms_nobody(sales):
    past = [NewPoint(slot=sales.slot - timedelta(hours=n), value=400.0) for n in range(60)]
    sales.snapshots.add("sales", "revenue", past)
    sales.later(hours=4)
    taken = sales.snapshots.take("sales")
    assert (taken.stale, taken.unusual) == (True, 0)
