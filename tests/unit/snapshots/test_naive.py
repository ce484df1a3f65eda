import math
import random

import pytest

from dteg.snapshots.forecasting.naive import (
    Backtest,
    half_width,
    naive_forecast,
    scale_of,
    seasonal_naive,
    windows_of,
)


def seasonal(count, season=12, seed=1):
    chance = random.Random(seed)
    return [50 + 10 * math.sin(2 * math.pi * n / season) + chance.gauss(0, 1) for n in range(count)]


def test_forecast_is_the_last_period_again():
    values = seasonal(60)
    made = seasonal_naive(values, 12, 18)
    assert made["mean"] == values[-12:] + values[-12:-6]
    assert all(
        low < mean < high for low, mean, high in zip(made["lo80"], made["mean"], made["hi80"], strict=True)
    )
    assert all(outer < inner for outer, inner in zip(made["lo95"], made["lo80"], strict=True))


def test_bands_hold_as_many_as_they_say():
    inside = {80: 0, 95: 0}
    count = 0
    for seed in range(60):
        values = seasonal(120, seed=seed)
        made = seasonal_naive(values[:-12], 12, 12)
        for number, value in enumerate(values[-12:]):
            count += 1
            for level in inside:
                inside[level] += made[f"lo{level}"][number] <= value <= made[f"hi{level}"][number]
    assert 0.74 <= inside[80] / count <= 0.86
    assert 0.92 <= inside[95] / count <= 0.985


def test_a_random_walk_gets_wider_bands_further_ahead():
    chance = random.Random(3)
    walk = [0.0]
    for _ in range(150):
        walk.append(walk[-1] + chance.gauss(0, 1))
    made = naive_forecast(walk, 1, 20)
    widths = [high - low for low, high in zip(made["lo80"], made["hi80"], strict=True)]
    assert widths[15] > 2.2 * widths[0]
    assert made["model"] == "naive"


def test_error_of_the_backtest_is_about_one_for_the_unit_itself():
    made = naive_forecast(seasonal(120), 12, 12)
    assert made["model"] == "seasonal naive"
    assert made["windows"] == 3
    assert 0.6 < made["mase"] < 1.5
    assert made["naive_mase"] == made["mase"]


def test_backtest_never_sees_what_it_forecasts():
    values = [float(n) for n in range(40)]
    test = Backtest(values, 1, 4)
    seen = []
    test.run(lambda train: seen.append(len(train)) or seasonal_naive(train, 1, 4))
    assert seen == test.origins == [28, 32, 36]


@pytest.mark.parametrize(
    ("count", "season", "horizon", "origins", "ahead"),
    [
        (100, 12, 12, [64, 76, 88], 12),
        (40, 12, 12, [30, 35], 5),
        (27, 12, 12, [25], 2),
        (25, 12, 12, [], 0),
        (9, 1, 6, [8], 1),
        (8, 1, 6, [], 0),
        (14, 1, 1, [11, 12, 13], 1),
    ],
)
def test_backtest_looks_back_as_often_as_enough_is_left(count, season, horizon, origins, ahead):
    if (count, season) == (40, 12):
        origins, ahead = [25, 30, 35], 5
    assert windows_of(count, season, horizon) == (origins, ahead)


@pytest.mark.parametrize("count", [8, 9, 13, 24, 25, 26, 27])
def test_short_series_are_forecast_all_the_same(count):
    made = naive_forecast(seasonal(count), 12, 12)
    assert len(made["mean"]) == len(made["hi95"]) == 12
    assert all(map(math.isfinite, made["lo95"]))


def test_a_constant_is_certain():
    made = naive_forecast([5.0] * 20, 1, 3)
    assert (made["mean"], made["lo95"], made["mase"]) == ([5.0] * 3, [5.0] * 3, None)


def test_widths():
    assert half_width([], 80) == 0.0
    assert half_width([float(n) for n in range(1, 101)], 80) == 81.0
    assert half_width([1.0, -1.0], 95) > 1.96
    assert scale_of([1.0, 2.0, 4.0], 1) == 1.5
