"""The process that forecasts: one for many series, warm, and never waited for forever."""

import math
import os
import random
import signal
import time
from pathlib import Path

import pytest

from dteg.core.errors import EnvironmentProblemError, TransientError
from dteg.snapshots.forecasting import forecaster as module
from dteg.snapshots.forecasting.forecaster import Forecaster, Order, find_python

pytestmark = pytest.mark.integration

ENVIRONMENT = Path(__file__).parents[3] / ".dteg" / "forecast" / "bin" / "python"
needs_models = pytest.mark.skipif(
    not ENVIRONMENT.exists(), reason="NO MODELS FOR FORECASTS HERE; make them: .ci/bootstrap forecast"
)


def hours(count=120, season=24, seed=1):
    chance = random.Random(seed)
    return [
        200 + 0.5 * n + 30 * math.sin(2 * math.pi * n / season) + chance.gauss(0, 2) for n in range(count)
    ]


@pytest.fixture(scope="module")
def worker():
    with Forecaster(ENVIRONMENT) as made:
        yield made


STAND_IN = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    for order in json.loads(line)["series"]:
        bad = order["horizon"] == 13
        print(json.dumps({"error": "boom"} if bad else {"result": {"model": "stand-in"}}), flush=True)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A worker without models: what is tested is how it is started, asked and ended."""
    import sys

    (tmp_path / "worker.py").write_text(STAND_IN)
    monkeypatch.setattr(module, "WORKER", tmp_path / "worker.py")
    with Forecaster(Path(sys.executable)) as made:
        yield made


@needs_models
def test_six_series_pay_for_one_start(worker):
    orders = [Order(hours(seed=seed), 24, 24) for seed in range(6)]
    first = worker.forecast(orders[:1])
    pid = worker.pid
    began = time.process_time()
    rest = worker.forecast(orders[1:])
    assert worker.pid == pid
    assert time.process_time() - began < 1
    for made in first + rest:
        assert "ETS" in made["model"]
        assert made["mase"] < made["naive_mase"]
        assert all(math.isfinite(value) for name in ("lo95", "hi95") for value in made[name])


@needs_models
@pytest.mark.parametrize(
    ("values", "season"),
    [
        ([1.0] * 30, 7),
        ([0.0] * 29 + [1.0], 7),
        ([float(n) for n in range(8)], 12),
        ([float(n) for n in range(9)], 1),
        (hours(25, 12), 12),
        ([-5.0, 3.0, 0.0] * 8, 3),
        ([1e12 + n for n in range(40)], 7),
        ([1e-9 * n for n in range(40)], 1),
        ([0.0, 1e9] * 10, 2),
        (hours(240, 96), 96),
        (hours(100, 24)[:50], 24),
    ],
)
def test_odd_series_get_a_forecast_with_finite_bands(worker, values, season):
    (made,) = worker.forecast([Order(values, season, 10)])
    assert "problem" not in made
    for name in ("mean", "lo80", "hi80", "lo95", "hi95"):
        assert len(made[name]) == 10
        assert all(map(math.isfinite, made[name]))
    for low, mean, high in zip(made["lo80"], made["mean"], made["hi80"], strict=True):
        assert low <= mean <= high


@needs_models
def test_long_seasons_are_taken_out_first(worker):
    (made,) = worker.forecast([Order(hours(96 * 4, 96), 96, 96)])
    assert made["model"].startswith("seasonally adjusted ETS")
    assert made["mase"] < made["naive_mase"]


def test_a_series_that_cannot_be_forecast_does_not_take_the_others_along(stand_in):
    bad, good = stand_in.forecast([Order(hours(), 24, 13), Order(hours(), 24, 5)])
    assert (bad["model"], bad["problem"]) == ("seasonal naive", "boom")
    assert good == {"model": "stand-in"}


def test_killed_while_idle_it_starts_again(stand_in):
    stand_in.forecast([Order(hours(), 24, 3)])
    os.kill(stand_in.pid, signal.SIGKILL)
    for _ in range(1000):
        if stand_in.pid is None:
            break
        time.sleep(0.02)
    assert len(stand_in.forecast([Order(hours(), 24, 3)])) == 1


def test_frozen_it_is_ended_in_time(stand_in, monkeypatch):
    stand_in.forecast([Order(hours(), 24, 3)])
    pid = stand_in.pid
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "SERIES_TIMEOUT_S", 0.5)
    began = time.monotonic()
    with pytest.raises(TransientError, match="does not answer"):
        stand_in.forecast([Order(hours(), 24, 3)])
    assert time.monotonic() - began < 50
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_work_it_ends(stand_in):
    stand_in._idle_s = 0.1
    stand_in.forecast([Order(hours(), 24, 3)])
    for _ in range(1000):
        if stand_in.pid is None:
            break
        time.sleep(0.05)
    assert stand_in.pid is None
    assert len(stand_in.forecast([Order(hours(), 24, 3)])) == 1


def test_it_knows_nothing_of_this_environment(stand_in, monkeypatch, tmp_path):
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://user:secret@host/db")
    stand_in.forecast([Order(hours(), 24, 3)])
    told = Path(f"/proc/{stand_in.pid}/environ")
    if not told.exists():
        pytest.skip("NO /proc HERE, THE ENVIRONMENT OF A PROCESS CANNOT BE SEEN")
    assert b"secret" not in told.read_bytes()


def test_a_python_without_models_says_how_to_get_them(tmp_path, monkeypatch):
    import sys

    with (
        Forecaster(Path(sys.executable)) as worker,
        pytest.raises(EnvironmentProblemError, match="bootstrap forecast"),
    ):
        worker.forecast([Order(hours(), 24, 3)])
    monkeypatch.setenv("DTEG_FORECAST_PYTHON", str(tmp_path / "nothing"))
    with pytest.raises(EnvironmentProblemError, match="is not a program"):
        find_python()


def test_without_models_it_is_seasonally_naive():
    with Forecaster(None) as worker:
        (made,) = worker.forecast([Order(hours(), 24, 30)])
        assert (made["model"], worker.pid) == ("seasonal naive", None)
        assert made["mean"][:24] == hours()[-24:]
        assert worker.forecast([]) == []


@needs_models
def test_the_environment_of_dteg_has_no_numpy():
    from importlib.util import find_spec

    # With it pyarrow would import it at the first array it makes, at each start of the command line.
    assert find_spec("numpy") is None
    assert find_python() == ENVIRONMENT or "DTEG_FORECAST_PYTHON" in os.environ


@needs_models
def test_a_smooth_season_is_seen(worker):
    # Each value is so near the one before that the criterion alone would forget the season.
    smooth = [2000 + 3 * n + 160 * math.sin(2 * math.pi * n / 24) + n * 7919 % 61 for n in range(120)]
    (made,) = worker.forecast([Order(smooth, 24, 24)])
    assert made["mase"] < 0.8 * made["naive_mase"]
    assert max(made["mean"]) - min(made["mean"]) > 200


@needs_models
def test_two_short_seasons_still_have_a_model(worker):
    made = worker.forecast([Order(hours(count, 8), 8, 8) for count in range(16, 30)])
    assert all("ETS" in each["model"] for each in made)
