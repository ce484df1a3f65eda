import logging
import threading

import pytest

from dteg.core.errors import DtegError
from studio import background
from studio.background import Worker, repeat


class Flaky(Worker):
    """Fails some times, then works until it is stopped."""

    name = "flaky"

    def __init__(self, errors):
        super().__init__(None)
        self.errors, self.runs, self.works = list(errors), 0, threading.Event()

    def run(self, stop):
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        self.works.set()
        stop.wait(60)


class Steps(threading.Event):
    """An event that is never waited for, and remembers how long that would have been."""

    def __init__(self, turns):
        super().__init__()
        self.turns, self.waits = turns, []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if len(self.waits) >= self.turns:
            self.set()
        return self.is_set()


def test_a_worker_that_fails_runs_again(monkeypatch, caplog):
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.01)
    worker, stop = Flaky([DtegError("the server is away"), ValueError("a bug")]), threading.Event()
    thread = threading.Thread(target=repeat, args=(worker, stop))
    with caplog.at_level(logging.WARNING):
        thread.start()
        assert worker.works.wait(60)
        stop.set()
        thread.join(60)
    assert worker.runs == 3
    assert not thread.is_alive()
    assert "the server is away" in caplog.text
    assert "ValueError: a bug" in caplog.text


def test_it_waits_longer_and_longer_but_not_for_ever():
    stop = Steps(9)
    repeat(Flaky([DtegError("x")] * 20), stop)
    assert stop.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_a_good_run_it_begins_anew(monkeypatch):
    monkeypatch.setattr(background, "_GOOD_RUN_S", -1.0)
    stop = Steps(3)
    repeat(Flaky([DtegError("x")] * 20), stop)
    assert stop.waits == [1, 1, 1]


def test_a_worker_must_have_work():
    with pytest.raises(TypeError):
        Worker(None)
