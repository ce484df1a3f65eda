from types import SimpleNamespace

from starlette.datastructures import QueryParams

from studio.dashboards.pages import _is_day
from studio.dashboards.routes import values_of


def test_the_ends_of_a_span_are_one_value_of_its_filter():
    query = "f0=DE&f0=FR&f1_from=2026-01-01&f1_to=&f2_from=&f2_to=&f3=a..b&fx_from=1&f4_other=1"
    assert values_of(SimpleNamespace(query_params=QueryParams(query))) == {
        "f0": ["DE", "FR"], "f1": ["2026-01-01.."], "f2": [""], "f3": ["a..b"],
    }  # fmt: skip


def test_a_calendar_shows_only_days():
    assert _is_day("", "2026-03-31")
    assert not _is_day("2026-03", "")
    assert not _is_day("10", "20")
