from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.licences.models import MAX_ROWS
from registry.licences.money import after, period_of, price_of_rows, price_of_seats

pytestmark = pytest.mark.unit
MOMENT = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "price", "amount"),
    [
        (0, 500, 0), (1, 0, 0), (1_000_000, 500, 500), (1, 1, 0), (499_999, 1, 0), (500_000, 1, 1), (1_499_999, 1, 1),
        (1_500_000, 1, 2), (3, 333_333, 1), (999_999, 100, 100), (MAX_ROWS, 10**9, 10**16),
    ],
)  # fmt: skip
def test_prices_of_rows_are_rounded_half_up(rows, price, amount):
    assert price_of_rows(rows, price) == amount


@given(st.integers(0, MAX_ROWS), st.integers(0, 10**9))
def test_rounding_is_never_off_by_more_than_half_a_unit(rows, price):
    exact = Fraction(rows * price, 1_000_000)
    amount = price_of_rows(rows, price)
    assert isinstance(amount, int)
    assert -Fraction(1, 2) <= exact - amount < Fraction(1, 2)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_more_rows_never_cost_less(one, more, price):
    assert price_of_rows(one + more, price) >= price_of_rows(one, price)


def test_prices_of_seats():
    assert price_of_seats(1999, 3, per_seat=True) == 5997
    assert price_of_seats(1999, 3, per_seat=False) == 1999
    assert price_of_seats(1999, None, per_seat=True) == 1999


@pytest.mark.parametrize(
    ("moment", "per", "end"),
    [
        (MOMENT, "month", datetime(2026, 2, 28, 12, 30, tzinfo=UTC)),
        (datetime(2027, 12, 15, tzinfo=UTC), "month", datetime(2028, 1, 15, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), "year", datetime(2029, 2, 28, tzinfo=UTC)),
        (datetime(2028, 1, 31, tzinfo=UTC), "month", datetime(2028, 2, 29, tzinfo=UTC)),
        (MOMENT, "once", None),
    ],
)
def test_periods_are_months_of_the_calendar(moment, per, end):
    assert after(moment, per) == end


def test_the_month_of_a_moment():
    assert period_of(MOMENT) == "2026-01"
    assert period_of(datetime(987, 11, 1, tzinfo=UTC)) == "0987-11"
