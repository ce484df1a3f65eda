import math
import random

from dteg.snapshots.expectation import expectations


def noise(count, seed=1, season=1, size=10.0):
    chance = random.Random(seed)
    return [
        100 + size * math.sin(2 * math.pi * n / season) * (season > 1) + chance.gauss(0, 1)
        for n in range(count)
    ]


def odd(values, season=1):
    return [each.place for each in expectations(values, season) if each.extreme]


def test_a_jump_is_extreme_and_ordinary_noise_is_not():
    values = noise(80)
    assert odd(values) == []
    values[60] += 12
    assert odd(values) == [60]


def test_about_one_in_twenty_is_outside_of_95_percent():
    judged = [each for seed in range(40) for each in expectations(noise(120, seed), 1)]
    outside = sum(each.unusual for each in judged) / len(judged)
    assert 0.02 <= outside <= 0.07
    assert sum(each.extreme for each in judged) / len(judged) < 0.008


def test_a_season_is_expected():
    values = noise(240, season=24, size=20)
    assert odd(values, 24) == []
    assert len(odd(values, 1)) > 0 or max(each.half_95 for each in expectations(values, 1)) > 10
    # The height of the day at the hour of its depth: within the range of all values, but not of this hour.
    values[24 * 8 + 18] += 30
    assert odd(values, 24) == [24 * 8 + 18]


def test_a_new_level_is_believed_after_some_values():
    values = noise(60) + [value + 40 for value in noise(60, seed=2)]
    found = odd(values)
    assert found[0] == 60
    assert all(place < 85 for place in found)


def test_a_steady_rise_is_expected():
    assert odd([100 + 3 * n + value - 100 for n, value in enumerate(noise(120, seed=3))]) == []


def test_a_series_that_never_moved_may_move_a_little():
    assert odd([50.0] * 30 + [50.2]) == []
    assert odd([50.0] * 30 + [60.0]) == [30]
    assert odd([0.0] * 30 + [1.0]) == [30]


def test_too_few_values_say_nothing():
    assert expectations([1.0] * 8, 1) == []
    assert expectations([], 24) == []


def test_gaps_are_passed_over():
    values = noise(80, seed=5)
    values[40:50] = [None] * 10
    values[70] += 12
    assert odd(values) == [70]


def test_last_ones_are_judged_alike():
    values = noise(90, season=7, size=8)
    assert expectations(values, 7, last=2) == [each for each in expectations(values, 7) if each.place >= 88]
