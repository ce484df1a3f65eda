import random

import pytest

from dteg.snapshots.robust import mann_kendall, theil_sen


def test_slope_is_that_of_the_line_and_outliers_do_not_move_it():
    line = [3.0 + 2.0 * n for n in range(20)]
    assert theil_sen(line) == pytest.approx(2.0)
    line[7] = 10_000.0
    assert theil_sen(line) == pytest.approx(2.0)
    assert theil_sen([1.0]) is None


def test_gaps_count_as_steps():
    assert theil_sen([0.0, None, None, 6.0, 8.0]) == pytest.approx(2.0)


def test_season_does_not_look_like_a_trend():
    # Twelve points that rise within each period of four, and not from one period to the next.
    values = [float(n % 4) for n in range(24)]
    assert theil_sen(values, 4) == 0.0
    assert mann_kendall(values, 4) == pytest.approx(1.0)
    rising = [float(n % 4) * 5 + n for n in range(24)]
    assert theil_sen(rising, 4) == pytest.approx(1.0)
    assert mann_kendall(rising, 4) < 0.001


def test_p_value_of_a_known_case():
    # Nile-like example without ties: S = 5 of n = 4 gives z = (6 - 1) / sqrt(4 * 3 * 13 / 18).
    assert mann_kendall([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.0894, abs=1e-3)
    assert mann_kendall([1.0, 2.0, 3.0]) is None
    assert mann_kendall([5.0] * 10) == 1.0


def test_noise_has_no_trend_and_a_line_in_noise_has():
    chance = random.Random(7)
    found = [mann_kendall([chance.gauss(0, 1) for _ in range(60)]) < 0.05 for _ in range(200)]
    assert 0.01 <= sum(found) / 200 <= 0.10
    assert mann_kendall([n * 0.1 + chance.gauss(0, 1) for n in range(60)]) < 0.001


def test_correlated_noise_is_not_believed_to_be_a_trend():
    chance = random.Random(8)
    told = 0
    for _ in range(100):
        value, values = 0.0, []
        for _ in range(60):
            value = 0.6 * value + chance.gauss(0, 1)
            values.append(value)
        told += mann_kendall(values) < 0.05
    # The plain test says so in about a third of them.
    assert told <= 15
